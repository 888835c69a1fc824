"""The figures of a sweep, from its folder or from its table alone."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ttfsrun.config import introspection
from ttfsrun.config.schema import Config
from ttfsrun.errors import CannotWrite, UserError, sweep_exit_code
from ttfsrun.results.curves import StoredCurves, curve_rows
from ttfsrun.results.record import Attempt
from ttfsrun.results.sweep_folder import SweepFolder, latest
from ttfsrun.results.table import CONDITION, DATA, csv_bytes, read_table, setting_columns

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ttfsrun.report.selection import PlotOptions, Supplement, SweepFigure

COLUMNS = ("point", "status", CONDITION)  # that make a table one of a sweep
SHOWN = 3  # kinds of failures
FIGURES = "figures"


@dataclass(frozen=True)
class SweepSource:
    """A sweep as far as it is there. folder: None where there is only its table."""

    path: Path
    table: pd.DataFrame
    folder: SweepFolder | None
    place: Path  # where its figures go

    @property
    def varying(self) -> list[str]:
        """The settings that vary: those with several values."""
        settings = setting_columns([str(name) for name in self.table])
        return [name for name in settings if self.table[name].nunique(dropna=False) > 1]

    def beside(self) -> Supplement:
        from ttfsrun.figures.decision_map import NAMES
        from ttfsrun.report.selection import Supplement

        data = self._data()
        return Supplement(
            classes=_classes(*data) if len(data) == 1 else None,
            names=list(NAMES) if "yin_yang" in data else None,
            confusion=_confusion(self.folder, self.table) if self.folder else None,
            curves=self._curves(),
        )

    def _data(self) -> list[str]:
        """The names of the data."""
        return [str(name) for name in self.table[DATA].unique()] if DATA in self.table else []

    def _curves(self) -> pd.DataFrame | None:
        import pandas as pd

        if self.folder:
            return _stored_curves(self.folder, self.table, self.varying)
        beside = (self.path if self.path.is_dir() else self.path.parent) / "curves.csv"
        return pd.read_csv(beside, dtype={"point": str}) if beside.exists() else None


class _Matrix(msgspec.Struct, frozen=True):
    confusion: list[list[int]] | None = None


class _Tested(msgspec.Struct, frozen=True):
    test: _Matrix


class _Result(_Tested, frozen=True):
    conditions: list[_Tested] = []


class _Confused(Attempt, frozen=True, kw_only=True):
    result: _Result | None = None


def plot_sweep(path: Path, wishes: PlotOptions, out: Path | None) -> tuple[list[str], int]:
    """Write all figures that there are; returns the lines to say and the exit code. A UserError for a mistake."""
    from ttfsrun.report.selection import select_figures

    source = find_source(path)
    counts = Counter(source.table.drop_duplicates("point")["status"])
    code = sweep_exit_code(counts)
    found = select_figures(source.table, source.varying, wishes, source.beside())
    if not found:
        return _why_none(source, counts, wishes), code
    lines = list(_written(found, out or source.place))
    told = ", ".join(f"{counts[status]} {status}" for status in ("done", "failed", "missing") if counts[status])
    return [*lines, f"{counts.total()} point{'s' * (counts.total() != 1)}: {told}"], code


def find_source(path: Path) -> SweepSource:
    """A sweep's folder, a folder with its table, or the table."""
    if path.is_dir() and (path / "sweep.yaml").exists() and (path / "points.jsonl").exists():
        folder = SweepFolder(path)
        table = read_table(folder)
        return SweepSource(path, _parsed(csv_bytes(table.columns, table.rows), path), folder, path / FIGURES)
    file = path / "table.csv" if path.is_dir() else path
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        what = f"has no {file.name}, and is" if path.is_dir() else "is"
        raise UserError(f"{path} {what} neither a sweep, nor a run, nor a table of a sweep") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from None
    return SweepSource(path, _parsed(content, file), None, file.parent / FIGURES)


def _parsed(content: bytes, file: Path) -> pd.DataFrame:
    """Text stays text; only an empty cell, or nan, is no value."""
    import pandas as pd

    kinds: Any = dict.fromkeys(("sweep", "point", "status", CONDITION, "reason", "message"), str)
    try:
        table = pd.read_csv(io.BytesIO(content), dtype=kinds, keep_default_na=False, na_values=["", "nan"])
    except ValueError as error:
        raise UserError(f"{file}: cannot be read as a table: {' '.join(str(error).split())}") from None
    lacking = [name for name in COLUMNS if name not in table]
    if lacking:
        raise UserError(
            f"{file} is not the table of a sweep, as ttfsrun gather writes it: it lacks {', '.join(lacking)}"
        )
    return table


def _written(found: list[SweepFigure], place: Path) -> Iterator[str]:
    from ttfsrun.figures import style

    for drawing in found:
        try:
            files = style.save(drawing.figure, place / drawing.name, drawing.numbers, vector=True)
        except CannotWrite as error:
            raise CannotWrite(f"{error}; name another folder with --out") from None
        endings = ", ".join(file.suffix for file in files[1:])
        yield f"{files[0]} ({endings}): {drawing.caption}"


def _why_none(source: SweepSource, counts: Counter[str], wishes: PlotOptions) -> list[str]:
    """Why there is nothing to draw, in a line or a few."""
    if not counts.total():
        return [f"{source.path}: nothing to draw: the table has no rows"]
    if counts["done"]:
        return [f"{source.path}: nothing to draw: no point that is done has a number for {wishes.y}"]
    lines = [f"{source.path}: nothing to draw: none of {counts.total()} points is done ({_states(counts)})"]
    failed = source.table[source.table["status"] == "failed"]
    if len(failed) and {"reason", "message"} <= set(failed):
        reasons = Counter(zip(failed["reason"].fillna("?"), failed["message"].fillna(""), strict=True))
        lines += [f"  {n} failed: {reason}: {message}" for (reason, message), n in reasons.most_common(SHOWN)]
        lines += [f"  and {len(reasons) - SHOWN} other kinds of failures"] if len(reasons) > SHOWN else []
    return lines


def _states(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[status]} {status}" for status in ("failed", "missing") if counts[status])


def _classes(name: str) -> int | None:
    known = introspection.tags(introspection.structs_of(introspection.fields(Config)["data"]))
    return getattr(known.get(name), "n_classes", None)


def _confusion(folder: SweepFolder, table: pd.DataFrame) -> list[np.ndarray | None]:
    """Of each row of the table, whose rows of a point are its own condition and the others in their order."""
    import numpy as np

    outcomes = latest(folder.records_as(_Confused))
    taken: Counter[str] = Counter()
    found: list[np.ndarray | None] = []
    for point in table["point"]:
        outcome = outcomes.get(point)
        tested = [outcome.result, *outcome.result.conditions] if outcome and outcome.result else []
        matrix = tested[taken[point]].test.confusion if taken[point] < len(tested) else None
        found.append(None if matrix is None else np.array(matrix))
        taken[point] += 1
    return found


def _stored_curves(folder: SweepFolder, table: pd.DataFrame, varying: list[str]) -> pd.DataFrame | None:
    """Those of the points that are done, with the settings that vary."""
    import pandas as pd

    done = table[table["status"] == "done"].drop_duplicates("point")
    known = {each.point: each.curves for each in folder.learning_curves_as(StoredCurves)}
    heads = dict(zip(done["point"], done[["point", *varying]].itertuples(index=False, name=None), strict=True))
    rows = [row for point, head in heads.items() if point in known for row in curve_rows(list(head), known[point])]
    return pd.DataFrame(rows, columns=["point", *varying, "split", "metric", "epoch", "value"]) if rows else None
