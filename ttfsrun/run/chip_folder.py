"""The folder of a chip: the file that a training can use, and its content as a table and as a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ttfsrun.errors import UserError
from ttfsrun.figures import chip as figure
from ttfsrun.figures import style
from ttfsrun.files import write_atomic, writing
from ttfsrun.results.claim import claimed_folder, is_occupied
from ttfsrun.run.folder import require_no_file
from ttfsrun.substrate.chip import Chip


@dataclass(frozen=True)
class ChipFolder:
    """The paths of one chip's files, which it writes."""

    path: Path

    @property
    def chip(self) -> Path:
        """The chip itself, as a training reads it."""
        return self.path / "chip.safetensors"

    @property
    def summary(self) -> Path:
        """The table of what was drawn for the chip."""
        return self.path / "summary.csv"

    @property
    def figure(self) -> Path:
        """The figure; its table is beside it."""
        return self.path / "chip.png"

    @contextmanager
    def claimed(self, overwrite: bool) -> Iterator[None]:
        """Claim the folder during the block.

        Raises Claimed where another process writes to it, UserError where it is not empty, unless it holds a chip to
        overwrite, and CannotWrite.
        """
        require_no_file(self.path)
        with claimed_folder(self.path):
            self._check(overwrite)
            yield

    def _check(self, overwrite: bool) -> None:
        if not is_occupied(self.path):
            return
        if not overwrite:
            raise UserError(
                f"{self.path} is not empty: choose another folder with --out, or replace it with --overwrite"
            )
        if not self.chip.exists():
            raise UserError(f"{self.path} is not the folder of a chip: it has no {self.chip.name}")

    def write(self, chip: Chip, units: Mapping[str, str]) -> None:
        """Write all files of a chip to the claimed folder, the figure only where random numbers were drawn for it.

        units: see `figures.chip`. Raises CannotWrite where a file cannot be written; a figure that fails is logged.
        """
        for path in (self.figure, self.figure.with_suffix(".csv")):
            with writing(path):
                path.unlink(missing_ok=True)
        chip.save(self.chip)
        write_atomic(self.summary, chip.summary().to_csv(index=False, lineterminator="\n").encode())
        if not chip.drawn:
            return
        with style.only_warns("ttfsrun chip plots it again with --overwrite"):
            style.save(figure.chip(chip.drawn, units), self.figure, figure.table(chip.drawn))
