"""Counts and durations in words, the same in every message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

TABLE_STATUSES = ("done", "failed", "missing")  # of the points in a table


def count(number: int, noun: str) -> str:
    """Return `1 point`, `2 points`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def states(counts: Mapping[Any, int], names: Iterable[Any] = TABLE_STATUSES) -> str:
    """Return `10 done, 1 failed`: the states, in the order of `names`, that any point is in."""
    return ", ".join(f"{counts[name]} {name}" for name in names if counts.get(name))


def status_line(counts: Mapping[Any, int]) -> str:
    """Return `12 points: 10 done, 1 failed, 1 missing`."""
    return f"{count(sum(counts.values()), 'point')}: {states(counts)}"


def duration(seconds: float) -> str:
    """Return `42 s`, `17 min`, `3 h 20 min`, `2 d 5 h`."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    if minutes < 100:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"
