"""The table of a sweep, and the files that are named after it.

    table.csv    aggregate.csv     curves.csv     table.parquet    figures/
    bits.csv     bits.aggregate.csv    bits.curves.csv    bits.parquet    bits.figures/

so that the tables of several sweeps can be in one folder. No other file is replaced: what is there must be a file of
its kind, which its content shows.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ttfsrun.errors import UserError
from ttfsrun.files import writing

NAME = "table.csv"
PARQUET = b"PAR1"  # the first bytes of every such file


@dataclass(frozen=True)
class TableFiles:
    """The paths of a table and of the files that belong to it."""

    table: Path

    @property
    def aggregate(self) -> Path:
        return self._named("aggregate.csv")

    @property
    def curves(self) -> Path:
        return self._named("curves.csv")

    @property
    def figures(self) -> Path:
        return self._named("figures")

    @property
    def parquet(self) -> Path:
        return self.table.with_suffix(".parquet")

    def _named(self, name: str) -> Path:
        return self.table.with_name(name if self.table.name == NAME else f"{self.table.stem}.{name}")

    def check(self) -> None:
        """Raise UserError where the name is not that of a table, or a file of another kind would be replaced.

        Raises CannotWrite where a file cannot be read.
        """
        with writing(self.table):
            if self.table.suffix != ".csv":
                example = self.table / "bits.csv" if self.table.is_dir() else self.table.with_suffix(".csv")
                raise UserError(f"--out {self.table}: the table is CSV; its name must end in .csv, as {example}")
            for path, (kind, is_of_kind) in self._kinds().items():
                start = _first_line(path)
                if start and not is_of_kind(start):
                    raise UserError(f"{path}: exists and is not {kind} of a sweep; name another file with --out")

    def _kinds(self) -> Mapping[Path, tuple[str, Callable[[bytes], bool]]]:
        return {
            self.table: ("the table", _has_columns("point", "status", "condition")),
            self.aggregate: ("the aggregate", _has_columns("metric", "n", "mean")),
            self.curves: ("the learning curves", _has_columns("point", "split", "metric", "epoch", "value")),
            self.parquet: ("the table", lambda start: start.startswith(PARQUET)),
        }


def _first_line(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as stream:
        return stream.readline()


def _has_columns(*names: str) -> Callable[[bytes], bool]:
    """Return a test of the first line of a file: whether it has these columns."""
    return lambda start: set(names) <= set(next(csv.reader([start.decode(errors="replace")]), []))
