"""Histograms of what each layer learned, its weights or delays: as trained, and as they are on the chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures import style

HEIGHT = 1.3  # of a row of panels, in inches
MAX_PANELS_PER_ROW = 2
MIN_BINS, MAX_BINS = 12, 45
MANY_LEVELS = 100  # in a bar: one more or less is invisible
ROOM = 1.22  # height of a panel relative to its highest bar: leaves room for the text above
NOMINAL, ON_CHIP = "nominal", "on the chip"


@dataclass(frozen=True)
class Quantity:
    """What the histograms show."""

    name: str  # of many, a column of the table
    axis: str  # the label of the axis, with the unit
    signs: tuple[int, ...]  # of the limits of a chip


WEIGHTS = Quantity("weights", "weight", signs=(-1, 1))
DELAYS = Quantity("delays", f"delay ({style.TAU_SYN})", signs=(1,))


@dataclass(frozen=True)
class LayerValues:
    """The values of one layer, arrays of any shape."""

    nominal: np.ndarray
    on_chip: np.ndarray | None = None  # None where they equal the nominal ones
    largest: float | None = None  # magnitude that the chip can hold; None: no limit
    step: float | None = None  # between the levels of the chip; None: no levels

    @property
    def kinds(self) -> dict[str, np.ndarray]:
        """The flattened values of each kind."""
        on_chip = {} if self.on_chip is None else {ON_CHIP: self.on_chip.ravel()}
        return {NOMINAL: self.nominal.ravel(), **on_chip}


def histograms(quantity: Quantity, layers: Mapping[int, LayerValues]) -> Figure:
    """Plot a histogram for each layer, by its number: the nominal values as an outline over those on the chip.

    Dashed lines are the largest values that the chip can hold. Where the chip has levels, every bar covers the same odd
    number of them, centred on one. Raises ValueError where there are no layers.
    """
    if not layers:
        raise ValueError(f"without layers, there are no {quantity.name} to plot")
    rows = -(-len(layers) // MAX_PANELS_PER_ROW)
    with style.figure_style():
        figure = style.new_figure(style.COLUMN, HEIGHT * rows + 0.35)
        grid = figure.subplots(rows, MAX_PANELS_PER_ROW if len(layers) > 1 else 1, squeeze=False)
        for axes, (number, layer) in zip(grid.flat, layers.items(), strict=False):
            _panel(axes, layer, quantity)
            count = f"layer {number}: n = {layer.nominal.size:,}"
            axes.text(1, 1, count, transform=axes.transAxes, ha="right", va="top", fontsize=style.SMALL)
        for axes in grid.flat[len(layers) :]:
            axes.set_visible(False)
        for row in grid:
            row[0].set_ylabel("share (%)")
        for axes in grid.flat[max(0, len(layers) - grid.shape[1]) : len(layers)]:  # the lowest of each column
            axes.set_xlabel(quantity.axis)
        handles = _legend(layers)
        if len(handles) > 1:
            figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def table(quantity: Quantity, layers: Mapping[int, LayerValues]) -> pd.DataFrame:
    """Return one row for each bar: `layer`, `left` and `right` edge, `count`.

    The column with the name of the quantity says which values: nominal, or on the chip.
    """
    frames = []
    for number, layer in layers.items():
        edges = _edges(layer)
        for kind, values in layer.kinds.items():
            counts = np.histogram(values, edges)[0]
            bars = {"layer": number, quantity.name: kind, "left": edges[:-1], "right": edges[1:], "count": counts}
            frames.append(pd.DataFrame(bars))
    return pd.concat(frames, ignore_index=True)


def _edges(layer: LayerValues) -> np.ndarray:
    """Return the edges [K + 1] of the bars of a layer, which enclose all of its values."""
    values = np.concatenate(list(layer.kinds.values()))
    if not len(values):
        return np.array([-0.5, 0.5])
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.array([low - 0.5, low + 0.5])
    bins = int(np.clip(np.sqrt(layer.nominal.size), MIN_BINS, MAX_BINS))
    if layer.step is None and layer.largest is None:
        return np.linspace(low, high, bins + 1)
    width = _width((high - low) / bins, layer.step, layer.largest)
    first, last = np.floor(low / width + 0.5), np.floor(high / width + 0.5)
    return np.asarray((np.arange(first, last + 2) - 0.5) * width)


def _width(target: float, step: float | None, largest: float | None) -> float:
    """Return a width near the target with which bars are centred on 0 and, if possible, on the limits of the chip."""
    if step is None or target > MANY_LEVELS * step:
        return target if largest is None or largest < target else largest / round(largest / target)
    levels = 2 * int(target / step / 2) + 1
    highest = 0 if largest is None else round(largest / step)
    candidates = [number for number in range(1, 2 * levels, 2) if highest % number == 0 and 2 * number >= levels]
    return step * min(candidates, key=lambda number: abs(number - levels), default=levels)


def _panel(axes: Axes, layer: LayerValues, quantity: Quantity) -> None:
    edges = _edges(layer)
    shares = {kind: 100 * np.histogram(values, edges)[0] / max(values.size, 1) for kind, values in layer.kinds.items()}
    if ON_CHIP in shares:
        axes.stairs(shares[ON_CHIP], edges, fill=True, color=style.BLUE, alpha=0.55, linewidth=0)
        axes.stairs(shares[NOMINAL], edges, color=style.INK, linewidth=0.7)
    else:
        axes.stairs(shares[NOMINAL], edges, fill=True, color=style.BLUE, linewidth=0)
    highest = max(float(share.max()) for share in shares.values())
    axes.set_ylim(0, ROOM * (highest or 1))
    limits = [] if layer.largest is None else [sign * layer.largest for sign in quantity.signs]
    low, high = min([edges[0], *limits]), max([edges[-1], *limits])
    axes.set_xlim(low - 0.03 * (high - low), high + 0.03 * (high - low))
    axes.vlines(limits, 0, highest, color=style.VERMILLION, linewidth=0.8, linestyle=(0, (3, 1.5)))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def _legend(layers: Mapping[int, LayerValues]) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D]
    if any(layer.on_chip is not None for layer in layers.values()):
        outline = Patch(facecolor="none", edgecolor=style.INK, linewidth=0.7, label=NOMINAL)
        handles = [outline, Patch(color=style.BLUE, alpha=0.55, linewidth=0, label=ON_CHIP)]
    else:
        handles = [Patch(color=style.BLUE, linewidth=0, label=NOMINAL)]
    if any(layer.largest is not None for layer in layers.values()):
        dashes = (0, (3, 1.5))
        handles.append(
            Line2D([], [], color=style.VERMILLION, linewidth=0.8, linestyle=dashes, label="limit of the chip")
        )
    return handles
