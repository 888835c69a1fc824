"""A run depends on its data and its chips by their content: nothing else is used later without a word."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs import SPLITS, Command, read_files, read_metrics, refused, stop_in_the_second_epoch

from ttfsrun.files import sha256

ANALOG = ("substrate=brainscales2", "substrate.v_th.chip_std=0.4")


@pytest.fixture
def two_chips(ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path) -> tuple[Path, Path]:
    """Two folders, each with another chip of the same name."""
    folders = (tmp_path / "here", tmp_path / "there")
    for seed, folder in enumerate(folders):
        chip = ("chip", *tiny_overrides, *ANALOG, f"seed.chip={seed}", "--out", folder / "chip")
        assert ttfsrun(*chip)[0] == 0
    return folders


@pytest.fixture
def run(
    trained: Callable[..., Path], two_chips: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A run on the chip of the first folder, which it names by a relative path."""
    monkeypatch.chdir(two_chips[0])
    return trained(tmp_path / "run", *ANALOG, "substrate.chip.file=chip/chip.safetensors")


def evaluated(ttfsrun: Command, run: Path, *words: str) -> dict[str, Any]:
    code, output, messages = ttfsrun("evaluate", run, *words, "--json")
    assert code == 0, messages
    metrics: dict[str, Any] = json.loads(output)
    return metrics


def numbers(metrics: dict[str, Any]) -> list[Any]:
    return [{k: v for k, v in metrics[split].items() if k != "samples_per_second"} for split in SPLITS]


def test_a_chip_with_a_relative_path_is_the_same_from_every_folder(
    run: Path, two_chips: tuple[Path, Path], ttfsrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(two_chips[1])
    again = evaluated(ttfsrun, run)
    assert numbers(again) == numbers(read_metrics(run))
    assert again["id"] == read_metrics(run)["id"]
    other = evaluated(ttfsrun, run, "substrate.chip.file=chip/chip.safetensors")
    assert numbers(other) != numbers(again)
    assert other["id"] != again["id"]


@pytest.mark.parametrize("fate", ["removed", "replaced", "run moved"])
def test_a_run_keeps_its_chip(
    fate: str, run: Path, two_chips: tuple[Path, Path], ttfsrun: Command, tmp_path: Path
) -> None:
    original = two_chips[0] / "chip" / "chip.safetensors"
    expected = numbers(read_metrics(run))
    if fate == "replaced":
        shutil.copy(two_chips[1] / "chip" / "chip.safetensors", original)
    else:
        original.unlink()
    if fate == "run moved":
        run = run.rename(tmp_path / "moved")
    assert numbers(evaluated(ttfsrun, run)) == expected
    if fate == "replaced":  # named anew, it is what is there now
        assert numbers(evaluated(ttfsrun, run, f"substrate.chip.file={original}")) != expected


def test_without_its_chip_a_run_is_evaluated_on_another_only_if_that_is_named(
    run: Path, two_chips: tuple[Path, Path], ttfsrun: Command, no_figures: None
) -> None:
    original, other = (folder / "chip" / "chip.safetensors" for folder in two_chips)
    (copy,) = (run / "chips").glob("*/*")
    assert sha256(copy) == sha256(original)
    copy.write_bytes(other.read_bytes())
    original.unlink()
    message = refused(ttfsrun("evaluate", run))
    assert f"{copy} has changed since {run} was trained; restore it" in message
    assert "has changed" in refused(ttfsrun("plot", run))
    evaluated(ttfsrun, run, f"substrate.chip.file={other}")
    copy.unlink()
    assert f"{original} has been removed since" in refused(ttfsrun("evaluate", run))


def test_a_run_of_an_older_version_has_its_checksums_in_its_metrics(
    run: Path, two_chips: tuple[Path, Path], ttfsrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These have no inputs.json, no copies, and the path as it was given."""
    original = two_chips[0] / "chip" / "chip.safetensors"
    for name in ("config.yaml", "metrics.json"):
        text = (run / name).read_text()
        assert str(original) in text
        (run / name).write_text(text.replace(str(original), "chip/chip.safetensors"))
    shutil.rmtree(run / "chips")
    (run / "inputs.json").unlink()
    assert numbers(evaluated(ttfsrun, run)) == numbers(read_metrics(run))
    monkeypatch.chdir(two_chips[1])
    assert "chip/chip.safetensors has changed since" in refused(ttfsrun("evaluate", run))


def test_a_chip_that_changes_during_the_training_leaves_no_metrics(
    two_chips: tuple[Path, Path],
    ttfsrun: Command,
    tiny_overrides: tuple[str, ...],
    no_figures: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original, other = (folder / "chip" / "chip.safetensors" for folder in two_chips)
    content = original.read_bytes()
    run = tmp_path / "run"
    words = (*tiny_overrides, *ANALOG, f"substrate.chip.file={original}")
    with monkeypatch.context() as patch:
        stop_in_the_second_epoch(patch, lambda: original.write_bytes(other.read_bytes()))
        code, _, messages = ttfsrun("train", *words, "--out", run)
    assert code == 2
    assert f"{original} has changed since the training started" in messages
    assert not (run / "metrics.json").exists()
    original.write_bytes(content)
    assert ttfsrun("train", "--resume", run)[0] == 0
    assert ttfsrun("train", *words, "--out", tmp_path / "whole")[0] == 0
    assert numbers(read_metrics(run)) == numbers(read_metrics(tmp_path / "whole"))


@pytest.mark.slow
def test_an_interrupted_training_resumes_on_its_own_data_only(
    two_datasets: tuple[Path, Path],
    tiny_images: tuple[str, ...],
    ttfsrun: Command,
    no_figures: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = two_datasets
    run = tmp_path / "run"

    def interrupt() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        stop_in_the_second_epoch(patch, interrupt)
        assert ttfsrun("train", *tiny_images, "training.epochs=2", "--out", run)[0] == 130
    before = read_files(run)
    monkeypatch.setenv("TTFSRUN_DATA", str(other))
    message = refused(ttfsrun("train", "--resume", run))
    assert f"{other}: not the data of {run}, which were read from {one}" in message
    assert "train-labels-idx1-ubyte" in message
    assert read_files(run) == before

    monkeypatch.delenv("TTFSRUN_DATA")  # then the run knows the folder
    assert ttfsrun("train", "--resume", run)[0] == 0
    trained_on = read_metrics(run)["data"]
    assert evaluated(ttfsrun, run)["data"] == trained_on
    for verb in ("evaluate", "plot"):
        monkeypatch.setenv("TTFSRUN_DATA", str(other))
        assert "not the data of" in refused(ttfsrun(verb, run))
    assert evaluated(ttfsrun, run, f"data.folder={other}")["data"] != trained_on
    one.rename(tmp_path / "moved")
    monkeypatch.setenv("TTFSRUN_DATA", str(tmp_path / "moved"))
    assert evaluated(ttfsrun, run)["data"] == trained_on


def test_a_damaged_list_of_inputs_is_refused(run: Path, ttfsrun: Command) -> None:
    (run / "inputs.json").write_text('{"data": 3}')
    assert f"{run / 'inputs.json'} cannot be read" in refused(ttfsrun("evaluate", run))


def test_a_training_that_other_code_resumes_says_so(
    trained: Callable[..., Path], ttfsrun: Command, tmp_path: Path
) -> None:
    run = trained(tmp_path / "run")
    (run / "metrics.json").unlink()
    inputs = json.loads((run / "inputs.json").read_text())
    inputs["made_by"] |= {"torch": "1.13.1"}
    (run / "inputs.json").write_text(json.dumps(inputs))
    code, _, messages = ttfsrun("train", "--resume", run)
    assert code == 0
    assert f"{run} was started with another environment; resumed with torch" in messages
    assert "instead of 1.13.1" in messages
