"""Which column stands on the horizontal axis, which is told by colour, which by lines, which has panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from ttfsrun.figures.sweep.drawing import PlotOptions
from ttfsrun.figures.sweep.rows import levels, numeric, plain_values
from ttfsrun.results.table import CONDITION

MOST_HUES, MOST_STYLES, MOST_PANELS = 10, 3, 8
BIJECTIONS = 8  # columns with up to so many values that go with each other move together; more are drawn at random
SEEDS = "seed."


@dataclass(frozen=True)
class Roles:
    """pooled: columns over which statistics are taken, as over seeds."""

    x: str
    hue: str | None = None
    style: str | None = None
    panel: str | None = None
    pooled: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        return [column for column in (self.x, self.hue, self.style, self.panel) if column]


def independent(table: pd.DataFrame, varying: Sequence[str]) -> list[str]:
    """The settings that vary, without seeds and without those that follow from another one (its preset, its pair)."""
    found: dict[str, list[object]] = {}
    for key in varying:
        if key.startswith(SEEDS) or key not in table:
            continue
        values = plain_values(table[key])
        if len(set(values)) > 1 and not any(_follows(values, other) for other in found.values()):
            found[key] = values
    return list(found)


def _follows(values: list[object], other: list[object]) -> bool:
    """Whether each value of the other column always goes with one value here."""
    pairs = set(zip(other, values, strict=True))
    n = len(set(other))
    return len(pairs) == n and n <= BIJECTIONS


def moving_together(table: pd.DataFrame, varying: Sequence[str], key: str) -> list[str]:
    """The settings that move together with another one, value by value."""
    values = plain_values(table[key])
    others = [name for name in varying if name != key and not name.startswith(SEEDS) and name in table]
    return [
        name
        for name in others
        if _follows(plain_values(table[name]), values)
        and _follows(values, plain_values(table[name]))
        and len(set(values)) > 1
    ]


def choose_roles(rows: pd.DataFrame, keys: Sequence[str], wishes: PlotOptions) -> Roles:
    """What is wished, and for the rest what reads best: the strength with most values to the right, then colours."""
    wished = [column for column in (wishes.x, wishes.hue, wishes.style) if column]
    names = [CONDITION] if rows[CONDITION].nunique() > 1 else []
    free = [key for key in (*names, *keys) if key not in wished and rows[key].nunique(dropna=False) > 1]
    x = wishes.x or _best_axis(rows, free) or CONDITION
    free = [key for key in free if key != x]
    hue = wishes.hue or _take(rows, free, MOST_HUES)
    second = None if wishes.style else _take(rows, free, MOST_PANELS)
    style, panel = wishes.style, second
    if second and len(levels(list(rows[second]))) <= 2 and (hue is None or len(levels(list(rows[hue]))) <= MOST_STYLES):
        style, panel = second, None
    if panel is None:
        panel = _take(rows, free, MOST_PANELS)
    if style is None:
        style = _take(rows, free, MOST_STYLES)
    return Roles(x, hue, style, panel, free)


def _best_axis(rows: pd.DataFrame, free: Sequence[str]) -> str | None:
    """A number of the substrate, another number, anything else; of several that with most values."""
    if not free:
        return None

    def rank(key: str) -> tuple[bool, bool, bool, int]:
        values = list(rows[key])
        strength = key.removeprefix(f"{CONDITION}.").startswith("substrate.")
        return numeric(values), strength, key != CONDITION, len(levels(values))

    return max(free, key=rank)


def _take(rows: pd.DataFrame, free: list[str], most: int) -> str | None:
    """The first that has few enough values; it is free no more."""
    for key in free:
        if len(levels(list(rows[key]))) <= most:
            free.remove(key)
            return key
    return None
