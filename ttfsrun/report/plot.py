"""The verb `plot` for a sweep: its figures, from its folder or from its table alone."""

from __future__ import annotations

import io
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ttfsrun.config import introspection
from ttfsrun.config.schema import Config
from ttfsrun.errors import CannotWrite, UserError, sweep_exit_code
from ttfsrun.files import read_file
from ttfsrun.results.claim import claimed_folder
from ttfsrun.results.sweep_folder import SweepFolder, latest
from ttfsrun.results.table import CONDITION, DATA, Table, read_table, setting_columns
from ttfsrun.results.table_files import NAME, TableFiles
from ttfsrun.results.views import AccuracyCurves, ConfusionView
from ttfsrun.results.wording import states, status_line

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ttfsrun.report.selection import PlotOptions, Supplement, SweepFigure

log = logging.getLogger(__name__)

REQUIRED_COLUMNS = ("point", "status", CONDITION)  # of the table of a sweep
CURVE_COLUMNS = ("point", "split", "metric", "epoch", "value")
TEXT_COLUMNS = ("sweep", "point", "status", CONDITION, "reason", "message")
MAX_LISTED = 3  # kinds of failures


@dataclass(frozen=True)
class SweepSource:
    """What the figures of a sweep are made from. folder: None where there is only its table."""

    path: Path
    table: pd.DataFrame
    folder: SweepFolder | None
    files: TableFiles
    counts: Counter[str] | None = None  # of all points by status; None: of those in the table

    @classmethod
    def from_folder(cls, folder: SweepFolder, table: Table) -> SweepSource:
        """Return the source for a sweep's folder and its table, with or without the settings that do not vary."""
        constant = [key for key in setting_columns(table.columns) if key not in (*table.varying, DATA)]
        shown = table.frame(without=constant)
        return cls(folder.path, shown, folder, TableFiles(folder.table), table.counts())

    @property
    def varying(self) -> list[str]:
        """The settings with several values."""
        settings = setting_columns([str(name) for name in self.table])
        return [name for name in settings if self.table[name].nunique(dropna=False) > 1]

    def supplement(self) -> Supplement:
        """Return the data of the sweep that its table lacks, as far as it is available."""
        from ttfsrun.figures.decision_map import NAMES
        from ttfsrun.report.selection import Supplement

        data = self._data_names()
        return Supplement(
            classes=_n_classes(*data) if len(data) == 1 else None,
            names=list(NAMES) if "yin_yang" in data else None,
            confusion=_confusion_matrices(self.folder, self.table) if self.folder else None,
            curves=self._curves(),
        )

    def _data_names(self) -> list[str]:
        return [str(name) for name in self.table[DATA].unique()] if DATA in self.table else []

    def _curves(self) -> pd.DataFrame | None:
        if self.folder:
            return _learning_curves(self.folder, self.table, self.varying)
        return _gathered_curves(self.files, self.table) if self.files.curves.exists() else None


def plot_sweep(path: Path, options: PlotOptions, out: Path | None) -> tuple[list[str], int]:
    """Write every figure that the results allow; return the lines to print, and the exit code.

    path: a sweep's folder, a folder with its table, or the table. out: the folder for figures; None: `figures/` in the
    sweep's folder, or a folder named after the table. Warns of figures of an earlier plot, which are left. Raises
    UserError where path is none of these, an option names no column, a file that is no figure would be replaced, or
    another process writes to the folder, and CannotWrite.
    """
    from ttfsrun.report.selection import select_figures

    source = find_source(path)
    counts = source.counts or Counter(source.table.drop_duplicates("point")["status"])
    code = sweep_exit_code(counts)
    figures = select_figures(source.table, source.varying, options, source.supplement())
    if not figures:
        return _reasons_for_no_figure(source, counts, options), code
    target = out or source.files.figures
    with claimed_folder(target):
        lines = list(_write_figures(figures, target))
    _warn_of_earlier_figures(target, {figure.name for figure in figures})
    return [*lines, status_line(counts)], code


def find_source(path: Path) -> SweepSource:
    """Return the source at a path: a sweep's folder, a folder with its table, or the table.

    Raises UserError where path is none of these, or the table cannot be read.
    """
    if path.is_dir() and (path / "sweep.yaml").exists() and (path / "points.jsonl").exists():
        folder = SweepFolder(path)
        return SweepSource.from_folder(folder, read_table(folder))
    file = path / NAME if path.is_dir() else path
    try:
        content = read_file(file)
    except FileNotFoundError:
        detail = f"it has no {file.name}" if path.is_dir() else "no such file"
        raise UserError(f"{path} is neither a sweep, nor a run, nor a table of a sweep: {detail}") from None
    return SweepSource(path, _parse_table(content, file), None, TableFiles(file))


def _parse_table(content: bytes, file: Path, required: Sequence[str] = REQUIRED_COLUMNS) -> pd.DataFrame:
    """Return a table from CSV. Text stays text; only an empty cell, or nan, is a missing value."""
    import pandas as pd

    kinds: Any = dict.fromkeys(TEXT_COLUMNS, str)
    try:
        table = pd.read_csv(
            io.BytesIO(content),
            dtype=kinds,
            keep_default_na=False,
            na_values=["", "nan"],
        )
    except ValueError as error:
        raise UserError(f"{file}: cannot be read as a table: {' '.join(str(error).split())}") from None
    missing = [name for name in required if name not in table]
    if missing:
        raise UserError(f"{file} is not a table of a sweep from ttfsrun gather: no column {', '.join(missing)}")
    return table


def _write_figures(figures: list[SweepFigure], folder: Path) -> Iterator[str]:
    """Write figures; yield a line on each. Raises UserError where another file has the name of their numbers."""
    from ttfsrun.figures import style

    for figure in figures:
        numbers = folder / f"{figure.name}.csv"
        if numbers.exists() and not numbers.with_suffix(".png").exists():
            raise UserError(f"{numbers}: exists and is not of a figure; name another folder with --out")
    for figure in figures:
        try:
            files = style.save(figure.figure, folder / figure.name, figure.numbers, vector=True)
        except CannotWrite as error:
            raise CannotWrite(f"{error}; name another folder with --out") from None
        endings = ", ".join(file.suffix for file in files[1:])
        yield f"{files[0]} ({endings}): {figure.caption}"


def _warn_of_earlier_figures(folder: Path, new: set[str]) -> None:
    """Warn of figures in the folder that were not written now: they may be of another table."""
    others = [
        path.stem
        for path in sorted(folder.glob("*.png"))
        if path.stem not in new and all(path.with_suffix(suffix).exists() for suffix in (".pdf", ".csv"))
    ]
    if others:
        log.warning("%s: also has figures of an earlier plot: %s", folder, ", ".join(others))


def _reasons_for_no_figure(source: SweepSource, counts: Counter[str], options: PlotOptions) -> list[str]:
    """Return lines that say why there is nothing to plot."""
    if not counts.total():
        return [f"{source.path}: nothing to plot: the table has no rows"]
    if counts["done"]:
        return [f"{source.path}: nothing to plot: no point that is done has a number for {options.y}"]
    lines = [f"{source.path}: nothing to plot: none of {counts.total()} points is done ({states(counts)})"]
    failed = source.table[source.table["status"] == "failed"]
    if len(failed) and {"reason", "message"} <= set(failed):
        kinds = Counter(zip(failed["reason"].fillna("?"), failed["message"].fillna(""), strict=True))
        lines += [f"  {n} failed: {reason}: {message}" for (reason, message), n in kinds.most_common(MAX_LISTED)]
        lines += [f"  and {len(kinds) - MAX_LISTED} other kinds of failures"] if len(kinds) > MAX_LISTED else []
    return lines


def _n_classes(name: str) -> int | None:
    """Return the number of classes of the data with this name; None where the name is unknown."""
    alternatives = introspection.tags(introspection.structs_of(introspection.fields(Config)["data"]))
    return getattr(alternatives.get(name), "n_classes", None)


def _confusion_matrices(folder: SweepFolder, table: pd.DataFrame) -> list[np.ndarray | None]:
    """Return the confusion matrix of each row; the rows of a point are its own condition and the others in order."""
    import numpy as np

    points = set(table["point"])
    records = latest(record for record in folder.records_as(ConfusionView) if record.point in points)
    n_rows: Counter[str] = Counter()  # of each point so far
    matrices: list[np.ndarray | None] = []
    for point in table["point"]:
        record = records.get(point)
        conditions = [record.result, *record.result.conditions] if record and record.result else []
        matrix = conditions[n_rows[point]].test.confusion if n_rows[point] < len(conditions) else None
        matrices.append(None if matrix is None else np.array(matrix, dtype=np.int32))
        n_rows[point] += 1
    return matrices


def _gathered_curves(files: TableFiles, table: pd.DataFrame) -> pd.DataFrame | None:
    """Return the learning curves that were gathered with a table; None, with a warning, where they belong to another.

    They belong to it if they are of the same sweep, and of the points that are done in the table, all of them.
    """
    curves = _parse_table(read_file(files.curves), files.curves, CURVE_COLUMNS)
    done = table[table["status"] == "done"]
    for column in ("sweep", "point"):
        of_curves, of_table = (set(part[column]) if column in part else None for part in (curves, done))
        if None not in (of_curves, of_table) and of_curves != of_table:
            log.warning(
                "%s: not plotted, as it belongs to another table than %s (other %ss); gather both again with --curves",
                *(files.curves, files.table, column),
            )
            return None
    return _joined(curves)


def _joined(values: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each learning curve of the accuracy, given a row for each epoch."""
    import pandas as pd

    accuracies = values[values["metric"] == "accuracy"].sort_values("epoch", kind="stable")
    curves = accuracies.groupby(["point", "split"], sort=False)
    first = curves.head(1).drop(columns=["metric", "epoch", "value"]).reset_index(drop=True)
    return first.assign(accuracy=pd.Series([curve.to_numpy(dtype=float) for _, curve in curves["value"]], dtype=object))


def _learning_curves(folder: SweepFolder, table: pd.DataFrame, varying: list[str]) -> pd.DataFrame | None:
    """Return the learning curves of the points that are done, with the settings that vary; None without any."""
    import numpy as np
    import pandas as pd

    done = table[table["status"] == "done"].drop_duplicates("point")
    heads = dict(zip(done["point"], done[["point", *varying]].itertuples(index=False, name=None), strict=True))
    rows = {
        (stored.point, split): (*heads[stored.point], split, np.array(curve.accuracy, dtype=float))
        for stored in folder.learning_curves_as(AccuracyCurves)
        if stored.point in heads
        for split, curve in stored.curves.items()
    }
    return pd.DataFrame(list(rows.values()), columns=["point", *varying, "split", "accuracy"]) if rows else None
