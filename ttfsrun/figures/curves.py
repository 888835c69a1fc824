"""Loss and error over the epochs of training. The numbers behind this figure are in the run's curves.csv."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures import logarithmic as logarithmic_axis
from ttfsrun.figures import style

SPLITS = {"train": ("training", style.BLUE), "valid": ("validation", style.VERMILLION)}
COLUMNS = ("epoch", "split", "metric", "value")
MAX_MARKED = 12  # up to so many epochs each one has a marker


def learning_curves(curves: pd.DataFrame) -> Figure:
    """Plot the loss, and the error in per cent on a logarithmic axis, of training and validation.

    curves: one row for each `epoch`, `split` (train, valid), `metric` (loss, accuracy: a fraction; others are ignored)
    and network, with its `value`. For several networks the line is the median of those that have a value, the band
    their whole range. Raises ValueError where a column is missing.
    """
    missing = [column for column in COLUMNS if column not in curves.columns]
    if missing:
        raise ValueError(f"the table of curves lacks {missing}; it has {list(curves.columns)}")
    loss = curves[curves["metric"] == "loss"]
    error = curves[curves["metric"] == "accuracy"]
    error = error.assign(value=100 * (1 - error["value"]))
    with style.figure_style():
        figure = style.new_figure(style.COLUMN, 1.75)
        left, right = figure.subplots(1, 2)
        _panel(left, loss, "loss", logarithmic=_spans_a_decade(loss["value"]))
        _panel(right, error, "error (%)", logarithmic=True)
        splits = [split for split in SPLITS if (curves["split"] == split).any()]
        if splits:
            handles = [Line2D([], [], color=SPLITS[split][1], label=SPLITS[split][0]) for split in splits]
            figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _spans_a_decade(values: pd.Series) -> bool:
    finite = values[np.isfinite(values)]
    return bool(len(finite) and finite.min() > 0 and finite.max() > 10 * finite.min())


def _panel(axes: Axes, rows: pd.DataFrame, label: str, logarithmic: bool) -> None:
    axes.set_xlabel("epoch")
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    values = rows["value"].to_numpy(dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        axes.text(0.5, 0.5, "no values", transform=axes.transAxes, ha="center", va="center", color=style.GREY)
        axes.set_yticks([])
        return
    if logarithmic and (values > 0).any():
        logarithmic_axis.vertical(axes, values[values > 0])
    for split, (_, colour) in SPLITS.items():
        _line(axes, rows[rows["split"] == split], colour)


def _line(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    if rows.empty:
        return
    by_epoch = rows.assign(value=rows["value"].where(np.isfinite(rows["value"]))).groupby("epoch")["value"]
    median = by_epoch.median()
    marker = "o" if len(median) <= MAX_MARKED else ""
    # a value between two missing ones has no line to either side: only a marker shows it
    isolated = median.notna() & median.shift(1).isna() & median.shift(-1).isna()
    axes.plot(median.index, median, color=colour, marker=marker, markersize=2.5)
    axes.plot(median.index[isolated], median[isolated], color=colour, marker="o", markersize=2.5, linestyle="")
    if by_epoch.count().max() > 1:
        axes.fill_between(median.index, by_epoch.min(), by_epoch.max(), color=colour, alpha=0.25, linewidth=0)
