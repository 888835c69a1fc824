"""Mistakes in many points, each summarised as one line that says which points have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Overrides = tuple[str, ...]

MAX_FAILED_POINTS = 1000  # no more points with mistakes are checked: describing those of one takes milliseconds


def summarise(points_by_mistake: Mapping[str, Sequence[Overrides]], points: Sequence[Overrides]) -> list[str]:
    """Return a line for each mistake, with the number of points that have it and the label of the first.

    points_by_mistake: for the line of a mistake, the overrides of the points that have it.
    points: the overrides of all points, with or without a mistake.
    """
    common = set.intersection(*map(set, points))
    return [line + _affected(affected, len(points), common) for line, affected in points_by_mistake.items()]


def _affected(points: Sequence[Overrides], total: int, common: set[str]) -> str:
    """Return the number of affected points in brackets; the first is labelled by the overrides not common to all."""
    if total == 1:
        return ""
    label = ",".join(override for override in points[0] if override not in common)
    if len(points) == 1:
        return f" ({label})"
    if len(points) == total:
        return f" (all {total} points)"
    return f" ({'at least ' * (len(points) == MAX_FAILED_POINTS)}{len(points)} points, first {label})"
