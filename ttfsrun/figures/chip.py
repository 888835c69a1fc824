"""Fixed quantities of one chip: their distributions over the neurons or synapses of each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures import style

Layers = Sequence[np.ndarray]

COLUMNS = ["quantity", "layer", "left", "right", "count"]

MAX_PANELS_PER_ROW = 4
MAX_QUANTITIES_PER_COLUMN = 5  # more quantities are in two columns
HEIGHT = 0.92  # of a row of panels, in inches
MAX_SINGLE_VALUES = 5  # up to so many different values have a bar each
MIN_BINS, MAX_BINS = 7, 31  # for more values
ROOM = 1.4  # height of a panel relative to its highest bar: leaves room for the text above


def chip(drawn: Mapping[str, Layers], units: Mapping[str, str]) -> Figure:
    """Plot a panel for each quantity and layer.

    drawn[quantity][layer]: numbers become a histogram with the same bins for all layers; NaN marks a neuron or synapse
    without the quantity, such as a working synapse. Booleans (the dead neurons) become the share of true.
    units[quantity]: the unit of numbers, in words. Raises ValueError where there is no quantity.
    """
    if not drawn:
        raise ValueError("no quantity is drawn for this chip: there is nothing to plot")
    n_layers = max(map(len, drawn.values()))
    across = min(n_layers, MAX_PANELS_PER_ROW)
    columns = 2 if len(drawn) > MAX_QUANTITIES_PER_COLUMN and 2 * across <= MAX_PANELS_PER_ROW else 1
    rows_per_quantity = -(-n_layers // across)
    n_rows = -(-len(drawn) // columns) * rows_per_quantity
    with style.figure_style():
        figure = style.new_figure(style.COLUMN if columns * across <= 2 else style.PAGE, HEIGHT * n_rows)
        grid = figure.subplots(n_rows, columns * across, squeeze=False)
        for number, (quantity, layers) in enumerate(drawn.items()):
            row, column = number // columns * rows_per_quantity, number % columns * across
            panels = grid[row : row + rows_per_quantity, column : column + across].ravel()
            for index, axes in enumerate(panels[: len(layers)]):
                _panel(axes, layers, index)
            unit = "" if layers[0].dtype == bool else f" ({units[quantity]})"
            panels[0].set_title(quantity + unit, loc="left")
        for axes in grid.flat:
            axes.set_visible(bool(axes.texts))
    return figure


def table(drawn: Mapping[str, Layers]) -> pd.DataFrame:
    """Return one row for each bar: `quantity`, `layer`, `left` and `right` edge, `count`.

    Where a bar is a single value, such as false (0) or true (1), both edges are that value; for NaN they are missing.
    """
    frames = []
    for quantity, layers in drawn.items():
        left, right = _bins(layers)
        for number, layer in enumerate(layers, 1):
            missing = np.isnan(layer).sum()
            bars = pd.DataFrame({"left": left, "right": right, "count": _counts(layer, left, right)})
            if missing:
                bars.loc[len(bars)] = [np.nan, np.nan, missing]
            frames.append(bars.assign(quantity=quantity, layer=number))
    return pd.concat(frames, ignore_index=True).astype({"count": int})[COLUMNS]


def _bins(layers: Layers) -> tuple[np.ndarray, np.ndarray]:
    """Return the left and right edges [K] of the bars of a quantity; equal where each bar is a single value."""
    if layers[0].dtype == bool:
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    values = np.concatenate([layer[~np.isnan(layer)] for layer in layers])
    different = np.unique(values)
    if len(different) <= MAX_SINGLE_VALUES:
        return different, different
    bins = int(np.clip(np.sqrt(len(values)), MIN_BINS, MAX_BINS))
    edges = np.linspace(different[0], different[-1], bins + 1)
    return edges[:-1], edges[1:]


def _counts(layer: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the number of values in each of the bins [K]."""
    if (left == right).all():
        return np.array([(layer == value).sum() for value in left], int)
    return np.histogram(layer[~np.isnan(layer)], np.append(left, right[-1]))[0]


def _panel(axes: Axes, layers: Layers, index: int) -> None:
    """Plot one layer of a quantity, with its number of values."""
    layer = layers[index]
    is_share = layer.dtype == bool
    n_affected = int(layer.sum() if is_share else (~np.isnan(layer)).sum())
    if is_share:
        _share(axes, n_affected / layer.size)
    else:
        left, right = _bins(layers)
        _histogram(axes, left, right, _counts(layer, left, right))
        if index == 0:
            axes.set_ylabel("count")
    is_complete = not is_share and n_affected == layer.size
    text = f"n = {n_affected:,}" if is_complete else f"{100 * n_affected / layer.size:.1f} % of {layer.size:,}"
    axes.text(1, 1, f"layer {index + 1}: {text}", transform=axes.transAxes, ha="right", va="top", fontsize=style.SMALL)


def _share(axes: Axes, share: float) -> None:
    """Plot a bar that is filled up to the share."""
    axes.barh(0, 1, height=0.5, color=style.PALE)
    axes.barh(0, share, height=0.5, color=style.VERMILLION)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, 1.4)
    axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _histogram(axes: Axes, left: np.ndarray, right: np.ndarray, counts: np.ndarray) -> None:
    low, high = (left[0], right[-1]) if len(left) else (0.0, 0.0)
    room = 0.06 * (high - low) or 0.5
    widths = np.where(left == right, 0.04 * (high - low) or 0.04, right - left)
    axes.bar((left + right) / 2, counts, widths, color=style.BLUE, linewidth=0)
    axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    highest = max(int(counts.max(initial=0)), 1)
    axes.set_ylim(0, ROOM * highest)
    tick = _round_below(highest)
    axes.set_yticks([0, tick], ["0", f"{tick:,}"])


def _round_below(number: int) -> int:
    """Return the largest of 1, 2, 5, 10, 20, ... that is not above a number."""
    power: int = 10 ** (len(str(number)) - 1)
    return max(factor * power for factor in (1, 2, 5) if factor * power <= number)
