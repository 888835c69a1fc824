"""Membrane potentials of chosen neurons, with their inputs, thresholds and spikes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures import style
from ttfsrun.figures.decision import NO_SPIKE

ROLES = ("label neuron", "spikes first", "just crosses", "just misses")  # rows, from the top
HEIGHT = 0.92  # of a row, in inches
STRIP = 0.27  # height of the strip of inputs at the bottom, as a fraction of a panel's height
STEM = 0.11  # length of the largest weight, as a fraction of a panel's height
HEADROOM = 0.3  # room for the neuron's name above the threshold, as a fraction of the range below it
LATER = "#B5B5B5"  # colour of everything after the crossing
EXCITATORY, INHIBITORY = style.BLUE, style.VERMILLION
COLUMNS = ["sample", "label", "role", "layer", "neuron", "quantity", "time", "value"]


@dataclass(frozen=True)
class Trace:
    """Membrane of one neuron in one sample, with its parameters and weights on the substrate; times in tau_syn."""

    sample: int
    label: int  # the sample's true class
    role: str  # one of ROLES
    layer: str
    neuron: int
    arrivals: np.ndarray  # [N]: times of its inputs; inf for no spike
    weight: np.ndarray  # [N]
    v_th: float
    v_leak: float
    crossing: float  # the first upward crossing of v_th; inf without one
    recorded: float  # the spike as recorded; inf if there is none, or it was lost
    time: np.ndarray  # [G], ascending; the crossing is among them
    voltage: np.ndarray  # [G]: at these times; not reset after the crossing

    @property
    def at_crossing(self) -> float:
        """The voltage at the crossing; NaN without one."""
        return float(self.voltage[np.searchsorted(self.time, self.crossing)]) if np.isfinite(self.crossing) else np.nan

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest of the voltages up to the crossing, the leak and the threshold."""
        voltages = [*self.voltage[self.time <= self.crossing], self.v_th, self.v_leak]
        return float(min(voltages)), float(max(voltages))


def membrane(traces: Sequence[Trace], names: list[str] | None = None) -> Figure:
    """Plot a column for each sample and a row for each role that some neuron has.

    After the crossing the line is pale; it shows the voltage without a reset. The stems below are the inputs, as long
    as their weights; inputs after the crossing do not contribute to it and are also pale.
    Above each column are the true class and the decision. names: of the classes, by default their numbers.
    Raises ValueError where there are no traces.
    """
    if not traces:
        raise ValueError("no neuron is chosen: there is no membrane to plot")
    samples = list(dict.fromkeys(trace.sample for trace in traces))
    roles = [role for role in ROLES if any(trace.role == role for trace in traces)]
    with style.figure_style():
        width = style.COLUMN if len(samples) == 1 else style.PAGE
        figure = style.new_figure(width, HEIGHT * len(roles) + 0.75)
        grid = figure.subplots(len(roles), len(samples), sharex="col", sharey="row", squeeze=False)
        for column, sample in zip(grid.T, samples, strict=True):
            _head(column, [trace for trace in traces if trace.sample == sample], names)
        for row, role in zip(grid, roles, strict=True):
            by_sample = {trace.sample: trace for trace in traces if trace.role == role}
            _frame(row, list(by_sample.values()))
            for axes, sample in zip(row, samples, strict=True):
                if sample in by_sample:
                    _panel(axes, by_sample[sample], names)
                else:
                    axes.text(0.5, 0.6, "no other neuron", transform=axes.transAxes, ha="center", color=style.GREY)
            row[0].set_ylabel(role)
        figure.supylabel("membrane potential V", fontsize=7)
        figure.align_ylabels(grid[:, 0])
        figure.legend(handles=_legend(traces), loc="outside upper center", ncols=8 if len(samples) > 1 else 3)
    return figure


def table(traces: Sequence[Trace]) -> pd.DataFrame:
    """Return one row for each value of a `quantity` of a neuron, by its `role` in a `sample`; times in tau_syn.

    membrane: `value` at `time`. threshold, leak: the `value`. crossing: its `time`, and the voltage as `value`.
    recorded: the `time` of the spike. input: the `time` of its arrival, and its weight as `value`.
    """
    frames = []
    for trace in traces:
        arrived = np.isfinite(trace.arrivals)
        points = {
            "membrane": (trace.time, trace.voltage),
            "threshold": ([np.nan], [trace.v_th]),
            "leak": ([np.nan], [trace.v_leak]),
            "crossing": ([trace.crossing], [trace.at_crossing]),
            "recorded": ([trace.recorded], [np.nan]),
            "input": (trace.arrivals[arrived], trace.weight[arrived]),
        }
        times, values = ([np.asarray(pair[part], float) for pair in points.values()] for part in (0, 1))
        columns = {key: getattr(trace, key) for key in COLUMNS[:5]}
        columns["quantity"] = np.repeat(list(points), [len(time) for time in times])
        frames.append(pd.DataFrame(columns | {"time": np.concatenate(times), "value": np.concatenate(values)}))
    return pd.concat(frames, ignore_index=True)


def _class_name(label: int, names: list[str] | None) -> str:
    return str(label) if names is None else names[label]


def _head(column: Sequence[Axes], traces: Sequence[Trace], names: list[str] | None) -> None:
    """Set the time axis of a sample's column, and its title: the true class and the decision."""
    column[0].set_xlim(traces[0].time[0], max(trace.time[-1] for trace in traces))
    column[-1].set_xlabel(f"time ({style.TAU_SYN})")
    column[-1].xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    true = traces[0].label
    decided = [trace.neuron for trace in traces if trace.role == ROLES[0] and np.isfinite(trace.recorded)]
    decision = _class_name(decided[0], names) if decided else NO_SPIKE
    colour = style.RIGHT if decided == [true] else style.WRONG
    column[0].set_title(f"{_class_name(true, names)} \N{RIGHTWARDS ARROW} {decision}", color=colour)


def _frame(row: Sequence[Axes], traces: Sequence[Trace]) -> None:
    """Set the common limits of a row, with its membranes above the strip of the inputs."""
    lows, highs = zip(*(trace.range for trace in traces), strict=True)
    low, span = min(lows), (max(highs) - min(lows)) or 1.0
    height = (1 + HEADROOM) * span  # of the axes above the lowest voltage
    bottom = low - (0.04 + STRIP / (1 - STRIP)) * height
    row[0].set_ylim(bottom, low + height)
    locator = MaxNLocator(3, steps=[1, 2, 5, 10])
    row[0].set_yticks([tick for tick in locator.tick_values(low, max(highs)) if low <= tick <= max(highs)])
    for axes in row:
        axes.axhspan(bottom, bottom + STRIP * (low + height - bottom), color="#F3F3F3", linewidth=0, zorder=0)


def _panel(axes: Axes, trace: Trace, names: list[str] | None) -> None:
    axes.axhline(trace.v_leak, color=style.GREY, linewidth=0.6, linestyle=":", zorder=1)
    axes.axhline(trace.v_th, color=style.INK, linewidth=0.6, linestyle=(0, (4, 2)), zorder=1)
    before, after = trace.time <= trace.crossing, trace.time >= trace.crossing
    after &= np.cumsum(after & (trace.voltage > axes.get_ylim()[1])) <= 1  # ends where it leaves the panel at the top
    axes.plot(trace.time[after], trace.voltage[after], color=LATER, linewidth=0.7)
    axes.plot(trace.time[before], trace.voltage[before], color=style.INK)
    _inputs(axes, trace)
    if np.isfinite(trace.crossing):
        axes.axvline(trace.crossing, color=style.GREEN, linewidth=0.5, zorder=1)
        axes.plot(
            trace.crossing,
            trace.at_crossing,
            "o",
            markersize=4,
            color=style.GREEN,
            markerfacecolor="white",
            clip_on=False,
        )
    if _recorded_apart(trace):
        axes.plot(trace.recorded, trace.v_th, "|", markersize=7, color=style.ORANGE, markeredgewidth=1.1)
    begin, end = axes.get_xlim()
    on_the_right = trace.crossing < (begin + end) / 2  # the side on which the line is not in the way
    x, side = (0.985, "right") if on_the_right else (0.015, "left")
    axes.text(x, 1, _title(trace, names), transform=axes.transAxes, va="top", ha=side, fontsize=style.SMALL)


def _title(trace: Trace, names: list[str] | None) -> str:
    """Return the name of the neuron, and when it spikes."""
    name = _class_name(trace.neuron, names) if trace.role == ROLES[0] else f"{trace.layer} #{trace.neuron}"
    if np.isfinite(trace.recorded):
        return f"{name} at {trace.recorded:.2f}"
    return f"{name}, {'spike lost' if np.isfinite(trace.crossing) else 'silent'}"


def _recorded_apart(trace: Trace) -> bool:
    return bool(np.isfinite(trace.recorded) and trace.recorded != trace.crossing)


def _inputs(axes: Axes, trace: Trace) -> None:
    """Plot the inputs as stems in the strip at the bottom, up or down by the sign of the weight."""
    begin, end = trace.time[0], trace.time[-1]
    visible = (trace.arrivals >= begin) & (trace.arrivals <= end)
    times, weight = trace.arrivals[visible], trace.weight[visible]
    largest = np.abs(weight).max(initial=0.0) or 1.0
    tip = STRIP / 2 + STEM * weight / largest
    width = float(np.clip(60 / max(len(times), 1), 0.35, 1.2))
    transform = axes.get_xaxis_transform()  # time, and the fraction of the panel's height
    axes.plot([begin, end], [STRIP / 2] * 2, color=style.GREY, linewidth=0.3, transform=transform, zorder=1)
    causal = times < trace.crossing
    for selected, colour in (
        (~causal, LATER),
        (causal & (weight >= 0), EXCITATORY),
        (causal & (weight < 0), INHIBITORY),
    ):
        axes.vlines(times[selected], STRIP / 2, tip[selected], color=colour, linewidth=width, transform=transform)


def _legend(traces: Sequence[Trace]) -> list[Line2D]:
    def line(label: str, colour: str, **kwargs: object) -> Line2D:
        return Line2D([], [], color=colour, label=label, **kwargs)  # type: ignore[arg-type]

    def stem(label: str, colour: str) -> Line2D:
        return line(label, colour, linestyle="", marker="|", markersize=6, markeredgewidth=1.4)

    handles = [
        line("threshold", style.INK, linewidth=0.6, linestyle=(0, (4, 2))),
        line("leak", style.GREY, linewidth=0.6, linestyle=":"),
        line("exact crossing", style.GREEN, marker="o", markersize=4, markerfacecolor="white", linewidth=0.5),
    ]
    if any(map(_recorded_apart, traces)):
        handles.append(stem("as recorded", style.ORANGE))
    return [
        *handles,
        stem("excitatory input", EXCITATORY),
        stem("inhibitory input", INHIBITORY),
        line("after the crossing", LATER, marker="|", markersize=6, markeredgewidth=1.4, linewidth=0.7),
    ]
