"""Many evaluations in a figure: their extremes, or one marker for all that fall on the same place of a grid.

Both follow from all evaluations: none is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

MAX_SINGLE = 1_000  # evaluations of a figure up to which each has a marker of its own
STEPS = 30  # of the grid in each direction
FAINTEST, DARKEST = 0.15, 0.6  # opacity of the marker of one evaluation, and of the largest number of them
ON_GRID = "light markers: all evaluations, those near each other as one, the darker the more"
EXTREMES = "thin lines: from the smallest to the largest of all evaluations"


@dataclass(frozen=True)
class Marking:
    """How markers look, and the gid of their artist."""

    colour: str
    marker: str
    gid: str


def rounded(values: np.ndarray, logarithmic: bool = False) -> np.ndarray:
    """Return values rounded to equal steps from the smallest to the largest, which both stay as they are."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return values
    scaled = np.log(values / low) / np.log(high / low) if logarithmic else (values - low) / (high - low)
    share = np.round(scaled * STEPS) / STEPS
    nodes = low * (high / low) ** share if logarithmic else low + share * (high - low)
    return np.where(share == 0, low, np.where(share == 1, high, nodes))


def draw_on_grid(axes: Axes, x: np.ndarray, y: np.ndarray, texts: Sequence[str], marking: Marking) -> list[str]:
    """Draw a marker at each place, the more opaque the more evaluations are there; return the text of each marker."""
    places = pd.DataFrame({"x": x, "y": y, "text": texts}).groupby(["x", "y"], sort=True)["text"].agg(["size", "first"])
    n = places["size"].to_numpy()
    opacity = FAINTEST + (DARKEST - FAINTEST) * np.sqrt(n / n.max())
    axes.scatter(places.index.get_level_values("x"), places.index.get_level_values("y"), s=6, color=marking.colour,
                 marker=marking.marker, alpha=opacity, linewidths=0, zorder=2, gid=marking.gid)  # fmt: skip
    return [
        text if size == 1 else f"{size:,} evaluations near here, one of them: {text}"
        for size, text in places.itertuples(index=False, name=None)
    ]


def draw_extremes(
    axes: Axes, places: np.ndarray, values: np.ndarray, texts: Sequence[str], marking: Marking, upright: bool = True
) -> list[str]:
    """Draw a line from the smallest to the largest value at each place, with a marker at both ends; return their texts.

    upright: the values are on the vertical axis.
    """
    by_place = pd.Series(values).groupby(np.asarray(places, dtype=float))
    smallest, largest = by_place.idxmin(), by_place.idxmax()
    at = smallest.index.to_numpy()
    lines = axes.vlines if upright else axes.hlines
    lines(at, values[smallest], values[largest], color=marking.colour, linewidth=0.6, alpha=0.45, zorder=1.8)
    ends, both = np.concatenate([values[smallest], values[largest]]), np.concatenate([at, at])
    axes.scatter(*((both, ends) if upright else (ends, both)), s=4, color=marking.colour, marker=marking.marker,
                 alpha=0.75, linewidths=0, zorder=2, gid=marking.gid)  # fmt: skip
    n = [*by_place.size(), *by_place.size()]
    words = ["smallest"] * len(at) + ["largest"] * len(at)
    numbers = [*smallest, *largest]
    return [f"{word} of {size:,}: {texts[number]}" for word, size, number in zip(words, n, numbers, strict=True)]
