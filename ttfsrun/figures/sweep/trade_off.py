"""The error of a network against how long it takes to decide, and against the energy that a model gives it."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures import logarithmic, style
from ttfsrun.figures.sweep import labels, palette
from ttfsrun.figures.sweep.drawing import SweepFigure
from ttfsrun.figures.sweep.palette import Palette
from ttfsrun.figures.sweep.rows import HOVER, MEASURED, Value, counted, group_by

COST = re.compile(r"test_(decision_time_mean|decision_us_mean|energy_\w+_uj)")
ACROSS, HEIGHT = 3, 1.75  # panels in a row, and the height of one in inches
SAME = 1e-6  # relative difference from which on numbers are told apart
FACTOR = 3  # between the largest and smallest error of a logarithmic axis


def cost_columns(table: pd.DataFrame) -> list[str]:
    """The columns that say what a decision costs, where networks differ in it; of proportional ones the first."""
    found: list[str] = []
    for name in table:
        if not COST.fullmatch(str(name)):
            continue
        values = _finite(table[name])
        if values.notna().sum() > 1 and values.max() - values.min() > SAME * abs(values.max()):
            found += [] if any(_proportional(values, _finite(table[other])) for other in found) else [str(name)]
    return found


def _proportional(values: pd.Series[float], others: pd.Series[float]) -> bool:
    ratio = values / others
    return bool(ratio.max() - ratio.min() <= SAME * abs(ratio.max()))


def trade_off(name: str, table: pd.DataFrame, rows: pd.DataFrame, metric: str, keys: Palette) -> SweepFigure | None:
    """A panel for each cost, a point for each evaluation, a large marker for the median of each group.

    table: with the costs, of which those of `rows` (see `rows.of`) are drawn. None where nothing has any,
    or the metric is one of them.
    """
    done = table.loc[rows.index]
    columns = cost_columns(done)
    if not columns or COST.fullmatch(metric):
        return None
    width = style.COLUMN if len(columns) <= 2 else style.PAGE
    across = min(len(columns), ACROSS)
    hover: dict[str, list[str]] = {}
    numbers = []
    rows, values_of = _grouped(rows, keys)
    with style.figure_style():
        down = -(-len(columns) // across)
        figure = style.new_figure(width, 0.4 + HEIGHT * down)
        grid = figure.subplots(down, across, squeeze=False, sharey=True)
        errors = rows[MEASURED].to_numpy()
        if errors.min() > 0 and errors.max() > FACTOR * errors.min():
            logarithmic.vertical(grid[0, 0], errors)
        for number, (axes, column) in enumerate(zip(grid.flat, columns, strict=False)):
            priced = rows.assign(cost=_finite(done[column]))
            priced = priced[priced["cost"].notna()]
            for place, (marker, own) in enumerate(priced.groupby("marker", sort=False)):
                gid = f"{name}-points-{number}-{place}"
                hover[gid] = _points(axes, own, column, str(marker), gid)
            middle = _medians(priced)
            numbers += [
                (column, *values_of[group], row.cost, row.error, row.n)
                for group, row in zip(middle.index, middle.itertuples(), strict=True)
            ]
            axes.set_xlabel(labels.wrapped(labels.metric(column), int(width / across / labels.CHARACTER), lines=3))
            axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))
            if number % across == 0:
                axes.set_ylabel(labels.metric(metric))
        for axes in grid.flat[len(columns) :]:
            axes.set_visible(False)
        palette.legend(figure, keys, lines=False)
    told = pd.DataFrame(numbers, columns=["cost", *keys.columns, "median_cost", "median", "n"])
    caption = (
        f"{labels.metric(metric).capitalize()} against {' and '.join(labels.metric(column) for column in columns)}. "
        f"Light points: single evaluations; large markers: medians of each group ({counted(told['n'])})."
        + (" Energies are modelled, not measured." if any("energy" in column for column in columns) else "")
    )
    return SweepFigure(name, caption, figure, told, hover)


def _grouped(rows: pd.DataFrame, keys: Palette) -> tuple[pd.DataFrame, list[tuple[Value, ...]]]:
    """The rows in the order of their groups, with the number, colour and marker of each; the values of each group."""
    found = list(group_by(rows, keys.columns))
    looks = [keys.look(values) for values, _ in found]
    number = [number for number, (_, own) in enumerate(found) for _ in range(len(own))]
    told = {"colour": [looks[group].colour for group in number], "marker": [looks[group].marker for group in number]}
    ordered = pd.concat([own for _, own in found]).assign(group=number, **told).astype({MEASURED: float})
    return ordered, [values for values, _ in found]


def _medians(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each group: `cost`, `error`, its `colour`, and `n`."""
    return rows.groupby("group").agg(
        cost=("cost", "median"), error=(MEASURED, "median"), colour=("colour", "first"), n=("cost", "size")
    )


def _points(axes: Axes, points: pd.DataFrame, column: str, marker: str, gid: str) -> list[str]:
    """All of one marker, and the medians of their groups; returns what to say of each point."""
    middle = _medians(points)
    axes.scatter(points["cost"], points[MEASURED], s=6, color=list(points["colour"]),
                 marker=marker, alpha=0.4, linewidths=0, gid=gid)  # fmt: skip
    axes.scatter(middle["cost"], middle["error"], s=25, color=list(middle["colour"]), marker=marker,
                 edgecolor="white", linewidths=0.6, zorder=4)  # fmt: skip
    return [f"{text}; {column} {value:.4g}" for text, value in zip(points[HOVER], points["cost"], strict=True)]


def _finite(column: pd.Series[float]) -> pd.Series[float]:
    values = pd.to_numeric(column, errors="coerce").astype(float)
    return values.where(np.isfinite(values))
