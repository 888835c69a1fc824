"""The error over the epochs of training, for each value of a setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures import logarithmic, style
from ttfsrun.figures.curves import SPLITS
from ttfsrun.figures.sweep import labels
from ttfsrun.figures.sweep.drawing import SweepFigure
from ttfsrun.figures.sweep.palette import Key, Palette, legend
from ttfsrun.figures.sweep.rows import Value, counted, group_by, levels, plain_values

MAX_LINES, MAX_PANELS = 6, 3  # lines of a panel; panels for the values of a column
HEIGHT = 1.9  # inches
MAX_MARKED = 12  # up to so many epochs each one has a marker


def learning(name: str, curves: pd.DataFrame, column: str | None, panel: str | None) -> SweepFigure | None:
    """Plot median and quartiles of the error over the epochs, with a colour for each value of a column.

    curves: see `drawing.Supplement`. Of many values some are shown, the first and the last among them.
    panel: a column with a panel of the validation error for each value; without it, training and validation have a
    panel each. Return None where there are no errors.
    """
    errors = _errors(curves, [key for key in (column, panel) if key])
    if errors.empty:
        return None
    shared_by = column if column and _have_equal_curves(errors, column) else None
    if shared_by:  # its points share their trainings
        column, errors = None, errors[_is_in(errors[shared_by], levels(list(errors[shared_by]))[:1])]
    colour_values = _select(list(errors[column]), MAX_LINES) if column else []
    splits = [split for split in SPLITS if (errors["split"] == split).any()]
    panel_values = _select(list(errors[panel]), MAX_PANELS) if panel else splits
    errors = errors[errors["split"] == "valid"] if panel else errors
    errors = errors[_is_in(errors[panel], panel_values)] if panel else errors
    errors = errors[_is_in(errors[column], colour_values)] if column else errors
    if errors.empty:
        return None
    palette = Palette(Key(column, colour_values)) if column else Palette()
    numbers = _statistics(errors, [panel or "split", *palette.columns])
    with style.figure_style():
        width = style.COLUMN if len(panel_values) <= 2 else style.PAGE
        characters = int(width / len(panel_values) / labels.CHARACTER)
        figure = style.new_figure(width, HEIGHT + (0.2 if column else 0))
        panels = figure.subplots(1, len(panel_values), squeeze=False, sharey=True)[0]
        positive = numbers[["median", "q25", "q75"]].to_numpy(dtype=float).ravel()
        if (positive > 0).any():
            logarithmic.vertical(panels[0], positive[positive > 0])
        for axes, value in zip(panels, panel_values, strict=True):
            medians = numbers[_is_in(numbers[panel or "split"], [value])]
            _panel(axes, medians, palette)
            title = labels.named([panel], [value]) if panel else [SPLITS[value][0]]
            axes.set_title(labels.heading([*title, counted(medians["n"])], characters))
        panels[0].set_ylabel("validation error (%)" if panel else "error (%)")
        legend(figure, palette)
    groups = f", for each {' and '.join(labels.title(key) for key in (column, panel) if key)}" if column else ""
    caption = (
        f"{'Validation error' if panel else 'Error'} over the epochs of training{groups}: medians, with the quartiles "
        f"as bands ({counted(numbers['n'])} networks)."
        + (" Of many values some are shown." if column and len(colour_values) == MAX_LINES else "")
        + (f" They are the same for all values of {labels.title(shared_by)}." if shared_by else "")
    )
    return SweepFigure(name, caption, figure, numbers)


def _errors(curves: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return the curves of training and validation with their `error` in per cent, and plain values of the columns."""
    is_shown = np.array([np.isfinite(accuracy).any() for accuracy in curves["accuracy"]], dtype=bool)
    rows = curves[curves["split"].isin(list(SPLITS)) & is_shown]
    error = pd.Series([100 * (1 - accuracy) for accuracy in rows["accuracy"]], rows.index, dtype=object)
    values = {key: pd.Series(plain_values(rows[key]), index=rows.index, dtype=object) for key in columns}
    return rows.assign(error=error, **values)


def _have_equal_curves(errors: pd.DataFrame, column: str) -> bool:
    """Return whether a column has several values, and all have the same curves."""
    parts = (
        Counter((split, error.tobytes()) for split, error in zip(part["split"], part["error"], strict=True))
        for _, part in group_by(errors, [column])
    )
    first = next(parts)
    others = [part == first for part in parts]
    return len(others) > 0 and all(others)


def _select(values: list[Value], n: int) -> list[Value]:
    """Return at most n of the different values, equally spaced in their order."""
    different = levels(values)
    positions = sorted({round(position) for position in np.linspace(0, len(different) - 1, min(n, len(different)))})
    return [different[position] for position in positions]


def _is_in(column: pd.Series[Any], values: Sequence[Value]) -> list[bool]:
    """Return a mask of the rows whose value is one of these, which may include None."""
    members = set(values)
    return [value in members for value in column]


def _statistics(errors: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return median, quartiles and number of the errors, by these columns and the epoch."""
    tables = []
    for values, group in group_by(errors, keys):
        rows = []
        for epoch, column in enumerate(zip_longest(*group["error"], fillvalue=np.nan), start=1):
            finite = np.array(column)[np.isfinite(column)]
            if len(finite):
                rows.append((epoch, *np.quantile(finite, [0.25, 0.5, 0.75]), len(finite)))
        table = pd.DataFrame(rows, columns=["epoch", "q25", "median", "q75", "n"])
        for position, (key, value) in enumerate(zip(keys, values, strict=True)):
            table.insert(position, key, pd.Series([value] * len(table), dtype=object))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _panel(axes: Axes, medians: pd.DataFrame, palette: Palette) -> None:
    for values, group in group_by(medians, palette.columns):
        line_style = palette.line_style(values)
        marker = line_style.marker if len(group) <= MAX_MARKED else ""
        axes.plot(group["epoch"], group["median"], color=line_style.colour, marker=marker, markersize=2.5)
        if group["n"].max() > 1:
            low, high = group["q25"].astype(float), group["q75"].astype(float)
            axes.fill_between(group["epoch"], low, high, color=line_style.colour, alpha=0.18, linewidth=0)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
