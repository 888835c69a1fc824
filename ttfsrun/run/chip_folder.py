"""The folder of a chip: the file that a training can use, what is in it as a table and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ttfsrun.errors import UserError
from ttfsrun.figures import chip as figure
from ttfsrun.figures import style
from ttfsrun.files import write_atomic
from ttfsrun.run.folder import is_occupied, make_folder
from ttfsrun.substrate.chip import Chip


@dataclass(frozen=True)
class ChipFolder:
    """All paths of one chip, and how its files are written."""

    path: Path

    @property
    def chip(self) -> Path:
        return self.path / "chip.safetensors"

    @property
    def summary(self) -> Path:
        return self.path / "summary.csv"

    @property
    def figure(self) -> Path:
        """The picture; its numbers lie beside it."""
        return self.path / "chip.png"

    def check(self, overwrite: bool) -> None:
        """Refuse a folder with something in it, unless this is a chip to overwrite."""
        if not is_occupied(self.path):
            return
        if not overwrite:
            raise UserError(
                f"{self.path} is not empty: choose another folder with --out, or replace it with --overwrite"
            )
        if not self.chip.exists():
            raise UserError(f"{self.path} is not the folder of a chip: it has no {self.chip.name}")

    def write(self, chip: Chip, units: Mapping[str, str]) -> None:
        """All files of a chip; where nothing was drawn there is no picture. units: see `figures.chip`."""
        make_folder(self.path)
        for path in (self.figure, self.figure.with_suffix(".csv")):
            path.unlink(missing_ok=True)
        chip.save(self.chip)
        write_atomic(self.summary, chip.summary().to_csv(index=False, lineterminator="\n").encode())
        if chip.drawn:
            style.save(figure.chip(chip.drawn, units), self.figure, figure.table(chip.drawn))
