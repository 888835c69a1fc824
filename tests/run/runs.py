"""What the tests of trainings share: files, metrics and curves of a run, refusals, and equality of two runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ttfsrun.training.step import Step

SPLITS = ("train", "valid", "test")

Command = Callable[..., tuple[int, str, str]]


def read_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def read_metrics(folder: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return metrics


def read_curves(folder: Path) -> pd.DataFrame:
    """The learning curves, to the last digit: not every pandas reads numbers exactly."""
    return pd.read_csv(folder / "curves.csv", dtype={"value": str}).astype({"value": float})


def refused(result: tuple[int, str, str], mistakes: int = 1, left_with: int = 2) -> str:
    """Return the message of a refused command: one line, or a heading and a line for each mistake."""
    code, output, messages = result
    assert (code, output) == (left_with, "")
    assert len(messages.splitlines()) == mistakes + (mistakes > 1)
    assert messages.startswith("ttfsrun: ")
    return messages


def assert_same_run(run: Path, other: Path) -> None:
    """Compare all files of two runs to the last bit, except the time of training and the provenance."""
    one, two = read_files(run), read_files(other)
    assert one.keys() == two.keys()
    for name in one:
        if name.endswith("metrics.json"):
            assert comparable_metrics(one[name]) == comparable_metrics(two[name])
        else:
            assert one[name] == two[name], name


def comparable_metrics(content: bytes) -> Mapping[str, Any]:
    metrics: dict[str, Any] = json.loads(content)
    assert metrics.pop("seconds") > 0
    assert metrics.pop("made_by")  # the checkout may change while this runs
    return metrics


def stop_in_the_second_epoch(patch: pytest.MonkeyPatch, stop: Callable[[], None]) -> None:
    """Call `stop` in the middle of the second epoch of a tiny training, until the patch is undone."""
    batches = []
    take = Step.take

    def stopped(self: Step, *args: Any) -> Any:
        batches.append(args)
        if len(batches) == 8:  # five are an epoch
            stop()
        return take(self, *args)

    patch.setattr(Step, "take", stopped)
