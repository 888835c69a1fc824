"""A chip's folder: its file, its table and its figure, and nobody else's files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from ttfsrun.config.compose import compose
from ttfsrun.config.schema import Config
from ttfsrun.errors import CannotWrite, UserError
from ttfsrun.run.chip_folder import ChipFolder
from ttfsrun.substrate.chip import Chip, units

FILES = ["chip.csv", "chip.png", "chip.safetensors", "summary.csv"]


@pytest.fixture
def config() -> Config:
    return compose(["substrate=brainscales2", "seed.chip=3"])


def written(config: Config, path: Path) -> Chip:
    drawn = Chip.of(config.chip_spec)
    ChipFolder(path).write(drawn, units(config.substrate))
    return drawn


def names(path: Path) -> list[str]:
    return sorted(file.name for file in path.iterdir())


def test_a_folder_holds_file_table_picture_and_numbers(config: Config, tmp_path: Path) -> None:
    drawn = written(config, tmp_path / "deep" / "chip")
    folder = ChipFolder(tmp_path / "deep" / "chip")
    assert names(folder.path) == FILES
    assert Chip.load(folder.chip, config.chip_spec).drawn.keys() == drawn.drawn.keys()
    pd.testing.assert_frame_equal(pd.read_csv(folder.summary), drawn.summary())
    assert pd.read_csv(folder.path / "chip.csv")["count"].sum() == 123
    with Image.open(folder.figure) as image:
        image.load()  # raises on a torn file


def test_where_nothing_is_drawn_the_files_are_there_and_the_old_picture_is_not(config: Config, tmp_path: Path) -> None:
    written(config, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    written(compose([]), tmp_path)
    assert names(tmp_path) == ["chip.safetensors", "notes.txt", "summary.csv"]
    assert Chip.load(tmp_path / "chip.safetensors", config.chip_spec).drawn == {}
    assert pd.read_csv(tmp_path / "summary.csv").empty


def test_a_folder_that_is_not_empty_is_refused_unless_it_is_a_chip_to_overwrite(config: Config, tmp_path: Path) -> None:
    written(config, tmp_path / "chip")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.yaml").write_text("theirs: true\n")
    (tmp_path / "file").write_text("mine")
    for name, overwrite in (("nowhere", False), ("nowhere", True), ("chip", True)):
        with ChipFolder(tmp_path / name).claimed(overwrite):
            pass
    for name, overwrite, line in (
        ("chip", False, "is not empty"),
        ("other", False, "is not empty"),
        ("other", True, r"is not the folder of a chip: it has no chip\.safetensors"),
        ("file", True, "is a file"),
    ):
        with pytest.raises(UserError, match=line), ChipFolder(tmp_path / name).claimed(overwrite):
            pass
    with (
        pytest.raises(CannotWrite, match="cannot be written"),
        ChipFolder(tmp_path / "file" / "chip").claimed(overwrite=False),
    ):
        pass
