"""The table of a sweep: one row per point and condition, made from the records in its folder.

The columns follow from the frozen points alone, so the table of an unfinished sweep has the same ones; only `device` is
one as soon as a GPU has computed a point. A point that failed or has not run yet has a row without numbers.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from ttfsrun.config.dotted_keys import ABSENT, Tree, leaves, lookup
from ttfsrun.errors import UserError
from ttfsrun.results.columns import (
    DEVICE,
    SPLITS,
    Row,
    condition_metrics,
    execution_names,
    execution_row,
    metric_names,
)
from ttfsrun.results.csv_lines import csv_lines
from ttfsrun.results.record import CPU
from ttfsrun.results.sweep_folder import SweepFolder, SweepPoint, latest
from ttfsrun.results.views import ConditionView, DataSource, ResultView, TableRecord

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

DATA = "data.name"  # a column even where all points share the data: the level of chance depends on it
CONDITION = "condition"  # the column, and the prefix of the columns of a condition's own settings
CHUNK = 1000  # rows that become lines at once
MAX_NAMED = 5  # points that a warning names
FIRST = ("sweep", "point", "status")
TYPES: dict[str, Any] = {  # of the columns that are neither settings nor metrics
    **dict.fromkeys([*FIRST, CONDITION, "reason", "message", "host", DEVICE, "job", "git_sha", "package"], object),
    **dict.fromkeys(["epoch", "population", "threads", *(f"{split}_trials" for split in SPLITS)], "Int64"),
    **dict.fromkeys(["perturbed", "git_dirty"], "boolean"),
    **dict.fromkeys(["seconds", "memory_mb"], float),
}


_RESULT = msgspec.json.Decoder(ResultView)


@dataclass(frozen=True)
class Table:
    """Columns by name, and rows in the order of the points and of their conditions."""

    columns: list[str]
    varying: list[str]  # the settings that vary
    metrics: list[str]  # the columns of metrics
    types: dict[str, Any]  # of the columns of settings
    rows: list[Row]

    def csv(self) -> Iterator[bytes]:
        """Yield the lines of the table as CSV: floats to the last digit, empty where there is no value."""
        yield from csv_lines([self.columns])
        first = self.columns.index(self.metrics[0])
        for start in range(0, len(self.rows), CHUNK):
            yield from csv_lines(self.rows[start : start + CHUNK], slice(first, first + len(self.metrics)))

    def frame(self, without: Sequence[str] = ()) -> pd.DataFrame:
        """Return the table as a data frame; integers stay integers where some are missing, whichever these are.

        without: columns to leave out.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                name: self._series(name, [row[number] for row in self.rows])
                for number, name in enumerate(self.columns)
                if name not in without
            },
            copy=False,
        )

    def points(self) -> list[str]:
        """Return the ids of the points, in their order."""
        point = self.columns.index("point")
        return list(dict.fromkeys(row[point] for row in self.rows))

    def counts(self) -> Counter[str]:
        """Return the number of points with each status."""
        status, point = self.columns.index("status"), self.columns.index("point")
        return Counter({row[point]: row[status] for row in self.rows}.values())

    def _series(self, name: str, values: Sequence[Any]) -> pd.Series[Any]:
        import pandas as pd

        kind: Any = self.types.get(name) or TYPES.get(name, float)
        if name == "chip":  # a number, unless a file is among them
            kind = column_type(values, whole=False) if any(isinstance(value, str) for value in values) else "Int64"
        if kind is object:
            values = [None if value is None else str(value) for value in values]
        column: pd.Series[Any] = pd.Series(values, dtype=kind)
        return column


def setting_columns(columns: Sequence[str]) -> list[str]:
    """Return the columns of settings among those of a table: the ones between `status` and `condition`."""
    return list(columns[columns.index(FIRST[-1]) + 1 : columns.index(CONDITION)])


def read_table(
    folder: SweepFolder,
    *,
    every_setting: bool = False,
    bare: bool = False,
    is_kept: Callable[[str], bool] = lambda name: True,
) -> Table:
    """Read the table of a sweep, finished or not.

    is_kept: whether a metric, or a column after the metrics, is kept: of many points, each column takes memory.

    Warns where two records contradict each other, or come from other code or data. Raises UserError where the folder
    is no sweep, or a record cannot be read.
    """
    points = folder.points
    records = _read_records(folder)
    _warn_of_other_code(folder, records.values())
    _warn_of_mixed_data(folder, points, records)
    varying = list(dict.fromkeys(key for point in points.values() for key in point.settings))
    values = [_settings(point, varying, every_setting) for point in points.values()]
    settings = list(dict.fromkeys([*varying, *(key for of_point in values for key in of_point)]))
    configs = [point.config for point in points.values()]
    grid = _grid(configs)
    types = {key: column_type([of_point.get(key) for of_point in values]) for key in settings}
    types |= {f"{CONDITION}.{key}": column_type(listed, whole=False) for key, listed in grid.items()}
    n_layers = max((len(config["network"]["hidden"]) for config in configs), default=0) + 1
    gpus = any(record.execution.device != CPU for record in records.values())
    layout = Layout(list(grid), n_layers, () if bare else execution_names(gpus))
    first = FIRST[1:] if bare else FIRST
    columns = layout.columns()
    after = columns.index(layout.metrics()[0])  # what comes before is always kept
    kept = [number for number, name in enumerate(columns) if number < after or is_kept(name)]
    name = [] if bare else [folder.about.get("name", folder.path.resolve().name)]
    rows = []
    for point, of_point in zip(points, values, strict=True):
        record = records.pop(point, None)  # its text is no longer needed
        head = [*name, point, record.status if record else "missing", *(of_point.get(key) for key in settings)]
        if len(kept) == len(columns):
            rows += [head + row for row in layout.rows(record)]
        else:
            rows += [head + [row[number] for number in kept] for row in layout.rows(record)]
    metrics = [name for name in layout.metrics() if is_kept(name)]
    return Table([*first, *settings, *(columns[number] for number in kept)], varying, metrics, types, rows)


@dataclass(frozen=True)
class Layout:
    """The columns after those of the settings, and the values of a point in them."""

    grid: list[str]  # the settings by which conditions of one name differ
    n_layers: int  # of the deepest network
    execution: Sequence[str]  # the columns of the execution

    def metrics(self) -> list[str]:
        return [name for split in SPLITS for name in metric_names(split, self.n_layers)]

    def columns(self) -> list[str]:
        condition = [CONDITION, *(f"{CONDITION}.{key}" for key in self.grid), "perturbed", "chip", "epoch"]
        return [*condition, *self.metrics(), "reason", "message", *self.execution]

    @cached_property
    def _width(self) -> int:
        return len(self.columns())

    def rows(self, record: TableRecord | None) -> Iterator[Row]:
        """Yield a row for each condition of a point that is done, its own first; else one row without numbers."""
        width = self._width
        if record is None:
            yield [None] * width
            return
        tail = [record.reason, _one_line(record.message), *execution_row(record.execution, self.execution)]
        if record.status == "failed":
            yield [None] * (width - len(tail)) + tail
            return
        for row in self._metrics(record):
            yield row + tail

    def _metrics(self, record: TableRecord) -> Iterator[Row]:
        try:
            result = _RESULT.decode(record.result)
        except msgspec.MsgspecError as error:
            raise UserError(f"point {record.point}: this version cannot read its record: {error}") from None
        own: ConditionView = result
        for condition in (own, *result.conditions):
            cells = _cells(condition.settings.items()) if condition.settings else {}
            name = [condition.condition, *(cells.get(key) for key in self.grid)]
            place = [condition.perturbed, condition.chip, result.epoch]
            yield [*name, *place, *condition_metrics(condition, self.n_layers)]


def _read_records(folder: SweepFolder) -> dict[str, TableRecord]:
    """Return the record that counts for each point. Warns where one was computed twice with different numbers."""
    attempts = list(folder.records_as(TableRecord))
    chosen = latest(attempts)
    repeated = [record for record in attempts if record.status == "done" and record is not chosen[record.point]]
    contradicted = dict.fromkeys(r.point for r in repeated if not _same_numbers(r.result, chosen[r.point].result))
    if contradicted:
        names = ", ".join(list(contradicted)[:MAX_NAMED]) + (", ..." if len(contradicted) > MAX_NAMED else "")
        log.warning(
            "%s: %d points were computed twice, with DIFFERENT numbers, which must not happen: %s. "
            "The first result counts",
            *(folder.path, len(contradicted), names),
        )
    return chosen


def _same_numbers(one: msgspec.Raw, other: msgspec.Raw) -> bool:
    """Tell whether two results have the same numbers; the source of the data does not count."""
    if bytes(one) == bytes(other):
        return True
    first, second = (msgspec.json.decode(result) for result in (one, other))
    return bool({**first, "data": None} == {**second, "data": None})


def _warn_of_other_code(folder: SweepFolder, records: Iterable[TableRecord]) -> None:
    submitted = folder.about.get("package")
    others = Counter(record.execution.package for record in records if record.execution.package != submitted)
    if submitted is not None and others:
        log.warning(
            "%s: %d points were computed by other code (%s) than the sweep was made with (%s)",
            folder.path,
            others.total(),
            ", ".join(package[:12] for package in sorted(others)),
            submitted[:12],
        )


def _warn_of_mixed_data(
    folder: SweepFolder, points: Mapping[str, SweepPoint], records: Mapping[str, TableRecord]
) -> None:
    """Warn where points with the same data settings were computed on different data: only results know the source."""
    decoder = msgspec.json.Decoder(DataSource)
    sources: dict[int, set[frozenset[tuple[str, str]]]] = {}  # by the id of the settings, which equal points share
    for point, record in records.items():
        if record.status == "done" and point in points:
            source = decoder.decode(record.result).data
            sources.setdefault(id(points[point].config["data"]), set()).add(frozenset(source.items()))
    if any(len(different) > 1 for different in sources.values()):
        log.warning("%s: its points were NOT computed on the same data: see result.data in shards/", folder.path)


def _settings(point: SweepPoint, varying: Sequence[str], every: bool) -> dict[str, Any]:
    """Return the settings of a point that have columns: as they were requested, else as its configuration has them."""
    settings, config = _cells(point.settings.items()), point.config
    name = {DATA: config["data"]["name"]}
    if not every and len(settings) == len(varying):
        return settings | name
    others = ((key, lookup(config, key)) for key in varying if key not in settings)
    settings |= _cells((key, value) for key, value in others if value is not ABSENT)
    return (_cells(leaves(config)) if every else {}) | settings | name


def _cells(settings: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return settings as cells: lists and groups as text, the way the command line takes them."""
    return {
        key: msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value for key, value in settings
    }


def _grid(configs: Iterable[Tree]) -> dict[str, list[Any]]:
    """Return the settings by which conditions of one name differ, with their values; chips have a column anyway."""
    grid: dict[str, list[Any]] = {}
    different = {id(config["evaluation"]): config["evaluation"] for config in configs}
    for evaluation in different.values():
        for changes in evaluation["conditions"].values():
            for key, values in leaves(changes):
                if isinstance(values, list) and key != "seed.chip":
                    grid.setdefault(key, []).extend(values)
    return grid


def _one_line(text: str | None) -> str | None:
    return None if text is None else " ".join(text.split())


def column_type(values: Sequence[Any], whole: bool = True) -> Any:
    """Return the type of a column with these values: text where they are of several. whole: no row lacks a value."""
    kinds = {type(value) for value in values if value is not None}
    whole = whole and None not in values
    if kinds == {bool}:
        return bool if whole else "boolean"
    if kinds == {int}:
        return "int64" if whole else "Int64"
    return float if kinds and kinds <= {int, float} else object
