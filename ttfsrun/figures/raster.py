"""Raster of all spikes of some samples, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures import style
from ttfsrun.figures.decision import NO_SPIKE, class_names, first_output

MAX_SAMPLES = 4
INCHES_PER_NEURON = 0.09  # within the two limits
LOWEST, HIGHEST = 0.42, 1.3  # height of a layer's panel, in inches
MAX_NAMED = 12  # larger layers are labelled by their first and last index
MARGIN = 0.08  # strip for the silent neurons, as a fraction of the time axis

#: In their order: when a membrane crosses its threshold, before a dendritic delay; when it spikes; and when the spike
#: reaches the next layer's synapses, after an axonal delay. Columns of the table, with words and colours of the figure.
MOMENTS = {
    "crossing_time": ("crossed", style.PURPLE),
    "spike_time": ("sent", style.INK),
    "arrival_time": ("arrived", style.ORANGE),
}

#: Crossing or arrival times in tau_syn, per layer [S, N_k]; None for layers without such a delay.
Delayed = Mapping[str, Sequence["np.ndarray | None"]]
NOT_DELAYED: Delayed = MappingProxyType({})


def raster(
    times: list[np.ndarray], labels: np.ndarray, names: list[str] | None = None, delayed: Delayed = NOT_DELAYED
) -> Figure:
    """Plot one column per sample and one panel per layer: inputs on top, label neurons at the bottom.

    times[k] [S, N_k]: spike times in tau_syn, inf where silent; the first layer are the inputs, the last the label
    neurons. labels [S]: the true classes, marked by a band. Silent neurons are grey ticks in the right margin, with
    their number. A ring marks the first output spike: the decision and its time. names: of the classes, by default
    their numbers. delayed: a line joins each spike with these times. Raises ValueError where there are too few layers,
    too many samples, NaN, or shapes that do not fit.
    """
    _check(times, labels, delayed)
    names = class_names(names, times[-1].shape[1])
    heights = [_height(layer.shape[1]) for layer in times]
    others = [layer for layers in delayed.values() for layer in layers if layer is not None]
    span = _time_span([*times, *others])
    with style.figure_style():
        width = style.COLUMN if len(labels) == 1 else style.PAGE
        figure = style.new_figure(width, sum(heights) + (0.7 if delayed else 0.55))
        grid = figure.subplots(len(times), len(labels), sharex=True, sharey="row", squeeze=False, height_ratios=heights)
        for sample, label in enumerate(labels):
            for layer, axes in zip(times, grid[:, sample], strict=True):
                _spikes(axes, layer[sample], span)
            for name, layers in delayed.items():
                for layer, other, axes in zip(times, layers, grid[:, sample], strict=True):
                    if other is not None:
                        _join(axes, layer[sample], other[sample], MOMENTS[name][1])
            _decision(grid[:, sample], times[-1][sample], int(label), names)
            grid[-1, sample].set_xlabel(f"time ({style.TAU_SYN})")
        for axes, layer, title in zip(grid[:, 0], times, layer_names(len(times)), strict=True):
            axes.set_ylabel(title)
            _number_neurons(axes, layer.shape[1], names if layer is times[-1] else None)
        grid[0, 0].set_xticks(
            [tick for tick in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(*span) if span[0] <= tick <= span[1]]
        )
        figure.align_ylabels(grid[:, 0])
        if delayed:
            figure.legend(handles=_legend(delayed), loc="outside upper center", ncols=3)
    return figure


def layer_names(n_layers: int) -> list[str]:
    """Return the names of the layers: input, hidden (with a number where there are several), label."""
    n_hidden = n_layers - 2
    hidden = ["hidden"] if n_hidden == 1 else [f"hidden {number}" for number in range(1, n_hidden + 1)]
    return ["input", *hidden, "label"]


def table(times: list[np.ndarray], labels: np.ndarray, delayed: Delayed = NOT_DELAYED) -> pd.DataFrame:
    """Return one row per neuron and sample: `sample`, `label`, `layer`, `neuron`, `spike_time` (tau_syn; inf: silent).

    Where events are delayed, there are columns for these times, empty in layers without. Raises ValueError for the same
    reasons as `raster`.
    """
    _check(times, labels, delayed)
    frames = []
    for number, (title, layer) in enumerate(zip(layer_names(len(times)), times, strict=True)):
        sample, neuron = np.indices(layer.shape)
        others = {name: layers[number] for name, layers in delayed.items()}
        columns = {
            "sample": sample.ravel(),
            "label": np.asarray(labels)[sample.ravel()],
            "layer": title,
            "neuron": neuron.ravel(),
            "spike_time": layer.ravel(),
            **{name: np.nan if other is None else other.ravel() for name, other in others.items()},
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _check(times: list[np.ndarray], labels: np.ndarray, delayed: Delayed) -> None:
    if len(times) < 2:
        raise ValueError(f"{len(times)} layers of spike times; a raster needs the inputs and the label neurons")
    if not 1 <= len(labels) <= MAX_SAMPLES:
        raise ValueError(f"{len(labels)} samples; a raster shows 1 to {MAX_SAMPLES}")
    for index, layer in enumerate(times):
        if len(layer) != len(labels):
            raise ValueError(f"times[{index}] has {len(layer)} samples for {len(labels)} labels")
        if np.isnan(layer).any():
            raise ValueError(f"times[{index}] has a NaN; a silent neuron must be inf")
    for name, others in delayed.items():
        for index, (layer, other) in enumerate(zip(times, others, strict=True)):
            if other is not None and other.shape != layer.shape:
                raise ValueError(f"{name} of layer {index} is {other.shape}, its spikes {layer.shape}")


def _height(n_neurons: int) -> float:
    return float(np.clip(INCHES_PER_NEURON * n_neurons, LOWEST, HIGHEST))


def _time_span(times: list[np.ndarray]) -> tuple[float, float]:
    """First and last spike of all layers and samples, with a little room; (0, 1) where all are silent."""
    finite = np.concatenate([layer[np.isfinite(layer)] for layer in times])
    if not len(finite):
        return 0.0, 1.0
    first, last = float(finite.min()), float(finite.max())
    room = 0.03 * (last - first) or 0.5
    return first - room, last + room


def _spikes(axes: Axes, times: np.ndarray, span: tuple[float, float]) -> None:
    """Plot one layer in one sample: a dot for each spike, a grey tick for each silent neuron."""
    neuron = np.arange(len(times))
    spiked = np.isfinite(times)
    _dots(axes, times, style.INK)
    begin, end = span
    strip = MARGIN * (end - begin)
    axes.set_xlim(begin, end + strip)
    axes.set_ylim(len(times) - 0.4, -0.6)
    axes.axvspan(end, end + strip, color="#F3F3F3", linewidth=0, zorder=0)
    if spiked.all():
        return
    thickness = float(np.clip(0.5 * _points_per_neuron(len(times)), 0.3, 1.0))
    axes.hlines(neuron[~spiked], end + 0.2 * strip, end + 0.8 * strip, color=style.GREY, linewidth=thickness)
    axes.text(
        1.02,
        0.5,
        f"{(~spiked).sum()} silent",
        transform=axes.transAxes,
        rotation=270,
        ha="left",
        va="center",
        fontsize=style.SMALL,
        color=style.GREY,
    )


def _join(axes: Axes, times: np.ndarray, others: np.ndarray, colour: str) -> None:
    """Plot other times of the events of one layer in one sample, and the lines between them and the spikes."""
    spiked = np.isfinite(times)
    thickness = float(np.clip(0.15 * _points_per_neuron(len(times)), 0.15, 0.5))
    neuron = np.flatnonzero(spiked)
    axes.hlines(neuron, times[spiked], others[spiked], color=colour, linewidth=thickness, alpha=0.6, zorder=1.5)
    _dots(axes, others, colour)


def _dots(axes: Axes, times: np.ndarray, colour: str) -> None:
    spiked = np.isfinite(times)
    size = float(np.clip(0.6 * _points_per_neuron(len(times)), 1.6, 3.5))
    axes.plot(times[spiked], np.flatnonzero(spiked), ".", markersize=size, color=colour, markeredgewidth=0)


def _points_per_neuron(n_neurons: int) -> float:
    return 72 * _height(n_neurons) / n_neurons


def _legend(delayed: Delayed) -> list[Line2D]:
    shown = [MOMENTS[name] for name in MOMENTS if name == "spike_time" or name in delayed]
    return [
        Line2D([], [], color=colour, label=word, marker=".", markersize=5, markeredgewidth=0, linestyle="")
        for word, colour in shown
    ]


def _decision(column: np.ndarray, output_times: np.ndarray, label: int, names: list[str]) -> None:
    """Mark the true class, the first output spike and its time in one sample's panels (column [layers])."""
    decided, time = first_output(output_times)
    bottom: Axes = column[-1]
    bottom.axhspan(label - 0.5, label + 0.5, color=style.GREEN, alpha=0.25, linewidth=0, zorder=0)
    if np.isinf(time):
        column[0].set_title(f"{names[label]} \N{RIGHTWARDS ARROW} {NO_SPIKE}", color=style.WRONG)
        return
    colour = style.RIGHT if decided == label else style.WRONG
    for axes in column:
        axes.axvline(time, color=colour, linewidth=0.7, linestyle=(0, (4, 2)), zorder=1)
    bottom.plot(time, decided, "o", markersize=5, markerfacecolor="none", markeredgecolor=colour, markeredgewidth=1)
    title = f"{names[label]} \N{RIGHTWARDS ARROW} {names[decided]} at {time:.2f} {style.TAU_SYN}"
    column[0].set_title(title, color=colour)


def _number_neurons(axes: Axes, n_neurons: int, names: list[str] | None) -> None:
    if names is not None and n_neurons <= MAX_NAMED:
        axes.set_yticks(range(n_neurons), names, fontsize=style.SMALL)
    else:
        axes.set_yticks(sorted({0, n_neurons - 1}))
