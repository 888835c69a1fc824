"""The table of a sweep as figures need it: plain values, the number that is drawn, statistics over replicates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ttfsrun.figures.sweep import labels
from ttfsrun.results.table import CONDITION

Value = Any  # of a setting: a number, text, true, false or None
STATISTICS = ["median", "q25", "q75", "n"]
MEASURED, HOVER = "value", "hover"  # columns of rows: the number that is drawn, and what is told of it


def plain_values(column: pd.Series[Any]) -> list[Value]:
    """The values of a column: None where there is none, every number a float."""
    return [_plain(value) for value in column.astype(object)]


def _plain(value: Any) -> Value:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    return float(value) if isinstance(value, int | float | np.number) else str(value)


def is_number(value: Value) -> bool:
    return isinstance(value, float)


def levels(values: Sequence[Value]) -> list[Value]:
    """The different values: numbers by size, others as they come, None last."""
    different = list(dict.fromkeys(values))
    numbers = sorted(value for value in different if is_number(value))
    others = [value for value in different if not is_number(value) and value is not None]
    return [*numbers, *others, *([None] if None in different else [])]


def numeric(values: Sequence[Value]) -> bool:
    """Whether all values are numbers, or none."""
    return all(value is None or is_number(value) for value in values) and any(map(is_number, values))


def plotted_values(table: pd.DataFrame, metric: str) -> pd.Series[float]:
    """The numbers of a metric as they are drawn: an accuracy as the error in per cent. NaN where there is none."""
    values = pd.to_numeric(table[metric], errors="coerce").astype(float)
    values = values.where(np.isfinite(values))
    return 100 * (1 - values) if metric.endswith("_accuracy") else values


def plain_rows(table: pd.DataFrame, settings: Sequence[str], metric: str) -> pd.DataFrame:
    """The rows that have a number, with plain values: what varies, `point`, `condition`, `chip`, and what is drawn.

    settings: columns to keep. The index is that of the table.
    """
    kept = [*settings, *(str(name) for name in table if str(name).startswith(f"{CONDITION}."))]
    columns = {
        name: plain_values(table[name]) for name in dict.fromkeys([*kept, "point", "condition", "chip", "perturbed"])
    }
    rows = pd.DataFrame(columns, index=table.index, dtype=object)
    rows[MEASURED] = plotted_values(table, metric)
    rows = rows[(table["status"] == "done") & rows[MEASURED].notna()]
    return rows.assign(**{HOVER: _told(rows, kept, metric)})


def _told(rows: pd.DataFrame, settings: Sequence[str], metric: str) -> list[str]:
    """Point, settings, condition, chip and the number of each row."""
    names = {key: key for key in settings} | {"condition": "condition", "chip": "chip"}
    columns = [[(name, value) for value in rows[key]] for key, name in names.items()]
    told = [
        ", ".join(f"{name}={labels.text(value)}" for name, value in row if value is not None)
        for row in zip(*columns, strict=True)
    ]
    unit = " %" if metric.endswith("_accuracy") else ""
    what = metric.replace("_accuracy", "_error")
    return [
        f"{what} {value:.4g}{unit}: {about}, point {point}"
        for value, about, point in zip(rows[MEASURED], told, rows["point"], strict=True)
    ]


def group_by(rows: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[tuple[Value, ...], pd.DataFrame]]:
    """The rows of each combination of values, in the order of their levels; None is a value like others."""
    if not keys:
        yield (), rows
        return
    places: dict[tuple[Value, ...], list[int]] = {}
    for place, combination in enumerate(zip(*(rows[key] for key in keys), strict=True)):
        places.setdefault(combination, []).append(place)
    order = [{value: number for number, value in enumerate(levels(list(rows[key])))} for key in keys]
    for combination in sorted(places, key=lambda each: [rank[v] for rank, v in zip(order, each, strict=True)]):
        yield combination, rows.iloc[places[combination]]


def statistics(rows: pd.DataFrame, keys: Sequence[str], column: str = MEASURED) -> pd.DataFrame:
    """Median, quartiles and number of each combination of values."""
    told = []
    for combination, group in group_by(rows, keys):
        values = group[column].to_numpy(dtype=float)
        if len(values):
            low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
            told.append((*combination, middle, low, high, len(values)))
    names = [*keys, *STATISTICS]
    columns = zip(*told, strict=True) if told else [()] * len(names)
    types = [object] * len(keys) + [float, float, float, int]
    return pd.DataFrame(
        {name: pd.Series(cells, dtype=kind) for name, cells, kind in zip(names, columns, types, strict=True)}
    )


def counted(numbers: Sequence[int] | pd.Series[int]) -> str:
    """`n = 3`, or `n = 2 to 3`."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return f"n = {low}" if low == high else f"n = {low} to {high}"
