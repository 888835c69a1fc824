"""Runs with augmented images: their figure, and the folder of a run of a population."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from runs import SPLITS, Command, assert_same_run, read_metrics

Datasets = tuple[Path, Path]


@pytest.fixture
def run(ttfsrun: Command, two_datasets: Datasets, tiny_images: tuple[str, ...], tmp_path: Path) -> Path:
    """Two networks, of which the second is trained on images that are shifted by up to four pixels."""
    words = (*tiny_images, "training.epochs=2", "data.augmentation.shift=0,4")
    code, _, messages = ttfsrun("train", *words, "--out", tmp_path / "run")
    assert (code, messages) == (0, "")
    return tmp_path / "run"


@pytest.mark.slow
def test_only_a_network_with_augmentation_has_the_figure_and_plot_renews_it(ttfsrun: Command, run: Path) -> None:
    plain, shifted = (run / f"data.augmentation.shift={shift}" for shift in (0, 4))
    assert not (plain / "figures" / "augmentation.png").exists()
    figure, numbers = (shifted / "figures" / f"augmentation.{kind}" for kind in ("png", "csv"))
    before = figure.read_bytes(), numbers.read_bytes()
    pixels = pd.read_csv(numbers).pivot(index=["image", "epoch"], columns=["row", "column"], values="pixel").to_numpy()
    pixels = pixels.reshape(4, 3, 256)
    assert (pixels[:, 0] == np.arange(4)[:, None]).all()  # each image is of one grey, its number
    assert (pixels[1:, 1:] == 0).any()  # white was shifted in
    figure.unlink()
    numbers.unlink()
    assert ttfsrun("plot", run)[0] == 0
    assert (figure.read_bytes(), numbers.read_bytes()) == before
    assert not (plain / "figures" / "augmentation.png").exists()


@pytest.mark.slow
def test_a_run_of_augmented_images_that_was_killed_at_once_starts_again(
    ttfsrun: Command, run: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    for folder in run.glob("*/"):
        (again / folder.name).mkdir(parents=True)
        (again / folder.name / "config.yaml").write_bytes((folder / "config.yaml").read_bytes())
    assert ttfsrun("train", "--resume", again)[0] == 0
    for folder in run.glob("*/"):
        assert_same_run(again / folder.name, folder)


@pytest.mark.slow
def test_an_evaluation_never_changes_an_image(ttfsrun: Command, run: Path) -> None:
    shifted = run / "data.augmentation.shift=4"
    metrics = read_metrics(shifted)
    for words in ((), ("data.augmentation.shift=0",)):
        code, output, messages = ttfsrun("evaluate", shifted, *words, "--json")
        assert (code, messages) == (0, "")
        again = json.loads(output)
        for split in SPLITS:
            del again[split]["samples_per_second"]
            assert again[split] == metrics[split]
