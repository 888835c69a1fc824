"""The table of a sweep as figures need it: plain values, the plotted number, statistics over replicates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ttfsrun.figures.sweep import labels
from ttfsrun.results.table import CONDITION

Value = Any  # of a setting: a float, a string, a bool or None
STATISTICS = ["median", "q25", "q75", "n"]
MEASURED, HOVER = "value", "hover"  # columns of rows: the plotted number, and the text of its marker


def plain_values(column: pd.Series[Any]) -> list[Value]:
    """Return the values of a column, with None where a value is missing and every number as a float."""
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
    """Return the different values: numbers in ascending order, others in order of appearance, None last."""
    different = list(dict.fromkeys(values))
    numbers = sorted(value for value in different if is_number(value))
    others = [value for value in different if not is_number(value) and value is not None]
    return [*numbers, *others, *([None] if None in different else [])]


def numeric(values: Sequence[Value]) -> bool:
    """Return whether there are numbers, and all other values are None."""
    return all(value is None or is_number(value) for value in values) and any(map(is_number, values))


def plotted_values(table: pd.DataFrame, metric: str) -> pd.Series[float]:
    """Return the numbers of a metric as plotted: an accuracy as the error in per cent. NaN where it is not finite."""
    values = pd.to_numeric(table[metric], errors="coerce").astype(float)
    values = values.where(np.isfinite(values))
    return 100 * (1 - values) if metric.endswith("_accuracy") else values


def plain_rows(table: pd.DataFrame, settings: Sequence[str], metric: str) -> pd.DataFrame:
    """Return the rows that have a number: settings, `point`, `condition`, `chip` as plain values, the plotted number.

    settings: columns to keep besides the settings of conditions. The index is that of the table.
    """
    columns_of_settings = [*settings, *(str(name) for name in table if str(name).startswith(f"{CONDITION}."))]
    columns = {
        name: plain_values(table[name])
        for name in dict.fromkeys([*columns_of_settings, "point", "condition", "chip", "perturbed"])
    }
    rows = pd.DataFrame(columns, index=table.index, dtype=object)
    rows[MEASURED] = plotted_values(table, metric)
    rows = rows[(table["status"] == "done") & rows[MEASURED].notna()]
    return rows.assign(**{HOVER: _hover_texts(rows, columns_of_settings, metric)})


def _hover_texts(rows: pd.DataFrame, settings: Sequence[str], metric: str) -> list[str]:
    """Return a text for each row: its number, settings, condition, chip and point."""
    names = {key: key for key in settings} | {"condition": "condition", "chip": "chip"}
    columns = [[(name, value) for value in rows[key]] for key, name in names.items()]
    descriptions = [
        ", ".join(f"{name}={labels.text(value)}" for name, value in row if value is not None)
        for row in zip(*columns, strict=True)
    ]
    unit = " %" if metric.endswith("_accuracy") else ""
    name = metric.replace("_accuracy", "_error")
    return [
        f"{name} {value:.4g}{unit}: {description}, point {point}"
        for value, description, point in zip(rows[MEASURED], descriptions, rows["point"], strict=True)
    ]


def group_by(rows: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[tuple[Value, ...], pd.DataFrame]]:
    """Yield each combination of values with its rows, in the order of `levels`; None is a value like any other."""
    if not keys:
        yield (), rows
        return
    positions: dict[tuple[Value, ...], list[int]] = {}
    for position, combination in enumerate(zip(*(rows[key] for key in keys), strict=True)):
        positions.setdefault(combination, []).append(position)
    ranks = [{value: rank for rank, value in enumerate(levels(list(rows[key])))} for key in keys]
    for combination in sorted(positions, key=lambda values: [rank[v] for rank, v in zip(ranks, values, strict=True)]):
        yield combination, rows.iloc[positions[combination]]


def statistics(rows: pd.DataFrame, keys: Sequence[str], column: str = MEASURED) -> pd.DataFrame:
    """Return the median, the quartiles and the number of the values of a column, for each combination of `keys`."""
    records = []
    for combination, group in group_by(rows, keys):
        values = group[column].to_numpy(dtype=float)
        if len(values):
            low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
            records.append((*combination, median, low, high, len(values)))
    names = [*keys, *STATISTICS]
    columns = zip(*records, strict=True) if records else [()] * len(names)
    types = [object] * len(keys) + [float, float, float, int]
    return pd.DataFrame(
        {name: pd.Series(cells, dtype=kind) for name, cells, kind in zip(names, columns, types, strict=True)}
    )


def counted(numbers: Sequence[int] | pd.Series[int]) -> str:
    """Return the range of numbers: `n = 3`, or `n = 2 to 3`."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return f"n = {low}" if low == high else f"n = {low} to {high}"
