"""What a run's figures show of its records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from runs import Command, assert_same_run, read_files

from ttfsrun.config.compose import compose
from ttfsrun.run.figures import confusion_counts
from ttfsrun.run.folder import RunFolder


def record(name: str, right: int, chip: int | str | None = 0, **settings: float) -> dict[str, Any]:
    about = {"condition": name, "settings": settings, "perturbed": chip is not None, "chip": chip}
    return about | {"test": {"confusion": [[right, 0, 0], [0, 1, 0]]}}


def test_of_each_condition_the_first_is_shown_and_not_more_than_three() -> None:
    other, noise = "own, other chips", {"substrate.weight.write_std": 0.1}
    records = [record("own", 1), record(other, 2, 7), record(other, 3, 8), record("noisy", 4, 0, **noise)]
    shown = confusion_counts([*records, record("noisy", 5), record("simulation", 6, None)])
    titles = ["own (chip=0)", "own, other chips (chip=7)", "noisy (weight.write_std=0.1, chip=0)"]
    assert [(title, counts[0, 0]) for title, counts in shown.items()] == list(zip(titles, (1, 2, 4), strict=True))


def test_a_condition_tells_its_chip_or_that_it_has_none() -> None:
    shown = confusion_counts([record("own", 1, "chips/lab.safetensors"), record("simulation", 2, None)])
    assert list(shown) == ["own (chip=lab.safetensors)", "simulation (unperturbed)"]


def test_a_figure_that_fails_costs_a_training_neither_its_results_nor_its_exit_code(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    run, whole = tmp_path / "a run", tmp_path / "whole"
    RunFolder(run).write_config(compose(tiny_overrides))
    (run / "figures").write_text("mine")  # a file in the way
    code, output, messages = ttfsrun("train", *tiny_overrides, "--out", run, "--overwrite")
    assert code == 0
    assert output.endswith(f"results: {run}\n")
    assert messages.startswith(f"no figures: {run / 'figures' / 'confusion.png'}: cannot be written (")
    assert messages.endswith(f"; ttfsrun plot '{run}' plots the figures\n")
    assert messages.count("\n") == 1
    (run / "figures").unlink()
    assert ttfsrun("plot", run)[0] == 0
    assert ttfsrun("train", *tiny_overrides, "--out", whole)[0] == 0
    for pdf in (run / "figures").glob("*.pdf"):
        pdf.unlink()
    assert_same_run(run, whole)


def test_a_library_that_fails_to_plot_costs_a_chip_only_its_figure(
    ttfsrun: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no\nfonts")

    with monkeypatch.context() as patch:
        patch.setattr("ttfsrun.figures.chip.chip", fail)
        code, output, messages = ttfsrun("chip", "substrate=brainscales2", "--out", tmp_path / "chip")
    assert code == 0
    assert output.endswith(f"results: {tmp_path / 'chip'}\n")
    assert messages == "no figures: RuntimeError: no fonts; ttfsrun chip plots it again with --overwrite\n"
    assert sorted(read_files(tmp_path / "chip")) == ["chip.safetensors", "summary.csv"]
    assert ttfsrun("chip", "substrate=brainscales2", "--out", tmp_path / "chip", "--overwrite")[0] == 0
    assert (tmp_path / "chip" / "chip.png").exists()
