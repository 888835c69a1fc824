"""The verb `chip`: a table, the same as JSON, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from calls import called
from safetensors.numpy import save_file

from ttfsrun.config.compose import compose
from ttfsrun.substrate.chip import Chip

CHIP = ("substrate=brainscales2", "substrate.stuck_synapses.p_zero=0.001", "seed.chip=3")


def test_a_chip_is_a_table_and_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    summary = Chip.of(compose(CHIP).chip_spec).summary()
    assert called("chip", *CHIP) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == list(summary)
    for line, row in zip(lines, summary.itertuples(index=False), strict=True):
        quantity, layer, n, *statistics = line.split()
        assert (quantity, int(layer), int(n)) == row[:3]
        shown = [float("nan" if value == "-" else value) for value in statistics]
        assert shown == pytest.approx(list(row[3:]), rel=1e-3, nan_ok=True)
    assert called("chip", *CHIP, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told[0] == summary.iloc[0].to_dict()  # to the last digit
    assert told[-1] == {"quantity": "stuck_synapses", "layer": 2, "n": 0} | dict.fromkeys(("mean", "std", "min", "max"))


def test_a_substrate_without_fixed_patterns_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "chip"
    assert called("chip", "--out", str(folder)) == 0
    told = "the substrate samples nothing per chip: all chips are the same"
    assert capsys.readouterr().out == f"{told}\nresults: {folder}\n"
    assert called("chip", f"substrate.chip.file={folder / 'chip.safetensors'}") == 0
    assert capsys.readouterr().out == f"{told}\n"
    assert called("chip", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_stored_chip_is_shown_with_what_the_seed_draws(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "lab.safetensors"
    save_file({"v_th.chip.layer_1": np.full(120, 0.25), "v_th.chip.layer_2": np.zeros(3)}, file)
    assert called("chip", *CHIP, f"substrate.chip.file={file}", "--json") == 0
    mixed = json.loads(capsys.readouterr().out)
    called("chip", *CHIP, "--json")
    drawn = json.loads(capsys.readouterr().out)
    assert mixed[0] == {"quantity": "v_th.chip", "layer": 1, "n": 120, "mean": 0.25, "std": 0, "min": 0.25, "max": 0.25}
    assert [row for row in mixed if row["quantity"] != "v_th.chip"] == drawn[2:]


def test_a_folder_with_something_else_in_it_is_not_for_a_chip(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for flags, line in (((), "is not empty"), (("--overwrite",), "is not the folder of a chip")):
        assert called("chip", *CHIP, "--out", str(tmp_path), *flags) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith(f"ttfsrun: {tmp_path} {line}")
        assert len(printed.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
