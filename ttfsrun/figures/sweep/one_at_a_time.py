"""Whether the settings of a sweep leave a common base one at a time, and which value of each is the base."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

from ttfsrun.figures.sweep.rows import Value, group_by, numeric

MOST_CROSSED = 2  # settings that may vary beside, in every combination
Base = dict[str, Value]


@dataclass(frozen=True)
class OneAtATime:
    """keys: settings that leave the base alone. crossed: settings that vary beside; each combination has its base."""

    keys: list[str]
    crossed: list[str]
    bases: dict[tuple[Value, ...], Base]

    def away(self, row: Mapping[Any, Value]) -> list[str]:
        """The settings in which a row is not at the base."""
        base = self.bases[tuple(row[key] for key in self.crossed)]
        return [key for key in self.keys if row[key] != base[key]]

    def along(self, rows: pd.DataFrame, key: str) -> pd.DataFrame:
        """The rows in which every other setting is at the base."""
        return rows[[self.away(row) in ([], [key]) for row in rows.to_dict("records")]]

    def at_base(self, rows: pd.DataFrame) -> pd.DataFrame:
        return rows[[not self.away(row) for row in rows.to_dict("records")]]

    @property
    def apart(self) -> list[str]:
        """The crossed settings that the base depends on."""
        return [key for place, key in enumerate(self.crossed) if self._depends_on(place)]

    def _depends_on(self, place: int) -> bool:
        known: dict[tuple[Value, ...], Base] = {}
        others = {one: one[:place] + one[place + 1 :] for one in self.bases}
        return any(known.setdefault(others[one], base) != base for one, base in self.bases.items())


def detect(points: pd.DataFrame, varying: Sequence[str]) -> OneAtATime | None:
    """points: plain values of the settings that vary, of all points, done or not; None: they do not."""
    for crossed in _crossed(varying):
        keys = [key for key in varying if key not in crossed]
        if len(keys) < 2:
            return None
        if sum(numeric(list(points[key])) for key in keys) < 2:  # choices, not strengths
            continue
        bases = {combination: _base(part, keys) for combination, part in group_by(points, crossed)}
        each = OneAtATime(keys, list(crossed), bases)
        away = [each.away(row) for row in points[[*crossed, *keys]].drop_duplicates().to_dict("records")]
        if max(map(len, away), default=0) == 1 and len({key for left in away for key in left}) > 1:
            return each
    return None


def _crossed(varying: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Those that might be crossed, the fewest first, strengths of the substrate last."""
    likely = sorted(varying, key=lambda key: key.startswith("substrate."))
    for n in range(MOST_CROSSED + 1):
        yield from combinations(likely, n)


def _base(points: pd.DataFrame, keys: Sequence[str]) -> Base:
    """The most common value of each."""
    rows = list(dict.fromkeys(zip(*(points[key] for key in keys), strict=True)))
    return {key: _most_common([row[place] for row in rows]) for place, key in enumerate(keys)}


def _most_common(values: Sequence[Value]) -> Value:
    """Of equally common ones, that which is off."""
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value in (0.0, None, False)))
