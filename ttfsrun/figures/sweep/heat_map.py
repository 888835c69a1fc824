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

CELL, MAX_HEIGHT = 0.27, 3.4  # height of a cell, and of all cells of a panel, in inches
LARGE = 9  # columns of cells that fit the width of one column of a page
LARGEST = 20  # columns of cells that are still readable at the width of a page
COLOURS = colormaps["cividis_r"]  # distinguishable with any kind of colour vision, dark where the metric is large
DECADE = 10
MAX_PANELS = 4
DARK = 0.5  # share of the colour scale above which a cell is so dark that its number is white


def heat_map(name: str, rows: pd.DataFrame, axes_of: tuple[str, str], metric: str, keys: Sequence[str]) -> SweepFigure:
    """Plot a cell for each pair of values of two settings, with the median of the metric, or "-" where it is missing.

    axes_of: the columns to the right and upwards. keys: other settings that vary; each combination of their values has
    a panel, all with the same colours, or they are pooled if there are many.
    """
    x, y = axes_of
    right, up = levels(list(rows[x])), levels(list(rows[y]))
    parts = list(group_by(rows, keys))
    pooled = len(parts) > MAX_PANELS
    parts = [((), rows)] if pooled else parts
    numbers = statistics(rows, [*([] if pooled else keys), y, x])
    scale = norm(numbers["median"].to_numpy(dtype=float))
    wide = len(right) > LARGE
    across, down = (1, len(parts)) if wide or len(parts) == 1 else (2, -(-len(parts) // 2))
    panel_height = 0.4 + min(CELL * max(len(up), 4), MAX_HEIGHT)
    hover: dict[str, list[str]] = {}
    with style.figure_style():
        width = style.COLUMN if across == 1 and not wide else style.PAGE
        figure = style.new_figure(width, 0.45 + down * panel_height)
        grid = figure.subplots(down, across, squeeze=False)
        for number, (axes, (values, part)) in enumerate(zip(grid.flat, parts, strict=False)):
            medians = statistics(part, [y, x])
            hover |= cells(axes, medians, Cells(up, right, scale, f"{name}-{number}"))
            characters = int(width / across / labels.CHARACTER)
            axes.set_title(labels.heading([*labels.named(keys, values), counted(medians["n"])], characters))
            if number % across == 0:
                axes.set_ylabel(labels.wrapped(labels.label(y), int((panel_height - 0.4) / labels.CHARACTER)))
            if number // across == down - 1:
                axes.set_xlabel(labels.wrapped(labels.label(x), characters))
        for axes in grid.flat[len(parts) :]:
            axes.set_visible(False)
        figure.suptitle(f"median {labels.metric(metric)}", fontsize=7.0)
    caption = (
        f"Median {labels.metric(metric)} over {labels.title(x)} and {labels.title(y)}; {counted(numbers['n'])} "
        "evaluations in each cell, - where there is none."
        + (f" Taken together: all values of {', '.join(map(labels.title, keys))}." if pooled else "")
    )
    return SweepFigure(name, caption, figure, numbers, hover)


@dataclass(frozen=True)
class Cells:
    """The values of rows and columns, the scale of the colours, and the beginning of the gids."""

    down: Sequence[Value]
    across: Sequence[Value]
    norm: Normalize
    gid: str


def cells(axes: Axes, medians: pd.DataFrame, layout: Cells) -> dict[str, list[str]]:
    """Plot the cells; return the text of each by gid.

    medians: see `rows.statistics`, by the values of the rows and of the columns.
    """
    down, across = layout.down, layout.across
    by_values = {(row[0], row[1]): row[2:] for row in medians.itertuples(index=False, name=None)}
    hover = {}
    for i, row_value in enumerate(down):
        for j, column_value in enumerate(across):
            cell, gid = by_values.get((row_value, column_value)), f"{layout.gid}-cell-{i}-{j}"
            _cell(axes, (j, i), None if cell is None else cell[0], layout, gid)
            if cell is not None:
                median, low, high, n = cell
                title = f"{labels.text(row_value)}, {labels.text(column_value)}"
                hover[gid] = [f"{title}: {median:.4g}, quartiles {low:.4g} to {high:.4g}, n = {n}"]
    axes.set_xlim(-0.5, len(across) - 0.5)
    axes.set_ylim(-0.5, len(down) - 0.5)
    axes.set_xticks(range(len(across)), [labels.text(value) for value in across])
    axes.set_yticks(range(len(down)), [labels.text(value) for value in down])
    _rotate_long_labels(axes, across)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return hover


def _cell(axes: Axes, position: tuple[int, int], median: float | None, layout: Cells, gid: str) -> None:
    """Plot one cell. position: column and row. median: None where it is missing."""
    share = float("nan") if median is None else float(layout.norm(median))
    shade = "#F6F6F6" if median is None else COLOURS(0.05 + 0.9 * share)
    corner = (position[0] - 0.48, position[1] - 0.46)
    axes.add_patch(Rectangle(corner, 0.96, 0.92, facecolor=shade, linewidth=0, gid=gid))
    if len(layout.across) <= LARGEST:
        small = len(layout.across) > LARGE // 2 or len(layout.down) > LARGE
        text = "-" if median is None else short(median)
        colour = "white" if share > DARK else style.INK
        axes.text(*position, text, ha="center", va="center", fontsize=style.SMALL if small else 6.5, color=colour)


def _rotate_long_labels(axes: Axes, across: Sequence[Value]) -> None:
    """Make the labels of the columns upright where they are too long."""
    longest = max(len(labels.text(value)) for value in across)
    room = (axes.figure.get_figwidth() - 0.7) / len(across) / 0.056  # type: ignore[union-attr]
    if longest + 1 > room:
        axes.tick_params(axis="x", labelrotation=90)


def norm(values: np.ndarray) -> Normalize:
    """Return the colour scale of these numbers: logarithmic where they span more than a decade."""
    low, high = float(values.min()), float(values.max())
    if low > 0 and high > DECADE * low:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + 1)


def short(value: float) -> str:
    """Return a number with three significant digits below 1, one decimal below 100, and none from 100 on."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 1 else f"{value:.1f}"
