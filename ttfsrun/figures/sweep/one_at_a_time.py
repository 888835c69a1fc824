"""Sweeps whose settings differ from a common base one at a time: detection, and the base."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pandas as pd

from ttfsrun.figures.sweep.rows import Value, group_by, numeric

MAX_CROSSED = 2  # further settings that may vary in every combination
Base = dict[str, Value]


@dataclass(frozen=True)
class OneAtATime:
    """Settings that vary one at a time, and their bases.

    keys: the settings that differ from the base one at a time. crossed: further settings, which vary in every
    combination. bases: the values of `keys` at the base, for each combination of values of `crossed`.
    """

    keys: list[str]
    crossed: list[str]
    bases: dict[tuple[Value, ...], Base]

    def away(self, row: Mapping[Any, Value]) -> list[str]:
        """Return the settings in which a row differs from the base."""
        base = self.bases[tuple(row[key] for key in self.crossed)]
        return [key for key in self.keys if row[key] != base[key]]

    def along(self, rows: pd.DataFrame, key: str) -> pd.DataFrame:
        """Return the rows in which every setting but this one is at the base."""
        return rows[[self.away(row) in ([], [key]) for row in rows.to_dict("records")]]

    def at_base(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the rows at the base."""
        return rows[[not self.away(row) for row in rows.to_dict("records")]]

    @property
    def apart(self) -> list[str]:
        """The crossed settings that the base depends on."""
        return [key for position, key in enumerate(self.crossed) if self._depends_on(position)]

    def _depends_on(self, position: int) -> bool:
        """Return whether the base differs with the crossed setting at this position."""
        base_by_others: dict[tuple[Value, ...], Base] = {}
        others = {values: values[:position] + values[position + 1 :] for values in self.bases}
        return any(base_by_others.setdefault(others[values], base) != base for values, base in self.bases.items())


def detect(points: pd.DataFrame, varying: Sequence[str]) -> OneAtATime | None:
    """Return how the settings of a sweep vary one at a time; None where they do not.

    points: plain values of the varying settings, of all points, done or not.
    """
    for crossed in _crossed(varying):
        keys = [key for key in varying if key not in crossed]
        if len(keys) < 2:
            return None
        if sum(numeric(list(points[key])) for key in keys) < 2:  # choices, not numbers
            continue
        bases = {combination: _base(part, keys) for combination, part in group_by(points, crossed)}
        design = OneAtATime(keys, list(crossed), bases)
        away = [design.away(row) for row in points[[*crossed, *keys]].drop_duplicates().to_dict("records")]
        if max(map(len, away), default=0) == 1 and len({key for changed in away for key in changed}) > 1:
            return design
    return None


def _crossed(varying: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield sets of settings that may be crossed, the smallest first, with settings of the substrate last."""
    candidates = sorted(varying, key=lambda key: key.startswith("substrate."))
    for n in range(MAX_CROSSED + 1):
        yield from combinations(candidates, n)


def _base(points: pd.DataFrame, keys: Sequence[str]) -> Base:
    """Return the most common value of each setting."""
    rows = list(dict.fromkeys(zip(*(points[key] for key in keys), strict=True)))
    return {key: _most_common([row[position] for row in rows]) for position, key in enumerate(keys)}


def _most_common(values: Sequence[Value]) -> Value:
    """Return the most common value; of equally common ones, the one that means off."""
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value in (0.0, None, False)))
