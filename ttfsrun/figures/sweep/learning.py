"""The error over the epochs of training, for each value of a setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures import logarithmic, style
from ttfsrun.figures.curves import SPLITS
from ttfsrun.figures.sweep import labels, palette
from ttfsrun.figures.sweep.drawing import SweepFigure
from ttfsrun.figures.sweep.palette import Key, Palette
from ttfsrun.figures.sweep.rows import Value, counted, group_by, levels, plain_values

MOST, MOST_PANELS = 6, 3  # lines of a panel, and panels for the values of a column
HEIGHT = 1.9  # inches
WHICH = ["split", "epoch", "error"]
FEW = 12  # up to so many epochs each one has a marker


def learning(name: str, curves: pd.DataFrame, column: str | None, panel: str | None) -> SweepFigure | None:
    """Median and quartiles of the error, a colour for each value of a column.

    curves: see `drawing.Beside`. None where there are none. Of many values some are shown, the ends among them.
    panel: a column whose values have a panel each, of the validation; without it, training and validation have one.
    """
    errors = _errors(curves, [key for key in (column, panel) if key])
    if errors.empty:
        return None
    alike = column if column and _all_alike(errors, column) else None
    if alike:  # points that share their trainings
        column, errors = None, errors[_among(errors[alike], levels(list(errors[alike]))[:1])]
    shown = _some(list(errors[column]), MOST) if column else []
    beside = _some(list(errors[panel]), MOST_PANELS) if panel else [s for s in SPLITS if (errors["split"] == s).any()]
    errors = errors[errors["split"] == "valid"] if panel else errors
    errors = errors[_among(errors[panel], beside)] if panel else errors
    errors = errors[_among(errors[column], shown)] if column else errors
    if errors.empty:
        return None
    keys = Palette(Key(column, shown)) if column else Palette()
    told = _statistics(errors, [panel or "split", *keys.columns])
    with style.figure_style():
        width = style.COLUMN if len(beside) <= 2 else style.PAGE
        characters = int(width / len(beside) / labels.CHARACTER)
        figure = style.new_figure(width, HEIGHT + (0.2 if column else 0))
        panels = figure.subplots(1, len(beside), squeeze=False, sharey=True)[0]
        positive = told[["median", "q25", "q75"]].to_numpy(dtype=float).ravel()
        if (positive > 0).any():
            logarithmic.vertical(panels[0], positive[positive > 0])
        for axes, value in zip(panels, beside, strict=True):
            own = told[_among(told[panel or "split"], [value])]
            _panel(axes, own, keys)
            title = labels.named([panel], [value]) if panel else [SPLITS[value][0]]
            axes.set_title(labels.heading([*title, counted(own["n"])], characters))
        panels[0].set_ylabel("validation error (%)" if panel else "error (%)")
        palette.legend(figure, keys)
    of = f", for each {' and '.join(labels.title(key) for key in (column, panel) if key)}" if column else ""
    caption = (
        f"{'Validation error' if panel else 'Error'} over the epochs of training{of}: medians, with the quartiles as "
        f"bands ({counted(told['n'])} networks)."
        + (" Of many values some are shown." if column and len(shown) == MOST else "")
        + (f" They are the same for all values of {labels.title(alike)}." if alike else "")
    )
    return SweepFigure(name, caption, figure, told)


def _errors(curves: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Those of training and validation that are numbers, in per cent, with plain values of the columns."""
    rows = curves[(curves["metric"] == "accuracy") & curves["split"].isin(list(SPLITS))]
    error = 100 * (1 - pd.to_numeric(rows["value"], errors="coerce").astype(float))
    values = {key: pd.Series(plain_values(rows[key]), index=rows.index, dtype=object) for key in columns}
    return rows.assign(error=error, **values)[np.isfinite(error)]


def _all_alike(errors: pd.DataFrame, column: str) -> bool:
    """Whether all its values, two or more, have the same curves."""
    parts = [part.sort_values(WHICH) for _, part in group_by(errors, [column])]
    first, *others = [part[WHICH].to_numpy() for part in parts]
    return len(others) > 0 and all(np.array_equal(first, other) for other in others)


def _some(values: list[Value], most: int) -> list[Value]:
    different = levels(values)
    places = sorted({round(place) for place in np.linspace(0, len(different) - 1, min(most, len(different)))})
    return [different[place] for place in places]


def _among(column: pd.Series[Any], values: Sequence[Value]) -> list[bool]:
    """Where a value is one of these, None included."""
    known = set(values)
    return [value in known for value in column]


def _statistics(errors: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """By these columns and the epoch."""
    tables = []
    for values, own in group_by(errors, keys):
        grouped = own.groupby("epoch")["error"]
        told = grouped.quantile(np.array([0.25, 0.5, 0.75])).unstack().set_axis(["q25", "median", "q75"], axis=1)
        told = told.assign(n=grouped.count()).reset_index()
        for place, (key, value) in enumerate(zip(keys, values, strict=True)):
            told.insert(place, key, pd.Series([value] * len(told), dtype=object))
        tables.append(told)
    return pd.concat(tables, ignore_index=True)


def _panel(axes: Axes, told: pd.DataFrame, keys: Palette) -> None:
    for values, own in group_by(told, keys.columns):
        look = keys.look(values)
        marker = look.marker if len(own) <= FEW else ""
        axes.plot(own["epoch"], own["median"], color=look.colour, marker=marker, markersize=2.5)
        if own["n"].max() > 1:
            low, high = own["q25"].astype(float), own["q75"].astype(float)
            axes.fill_between(own["epoch"], low, high, color=look.colour, alpha=0.18, linewidth=0)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
