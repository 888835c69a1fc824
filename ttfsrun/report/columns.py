"""The table of a sweep as compact JSON for the page, by column.

A column is {"name", "group", "shown"} with one of
    {"same": value}                    the value of all rows
    {"values": [...]}                  a value for each row
    {"kinds": [...], "codes": [...]}   the different values, and for each row the index of its value
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ttfsrun.config.conditions import OWN
from ttfsrun.results.columns import EXECUTION
from ttfsrun.results.table import CONDITION, FIRST, Table, setting_columns
from ttfsrun.sweep.monitor.status import PointState

MAIN_METRICS = ("test_accuracy", "valid_accuracy", "test_loss", "test_decision_time_median")
DIGITS = 6  # significant digits of a metric in the page; `table.csv` has all digits
Column = dict[str, Any]


def columns(
    table: Table, states: Mapping[str, PointState], is_large: bool = False
) -> tuple[list[Column], dict[str, Any]]:
    """Return the columns of the page in order, and by key the settings that are the same for all points.

    states: the state of each point. Unlike the table, they say which points are queued, running or lost with a task.
    is_large: only the columns that the page shows from the start, so that it can be opened.
    """
    cells = dict(zip(table.columns, _transposed(table), strict=True))
    cells |= _state_columns(cells, states)
    settings = setting_columns(table.columns)
    same = {key: cells[key][0] for key in settings if key not in table.varying and _is_same(cells[key]) and table.rows}
    page_columns = []
    for name in table.columns:
        if name == FIRST[0] or name in same:
            continue
        group = _group(name, table, settings)
        values = cells[name] if name in settings else [_rounded(value) for value in cells[name]]
        shown = _is_shown(name, group, values)
        if shown or not is_large:
            page_columns.append({"name": name, "group": group, "shown": shown, **_packed(values)})
    return page_columns, same


def _transposed(table: Table) -> list[list[Any]]:
    return [list(column) for column in zip(*table.rows, strict=True)] or [[] for _ in table.columns]


def _state_columns(cells: Mapping[str, Sequence[Any]], states: Mapping[str, PointState]) -> dict[str, list[Any]]:
    """Return status, reason and message of each row."""
    state_columns: dict[str, list[Any]] = {"status": [], "reason": [], "message": []}
    for point, status, reason, message in zip(*(cells[name] for name in ("point", *state_columns)), strict=True):
        state = states.get(point)
        if state is None or status == "done":
            row = [status, reason, message]
        else:
            row = [state.kind, state.reason, " ".join(state.message.split()) if state.message else None]
        for column, value in zip(state_columns.values(), row, strict=True):
            column.append(value)
    return state_columns


def _group(name: str, table: Table, settings: Sequence[str]) -> str:
    if name in table.varying:
        return "settings that vary"
    if name in settings:
        return "other settings"
    if name == CONDITION or name.startswith(f"{CONDITION}.") or name in ("perturbed", "chip", "epoch"):
        return "evaluation"
    if name in EXECUTION:
        return "execution"
    return "metrics" if name in table.metrics else "point"


def _is_shown(name: str, group: str, values: Sequence[Any]) -> bool:
    """Tell whether the page shows a column from the start: one that differs in this sweep, or has a main metric."""
    if name in ("reason", "message", *MAIN_METRICS):
        return any(value is not None for value in values)
    if name == CONDITION:
        return any(value not in (None, OWN) for value in values)
    if name in ("perturbed", "chip") or name.startswith(f"{CONDITION}."):
        return len({value for value in values if value is not None}) > 1
    return group in ("point", "settings that vary")


def _rounded(value: Any) -> Any:
    """Return a finite float rounded to DIGITS digits, and anything else as it is."""
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.{DIGITS}g}")
    return value


def json_value(value: Any) -> Any:
    """Return inf, -inf and nan, which JSON lacks, as text, and anything else as it is."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _is_same(values: Sequence[Any]) -> bool:
    return all(value is values[0] or (type(value), value) == (type(values[0]), values[0]) for value in values)


def _packed(values: Sequence[Any]) -> Column:
    """Return the shortest form of a column."""
    values = [json_value(value) for value in values]
    if values and _is_same(values):
        return {"same": values[0]}
    kinds: dict[tuple[type, Any], int] = {}  # 1, 1.0 and True are equal, and not the same
    codes = [kinds.setdefault((type(value), value), len(kinds)) for value in values]
    if len(kinds) * 3 > len(values):
        return {"values": values}
    return {"kinds": [value for _, value in kinds], "codes": codes}


def embedded(data: Any) -> str:
    """Return JSON for a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
