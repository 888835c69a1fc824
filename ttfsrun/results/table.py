"""The table of a sweep: one row per point and condition, made from what stands in its folder.

Which columns there are follows from the frozen points alone: a table that is half finished has the same ones.
A point that failed, or was not run yet, has a row without numbers.
"""

from __future__ import annotations

import csv
import io
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ttfsrun.config.dotted_keys import ABSENT, leaves, lookup
from ttfsrun.errors import UserError
from ttfsrun.results.columns import EXECUTION, SPLITS, Evaluated, Outcome, Result, Row, metric_names
from ttfsrun.results.sweep_folder import PointId, SweepFolder, latest

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

DATA = "data.name"  # a column even where all points have the same: what chance is depends on it
CONDITION = "condition"  # the column, and what the columns of a condition's own settings begin with
SHOWN = 5  # points that a warning names
FIRST = ("sweep", "point", "status")
TYPES: dict[str, Any] = {  # of the columns that are neither settings nor metrics
    **dict.fromkeys([*FIRST, CONDITION, "reason", "message", "host", "job", "git_sha", "package"], object),
    **dict.fromkeys(["epoch", "population", "threads", *(f"{split}_trials" for split in SPLITS)], "Int64"),
    **dict.fromkeys(["perturbed", "git_dirty"], "boolean"),
    **dict.fromkeys(["seconds", "memory_mb"], float),
}


_RESULT = msgspec.json.Decoder(Result)


class NetworkView(msgspec.Struct, frozen=True):
    hidden: list[int]


class EvaluationView(msgspec.Struct, frozen=True):
    conditions: msgspec.Raw


class DataView(msgspec.Struct, frozen=True):
    name: str


class ConfigView(msgspec.Struct, frozen=True):
    """The settings that columns depend on."""

    data: msgspec.Raw
    network: NetworkView
    evaluation: EvaluationView


class PointView(PointId, frozen=True, kw_only=True):
    """A point whose configuration is decoded as far as it is wanted."""

    settings: dict[str, Any]
    config: msgspec.Raw


@dataclass(frozen=True)
class Table:
    """Columns by name, rows in the order of the points and of their conditions."""

    columns: list[str]
    varying: list[str]  # the settings that vary
    metrics: list[str]  # the columns of numbers that were measured
    types: dict[str, Any]  # of the columns of settings
    rows: list[Row]

    def csv(self) -> bytes:
        """The same table, the same bytes: floats to the last digit, nothing where there is no value."""
        return csv_bytes(self.columns, self.rows)

    def frame(self) -> pd.DataFrame:
        """Whole numbers stay whole where some are missing, and a column's type does not depend on which."""
        import pandas as pd

        cells = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        return pd.DataFrame(
            {name: self._series(name, values) for name, values in zip(self.columns, cells, strict=True)}
        )

    def counts(self) -> Counter[str]:
        """Points by status."""
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
    """Of the columns of a table those of settings: they stand between `status` and `condition`."""
    return list(columns[columns.index(FIRST[-1]) + 1 : columns.index(CONDITION)])


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A table in CSV."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue().encode()


def read_table(folder: SweepFolder, *, every_setting: bool = False, bare: bool = False) -> Table:
    """What the shards hold by now; warns where two of them contradict each other, or come from other code."""
    points = folder.points_as(PointView)
    outcomes = _outcomes(folder)
    _warn_of_other_code(folder, outcomes.values())
    shapes = _shapes(points.values())
    _warn_of_mixed_data(folder, dict(zip(points, shapes, strict=True)), outcomes)
    varying = list(dict.fromkeys(key for point in points.values() for key in point.settings))
    names = {data: msgspec.json.decode(data, type=DataView).name for data in {bytes(shape.data) for shape in shapes}}
    told = [
        _settings(point, varying, every_setting) | {DATA: names[bytes(shape.data)]}
        for point, shape in zip(points.values(), shapes, strict=True)
    ]
    settings = list(dict.fromkeys([*varying, *(key for own in told for key in own)]))
    grid = _grid(shapes)
    types = {key: column_type([own.get(key) for own in told]) for key in settings}
    types |= {f"{CONDITION}.{key}": column_type(values, whole=False) for key, values in grid.items()}
    layout = Layout(list(grid), max((len(shape.network.hidden) for shape in shapes), default=0) + 1, bare)
    name = [] if bare else [folder.about.get("name", folder.path.resolve().name)]
    rows = []
    for point, own in zip(points, told, strict=True):
        outcome = outcomes.get(point)
        head = [*name, point, outcome.status if outcome else "missing", *(own.get(key) for key in settings)]
        rows += [head + row for row in layout.rows(outcome)]
    first = FIRST[1:] if bare else FIRST
    return Table([*first, *settings, *layout.columns()], varying, layout.metrics(), types, rows)


@dataclass(frozen=True)
class Layout:
    """The columns behind the settings, and what of a point stands in them."""

    grid: list[str]  # the settings by which conditions of one name differ
    n_layers: int  # of the deepest network
    bare: bool

    def metrics(self) -> list[str]:
        return [name for split in SPLITS for name in metric_names(split, self.n_layers)]

    def columns(self) -> list[str]:
        condition = [CONDITION, *(f"{CONDITION}.{key}" for key in self.grid), "perturbed", "chip", "epoch"]
        return [*condition, *self.metrics(), "reason", "message", *([] if self.bare else EXECUTION)]

    def rows(self, outcome: Outcome | None) -> Iterator[Row]:
        """One for each condition of a point that is done, its own first; else one without numbers."""
        width = len(self.columns())
        if outcome is None:
            yield [None] * width
            return
        tail = [outcome.reason, _one_line(outcome.message), *([] if self.bare else outcome.execution.row())]
        if outcome.status == "failed":
            yield [None] * (width - len(tail)) + tail
            return
        for row in self._measured(outcome):
            yield row + tail

    def _measured(self, outcome: Outcome) -> Iterator[Row]:
        try:
            result = _RESULT.decode(outcome.result)
        except msgspec.MsgspecError as error:
            raise UserError(f"point {outcome.point}: its record is none that this version reads: {error}") from None
        own: Evaluated = result
        for each in (own, *result.conditions):
            cells = _cells(each.settings.items()) if each.settings else {}
            about = [each.condition, *(cells.get(key) for key in self.grid), each.perturbed, each.chip, result.epoch]
            yield about + each.row(self.n_layers)


def _outcomes(folder: SweepFolder) -> dict[str, Outcome]:
    """What counts of each point; a warning where it was done twice with different numbers."""
    attempts = list(folder.records_as(Outcome))
    chosen = latest(attempts)
    again = [each for each in attempts if each.status == "done" and each is not chosen[each.point]]
    contradicted = dict.fromkeys(each.point for each in again if not _same(each.result, chosen[each.point].result))
    if contradicted:
        names = ", ".join(list(contradicted)[:SHOWN]) + (", ..." if len(contradicted) > SHOWN else "")
        log.warning(
            "%s: %d points were done twice, with DIFFERENT numbers, which must not be: %s. The first result counts",
            *(folder.path, len(contradicted), names),
        )
    return chosen


def _same(one: msgspec.Raw, other: msgspec.Raw) -> bool:
    """Whether two results are of the same numbers; where the data lay does not count."""
    if bytes(one) == bytes(other):
        return True
    first, second = (msgspec.json.decode(result) for result in (one, other))
    return bool({**first, "data": None} == {**second, "data": None})


def _warn_of_other_code(folder: SweepFolder, outcomes: Iterable[Outcome]) -> None:
    submitted = folder.about.get("package")
    others = Counter(each.execution.package for each in outcomes if each.execution.package != submitted)
    if submitted is not None and others:
        log.warning(
            "%s: %d points were computed by other code (%s) than the sweep was made with (%s)",
            folder.path,
            others.total(),
            ", ".join(package[:12] for package in sorted(others)),
            submitted[:12],
        )


class _Sourced(msgspec.Struct, frozen=True):
    data: dict[str, str]


def _warn_of_mixed_data(folder: SweepFolder, shapes: Mapping[str, ConfigView], outcomes: Mapping[str, Outcome]) -> None:
    """The settings of the data do not know what lies in their folder; results do."""
    decoder = msgspec.json.Decoder(_Sourced)
    sources: dict[bytes, set[frozenset[tuple[str, str]]]] = {}
    for point, outcome in outcomes.items():
        if outcome.status == "done" and point in shapes:
            source = decoder.decode(outcome.result).data
            sources.setdefault(bytes(shapes[point].data), set()).add(frozenset(source.items()))
    if any(len(own) > 1 for own in sources.values()):
        log.warning(
            "%s: its points were NOT computed on the same data: result.data in shards/ tells which", folder.path
        )


def _shapes(points: Iterable[PointView]) -> list[ConfigView]:
    decoder = msgspec.json.Decoder(ConfigView)
    return [decoder.decode(point.config) for point in points]


def _settings(point: PointView, varying: Sequence[str], every: bool) -> dict[str, Any]:
    """The settings of a point that have columns: as it was asked for, or as its configuration has them."""
    own = _cells(point.settings.items())
    if not every and len(own) == len(varying):
        return own
    config = msgspec.json.decode(point.config)
    found = ((key, lookup(config, key)) for key in varying if key not in own)
    own |= _cells((key, value) for key, value in found if value is not ABSENT)
    return _cells(leaves(config)) | own if every else own


def _cells(settings: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Lists and groups as text, as one could write them on the command line."""
    return {
        key: msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value for key, value in settings
    }


def _grid(shapes: Iterable[ConfigView]) -> dict[str, list[Any]]:
    """The settings by which the conditions of one name differ, with their values; chips have a column anyway."""
    found: dict[str, list[Any]] = {}
    for conditions in dict.fromkeys(bytes(shape.evaluation.conditions) for shape in shapes):
        for changes in msgspec.json.decode(conditions).values():
            for key, values in leaves(changes):
                if isinstance(values, list) and key != "seed.chip":
                    found.setdefault(key, []).extend(values)
    return found


def _one_line(text: str | None) -> str | None:
    return None if text is None else " ".join(text.split())


def column_type(values: Sequence[Any], whole: bool = True) -> Any:
    """The type of a column with these values: text where they are of several. whole: no row is without a value."""
    kinds = {type(value) for value in values if value is not None}
    whole = whole and None not in values
    if kinds == {bool}:
        return bool if whole else "boolean"
    if kinds == {int}:
        return "int64" if whole else "Int64"
    return float if kinds and kinds <= {int, float} else object
