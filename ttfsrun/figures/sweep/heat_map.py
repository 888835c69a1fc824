"""The median of a metric over two settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Rectangle

from ttfsrun.figures import style
from ttfsrun.figures.sweep import labels
from ttfsrun.figures.sweep.drawing import SweepFigure
from ttfsrun.figures.sweep.rows import Value, counted, group_by, levels, statistics

CELL, MOST_HEIGHT = 0.27, 3.4  # height of a cell, and of them all, in inches
LARGE = 9  # columns of cells from which on the numbers in them are small
LARGEST = 20  # columns of cells that are still readable at the width of a page
COLOURS = colormaps["cividis_r"]  # told apart with any kind of colour vision, dark where the metric is large
DECADE = 10
MOST_PANELS = 4
DARK = 0.5  # from here on, a cell is so dark that its number is white


def heat_map(name: str, rows: pd.DataFrame, axes_of: tuple[str, str], metric: str, keys: Sequence[str]) -> SweepFigure:
    """A cell for each pair of values, with the median of the metric in it; "-" where there is none.

    axes_of: the columns to the right and upwards. keys: what else varies; a panel for each combination, all with the
    same colours, or all together if they are many.
    """
    x, y = axes_of
    right, up = levels(list(rows[x])), levels(list(rows[y]))
    parts = list(group_by(rows, keys))
    together = len(parts) > MOST_PANELS
    parts = [((), rows)] if together else parts
    told = statistics(rows, [*([] if together else keys), y, x])
    scale = norm(told["median"].to_numpy(dtype=float))
    wide = len(right) > LARGE
    across, down = (1, len(parts)) if wide or len(parts) == 1 else (2, -(-len(parts) // 2))
    each = 0.4 + min(CELL * max(len(up), 4), MOST_HEIGHT)
    texts: dict[str, list[str]] = {}
    with style.figure_style():
        width = style.COLUMN if across == 1 and not wide else style.PAGE
        figure = style.new_figure(width, 0.45 + down * each)
        grid = figure.subplots(down, across, squeeze=False)
        for number, (axes, (values, part)) in enumerate(zip(grid.flat, parts, strict=False)):
            here = statistics(part, [y, x])
            texts |= cells(axes, here, Cells(up, right, scale, f"{name}-{number}"))
            characters = int(width / across / labels.CHARACTER)
            axes.set_title(labels.heading([*labels.named(keys, values), counted(here["n"])], characters))
            if number % across == 0:
                axes.set_ylabel(labels.wrapped(labels.label(y), int((each - 0.4) / labels.CHARACTER)))
            if number // across == down - 1:
                axes.set_xlabel(labels.wrapped(labels.label(x), characters))
        for axes in grid.flat[len(parts) :]:
            axes.set_visible(False)
        figure.suptitle(f"median {labels.metric(metric)}", fontsize=7.0)
    caption = (
        f"Median {labels.metric(metric)} over {labels.title(x)} and {labels.title(y)}; {counted(told['n'])} "
        "evaluations in each cell, - where there is none."
        + (f" Taken together: all values of {', '.join(map(labels.title, keys))}." if together else "")
    )
    return SweepFigure(name, caption, figure, told, texts)


@dataclass(frozen=True)
class Cells:
    """The values of rows and columns, the scale of the colours, and how the gids begin."""

    down: Sequence[Value]
    across: Sequence[Value]
    norm: Normalize
    gid: str


def cells(axes: Axes, told: pd.DataFrame, sides: Cells) -> dict[str, list[str]]:
    """Draws them, the first column of `told` by rows, the second by columns; returns the text of each by gid."""
    down, across = sides.down, sides.across
    known = {(row[0], row[1]): row[2:] for row in told.itertuples(index=False, name=None)}
    hover = {}
    for i, one in enumerate(down):
        for j, other in enumerate(across):
            found, gid = known.get((one, other)), f"{sides.gid}-cell-{i}-{j}"
            _cell(axes, (j, i), found, (sides, gid))
            if found is not None:
                middle, low, high, n = found
                place = f"{labels.text(one)}, {labels.text(other)}"
                hover[gid] = [f"{place}: {middle:.4g}, quartiles {low:.4g} to {high:.4g}, n = {n}"]
    axes.set_xlim(-0.5, len(across) - 0.5)
    axes.set_ylim(-0.5, len(down) - 0.5)
    axes.set_xticks(range(len(across)), [labels.text(value) for value in across])
    axes.set_yticks(range(len(down)), [labels.text(value) for value in down])
    _fit(axes, across)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return hover


def _cell(axes: Axes, at: tuple[int, int], found: tuple[float, ...] | None, how: tuple[Cells, str]) -> None:
    sides, gid = how
    share = float("nan") if found is None else float(sides.norm(found[0]))
    shade = "#F6F6F6" if found is None else COLOURS(0.05 + 0.9 * share)
    corner = (at[0] - 0.48, at[1] - 0.46)
    axes.add_patch(Rectangle(corner, 0.96, 0.92, facecolor=shade, linewidth=0, gid=gid))
    if len(sides.across) <= LARGEST:
        small = len(sides.across) > LARGE // 2 or len(sides.down) > LARGE
        text = "-" if found is None else short(found[0])
        colour = "white" if share > DARK else style.INK
        axes.text(*at, text, ha="center", va="center", fontsize=style.SMALL if small else 6.5, color=colour)


def _fit(axes: Axes, across: Sequence[Value]) -> None:
    """Long labels stand upright."""
    longest = max(len(labels.text(value)) for value in across)
    room = (axes.figure.get_figwidth() - 0.7) / len(across) / 0.056  # type: ignore[union-attr]
    if longest + 1 > room:
        axes.tick_params(axis="x", labelrotation=90)


def norm(values: np.ndarray) -> Normalize:
    """Of colours for these numbers: logarithmic where they span more than a decade."""
    low, high = float(values.min()), float(values.max())
    if low > 0 and high > DECADE * low:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + 1)


def short(value: float) -> str:
    """Three digits, or what is before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"
