"""The error of a network against how long it takes to decide, and against the energy that a model gives it."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures import logarithmic, style
from ttfsrun.figures.sweep import labels, palette
from ttfsrun.figures.sweep.drawing import Drawing
from ttfsrun.figures.sweep.palette import Palette
from ttfsrun.figures.sweep.rows import HOVER, MEASURED, counted, groups

COST = re.compile(r"test_(decision_time_mean|decision_us_mean|energy_\w+_uj)")
ACROSS, HEIGHT = 3, 1.75  # panels in a row, and the height of one in inches
SAME = 1e-6  # relative difference from which on numbers are told apart
FACTOR = 3  # between the largest and smallest error of a logarithmic axis


def costs(table: pd.DataFrame) -> list[str]:
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


def trade_off(name: str, table: pd.DataFrame, rows: pd.DataFrame, metric: str, keys: Palette) -> Drawing | None:
    """A panel for each cost, a point for each evaluation, a large marker for the median of each group.

    table: with the costs, of which those of `rows` (see `rows.of`) are drawn. None where nothing has any,
    or the metric is one of them.
    """
    done = table.loc[rows.index]
    columns = costs(done)
    if not columns or COST.fullmatch(metric):
        return None
    width = style.COLUMN if len(columns) <= 2 else style.PAGE
    across = min(len(columns), ACROSS)
    hover: dict[str, list[str]] = {}
    numbers = []
    with style.look():
        down = -(-len(columns) // across)
        figure = style.new_figure(width, 0.4 + HEIGHT * down)
        grid = figure.subplots(down, across, squeeze=False, sharey=True)
        errors = rows[MEASURED].to_numpy(dtype=float)
        if errors.min() > 0 and errors.max() > FACTOR * errors.min():
            logarithmic.vertical(grid[0, 0], errors)
        for number, (axes, column) in enumerate(zip(grid.flat, columns, strict=False)):
            priced = rows.assign(cost=_finite(done[column]))
            priced = priced[priced["cost"].notna()]
            for place, (values, own) in enumerate(groups(priced, keys.columns)):
                look, gid = keys.look(values), f"{name}-points-{number}-{place}"
                cost, error = own["cost"].astype(float), own[MEASURED].astype(float)
                axes.scatter(cost, error, s=6, color=look.colour, marker=look.marker, alpha=0.4, linewidths=0, gid=gid)
                hover[gid] = [f"{text}; {column} {value:.4g}" for text, value in zip(own[HOVER], cost, strict=True)]
                axes.plot([cost.median()], [error.median()], color=look.colour, marker=look.marker, markersize=5,
                          markeredgecolor="white", markeredgewidth=0.6, linestyle="", zorder=4)  # fmt: skip
                numbers.append((column, *values, cost.median(), error.median(), len(own)))
            axes.set_xlabel(labels.wrapped(labels.metric(column), int(width / across / 0.062), lines=3))
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
    return Drawing(name, caption, figure, told, hover)


def _finite(column: pd.Series[float]) -> pd.Series[float]:
    values = pd.to_numeric(column, errors="coerce").astype(float)
    return values.where(np.isfinite(values))
