"""The roles of columns in a figure: horizontal axis, colour, line style, panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from ttfsrun.figures.sweep.drawing import PlotOptions
from ttfsrun.figures.sweep.rows import levels, numeric, plain_values
from ttfsrun.results.table import CONDITION

MAX_HUES, MAX_STYLES, MAX_PANELS = 10, 3, 8  # values of a column with this role
MAX_LINKED = 8  # columns with more values are independent: random values correspond one to one by chance
SEEDS = "seed."


@dataclass(frozen=True)
class Roles:
    """Column of each role; None: no column. pooled: columns over which statistics are taken, as over seeds."""

    x: str
    hue: str | None = None
    style: str | None = None
    panel: str | None = None
    pooled: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        return [column for column in (self.x, self.hue, self.style, self.panel) if column]


def independent(table: pd.DataFrame, varying: Sequence[str]) -> list[str]:
    """Return the settings that vary, without seeds and those that follow from another one (preset, zipped setting)."""
    values_by_key: dict[str, list[object]] = {}
    for key in varying:
        if key.startswith(SEEDS) or key not in table:
            continue
        values = plain_values(table[key])
        if len(set(values)) > 1 and not any(_follows(values, other) for other in values_by_key.values()):
            values_by_key[key] = values
    return list(values_by_key)


def _follows(values: list[object], other: list[object]) -> bool:
    """Return whether each value of the other column always occurs with the same value of this one."""
    pairs = set(zip(other, values, strict=True))
    n = len(set(other))
    return len(pairs) == n and n <= MAX_LINKED


def moving_together(table: pd.DataFrame, varying: Sequence[str], key: str) -> list[str]:
    """Return the settings whose values correspond one to one to those of a setting."""
    values = plain_values(table[key])
    others = [name for name in varying if name != key and not name.startswith(SEEDS) and name in table]
    return [
        name
        for name in others
        if _follows(plain_values(table[name]), values)
        and _follows(values, plain_values(table[name]))
        and len(set(values)) > 1
    ]


def choose_roles(rows: pd.DataFrame, keys: Sequence[str], options: PlotOptions) -> Roles:
    """Return the roles of the columns in `options`, and roles for the columns of rows in `keys`.

    The strength with the most values is on the horizontal axis; the next columns are colours, styles or panels.
    """
    chosen = [column for column in (options.x, options.hue, options.style) if column]
    names = [CONDITION] if rows[CONDITION].nunique() > 1 else []
    free = [key for key in (*names, *keys) if key not in chosen and rows[key].nunique(dropna=False) > 1]
    x = options.x or _best_axis(rows, free) or CONDITION
    free = [key for key in free if key != x]
    hue = options.hue or _take(rows, free, MAX_HUES)
    second = None if options.style else _take(rows, free, MAX_PANELS)
    style, panel = options.style, second
    if second and len(levels(list(rows[second]))) <= 2 and (hue is None or len(levels(list(rows[hue]))) <= MAX_STYLES):
        style, panel = second, None
    if panel is None:
        panel = _take(rows, free, MAX_PANELS)
    if style is None:
        style = _take(rows, free, MAX_STYLES)
    return Roles(x, hue, style, panel, free)


def _best_axis(rows: pd.DataFrame, free: Sequence[str]) -> str | None:
    """Return a strength of the substrate, else a number, else any column; of several, the one with the most values."""
    if not free:
        return None

    def rank(key: str) -> tuple[bool, bool, bool, int]:
        values = list(rows[key])
        is_strength = key.removeprefix(f"{CONDITION}.").startswith("substrate.")
        return numeric(values), is_strength, key != CONDITION, len(levels(values))

    return max(free, key=rank)


def _take(rows: pd.DataFrame, free: list[str], max_levels: int) -> str | None:
    """Remove the first column with at most `max_levels` values from `free`, and return it."""
    for key in free:
        if len(levels(list(rows[key]))) <= max_levels:
            free.remove(key)
            return key
    return None
