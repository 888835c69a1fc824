"""The error of a network against its decision time and its modelled energy."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures import logarithmic, style
from ttfsrun.figures.sweep import labels, marks
from ttfsrun.figures.sweep.drawing import SweepFigure
from ttfsrun.figures.sweep.palette import Palette, legend
from ttfsrun.figures.sweep.rows import HOVER, MEASURED, Value, counted, group_by

COST = re.compile(r"test_(decision_time_mean|decision_us_mean|energy_\w+_uj)")
MAX_PANELS_PER_ROW = 3
HEIGHT = 1.75  # of a row of panels, in inches
TOLERANCE = 1e-6  # relative difference up to which numbers count as equal
LOGARITHMIC_FROM = 3  # ratio of the largest to the smallest error above which the axis is logarithmic


def cost_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of costs of a decision in which networks differ; of proportional ones the first."""
    columns: list[str] = []
    for name in table:
        if not COST.fullmatch(str(name)):
            continue
        values = _finite(table[name])
        if values.notna().sum() > 1 and values.max() - values.min() > TOLERANCE * abs(values.max()):
            columns += [] if any(_proportional(values, _finite(table[other])) for other in columns) else [str(name)]
    return columns


def _proportional(values: pd.Series[float], others: pd.Series[float]) -> bool:
    ratio = values / others
    return bool(ratio.max() - ratio.min() <= TOLERANCE * abs(ratio.max()))


def trade_off(name: str, table: pd.DataFrame, rows: pd.DataFrame, metric: str, palette: Palette) -> SweepFigure | None:
    """Plot a panel for each cost, with a point for each evaluation and a large marker for the median of each group.

    table: with the costs; those of `rows` (see `rows.plain_rows`) are plotted. Return None where the table has no cost
    in which these rows differ, or the metric is a cost.
    """
    done = table.loc[rows.index]
    columns = cost_columns(done)
    if not columns or COST.fullmatch(metric):
        return None
    width = style.COLUMN if len(columns) <= 2 else style.PAGE
    across = min(len(columns), MAX_PANELS_PER_ROW)
    hover: dict[str, list[str]] = {}
    numbers = []
    rows, values_by_group = _grouped(rows, palette)
    is_many = len(rows) > marks.MAX_SINGLE
    with style.figure_style():
        down = -(-len(columns) // across)
        figure = style.new_figure(width, 0.4 + HEIGHT * down)
        grid = figure.subplots(down, across, squeeze=False, sharey=True)
        errors = rows[MEASURED].to_numpy()
        if errors.min() > 0 and errors.max() > LOGARITHMIC_FROM * errors.min():
            logarithmic.vertical(grid[0, 0], errors)
        for number, (axes, column) in enumerate(zip(grid.flat, columns, strict=False)):
            points = rows.assign(cost=_finite(done[column]))
            points = points[points["cost"].notna()]
            if is_many and len(points):
                gid = f"{name}-points-{number}"
                hover[gid] = _many_points(axes, points, column, gid)
            for index, (marker, same_marker) in enumerate(points.groupby("marker", sort=False)):
                gid = f"{name}-points-{number}-{index}"
                if not is_many:
                    hover[gid] = _points(axes, same_marker, column, str(marker), gid)
                _draw_medians(axes, same_marker, str(marker))
            medians = _medians(points)
            numbers += [
                (column, *values_by_group[group], row.cost, row.error, row.n)
                for group, row in zip(medians.index, medians.itertuples(), strict=True)
            ]
            axes.set_xlabel(labels.wrapped(labels.metric(column), int(width / across / labels.CHARACTER), lines=3))
            axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))
            if number % across == 0:
                axes.set_ylabel(labels.metric(metric))
        for axes in grid.flat[len(columns) :]:
            axes.set_visible(False)
        legend(figure, palette, lines=False)
    medians_by_cost = pd.DataFrame(numbers, columns=["cost", *palette.columns, "median_cost", "median", "n"])
    light = marks.ON_GRID.capitalize() if is_many else "Light points: single evaluations"
    caption = (
        f"{labels.metric(metric).capitalize()} against {' and '.join(labels.metric(column) for column in columns)}. "
        f"{light}; large markers: medians of each group ({counted(medians_by_cost['n'])})."
        + (" Energies are modelled, not measured." if any("energy" in column for column in columns) else "")
    )
    return SweepFigure(name, caption, figure, medians_by_cost, hover)


def _grouped(rows: pd.DataFrame, palette: Palette) -> tuple[pd.DataFrame, list[tuple[Value, ...]]]:
    """Return the rows in the order of their groups, with group, colour and marker; and the values of each group."""
    groups = list(group_by(rows, palette.columns))
    styles = [palette.line_style(values) for values, _ in groups]
    numbers = [number for number, (_, group) in enumerate(groups) for _ in range(len(group))]
    ordered = pd.concat([group for _, group in groups]).assign(
        group=numbers,
        colour=[styles[number].colour for number in numbers],
        marker=[styles[number].marker for number in numbers],
    )
    return ordered.astype({MEASURED: float}), [values for values, _ in groups]


def _medians(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the median `cost`, the median `error`, the `colour` and the number `n` of each group."""
    return rows.groupby("group").agg(
        cost=("cost", "median"), error=(MEASURED, "median"), colour=("colour", "first"), n=("cost", "size")
    )


def _points(axes: Axes, points: pd.DataFrame, column: str, marker: str, gid: str) -> list[str]:
    """Plot the points with one marker; return the text of each point."""
    axes.scatter(points["cost"], points[MEASURED], s=6, color=list(points["colour"]),
                 marker=marker, alpha=0.4, linewidths=0, gid=gid)  # fmt: skip
    return [f"{text}; {column} {value:.4g}" for text, value in zip(points[HOVER], points["cost"], strict=True)]


def _many_points(axes: Axes, points: pd.DataFrame, column: str, gid: str) -> list[str]:
    """Plot the points of all groups on a grid, in grey; return the text of each marker."""
    costs, errors = points["cost"].to_numpy(dtype=float), points[MEASURED].to_numpy(dtype=float)
    y = marks.rounded(errors, axes.get_yscale() == "log")
    marking = marks.Marking(style.GREY, "o", gid)
    return marks.draw_on_grid(axes, marks.rounded(costs), y, list(points[HOVER]), marking)


def _draw_medians(axes: Axes, points: pd.DataFrame, marker: str) -> None:
    """Plot the medians of the groups of points."""
    medians = _medians(points)
    axes.scatter(medians["cost"], medians["error"], s=25, color=list(medians["colour"]), marker=marker,
                 edgecolor="white", linewidths=0.6, zorder=4)  # fmt: skip


def _finite(column: pd.Series[float]) -> pd.Series[float]:
    values = pd.to_numeric(column, errors="coerce").astype(float)
    return values.where(np.isfinite(values))
