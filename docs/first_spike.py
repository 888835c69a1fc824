"""Draws docs/first_spike.png, the picture of docs/solver.md: `python docs/first_spike.py [FILE]`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ttfsrun.figures import style
from ttfsrun.neuron import Neuron, first_spike
from ttfsrun.neuron.reference import current, membrane_reference

TAU_MEM, TAU_SYN, THRESHOLD = 1.5, 1.0, 1.0
TIMES = [0.2, 0.55, 0.9, 1.2, 1.6, 2.3]
WEIGHTS = [0.9, 0.8, -0.7, 1.2, 0.7, -1.2]
NUDGED, NUDGE = 1, 0.1  # the input whose weight grows a little in the right panel, and by how much


def spike_and_gradients(weights: list[float]) -> tuple[float, np.ndarray, np.ndarray]:
    """T, dT/dw_i and dT/dt_i, all by `first_spike`."""
    times = torch.tensor([TIMES], dtype=torch.float64, requires_grad=True)
    weight = torch.tensor(weights, dtype=torch.float64)[:, None].requires_grad_()
    spike = first_spike(times, weight, Neuron(TAU_MEM, TAU_SYN, THRESHOLD))
    by_times, by_weight = torch.autograd.grad(spike, (times, weight))
    return spike.item(), by_weight[:, 0].numpy(), by_times[0].numpy()


def trace(time: np.ndarray, weights: list[float]) -> np.ndarray:
    """V at each time, as if the neuron never spiked."""
    return np.array([membrane_reference(t, TIMES, weights, TAU_MEM, TAU_SYN) for t in time])


def draw_trace(axes: Axes, spike: float) -> None:
    """The membrane, its inputs, and where it crosses."""
    before, after = np.linspace(0, spike, 300), np.linspace(spike, 2.9, 200)
    axes.axvspan(TIMES[0], spike, color=style.BLUE, alpha=0.07, linewidth=0)
    axes.plot(before, trace(before, WEIGHTS), color=style.INK)
    axes.plot(after, trace(after, WEIGHTS), color=style.GREY, linestyle=":")
    axes.axhline(THRESHOLD, color=style.INK, linewidth=0.6, linestyle=(0, (5, 3)))
    axes.text(0.02, THRESHOLD + 0.02, "threshold", va="bottom")
    for number, (time, weight) in enumerate(zip(TIMES, WEIGHTS, strict=True), start=1):
        colour = (style.BLUE if weight > 0 else style.VERMILLION) if time < spike else style.GREY
        arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (time, -0.3 + 0.2 * weight), (time, -0.3), arrowprops=arrow)
        axes.text(time, -0.3 - 0.03 * np.sign(weight), f"$t_{number}$", color=colour, ha="center",
                  va="top" if weight > 0 else "bottom")  # fmt: skip
    axes.axhline(-0.3, color=style.GREY, linewidth=0.4)
    axes.plot(spike, THRESHOLD, "o", color=style.GREEN, markersize=4)
    axes.annotate("first spike $T$", (spike, THRESHOLD), (spike - 0.1, 1.24), color=style.GREEN, ha="center",
                  arrowprops={"arrowstyle": "-", "color": style.GREEN, "linewidth": 0.5})  # fmt: skip
    axes.text((TIMES[0] + spike) / 2, 1.12, "causal set", color=style.BLUE, ha="center")
    axes.text(TIMES[-1] + 0.08, -0.42, "too late", color=style.GREY, ha="left", va="top")
    axes.set(xlim=(0, 2.9), ylim=(-0.72, 1.36), xlabel=f"time ({style.TAU_SYN})", ylabel="membrane $V$")
    axes.set_yticks([0, 0.5, 1])


def draw_derivative(axes: Axes, spike: float, by_weight: float) -> None:
    """What a slightly larger weight does to the crossing."""
    more = [weight + NUDGE * (index == NUDGED) for index, weight in enumerate(WEIGHTS)]
    earlier = spike_and_gradients(more)[0]
    time = np.linspace(earlier - 0.06, spike + 0.08, 100)
    slope = current(spike, TIMES, WEIGHTS, TAU_SYN) - THRESHOLD / TAU_MEM
    raised = trace(np.array([spike]), more)[0]
    axes.plot(time, trace(time, WEIGHTS), color=style.INK)
    axes.plot(time, trace(time, more), color=style.BLUE)
    axes.plot(time, THRESHOLD + slope * (time - spike), color=style.GREY, linewidth=0.6, linestyle=":")
    axes.axhline(THRESHOLD, color=style.INK, linewidth=0.6, linestyle=(0, (5, 3)))
    arrow = {"arrowstyle": "<->", "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (spike, raised), (spike, THRESHOLD), arrowprops=arrow | {"color": style.BLUE})
    axes.text(spike + 0.005, THRESHOLD + 0.87 * (raised - THRESHOLD), f"$\\Delta w_{NUDGED + 1}\\,k(T-t_{NUDGED + 1})$",
              color=style.BLUE, va="center")  # fmt: skip
    axes.annotate("", (earlier, THRESHOLD), (spike, THRESHOLD), arrowprops=arrow | {"color": style.GREEN})
    axes.text((earlier + spike) / 2, THRESHOLD - 0.008, r"$\Delta T$", color=style.GREEN, va="top", ha="center")
    axes.plot([earlier, spike], [THRESHOLD, THRESHOLD], "o", color=style.GREEN, markersize=3)
    axes.text(time[-1], THRESHOLD + 0.2 * slope * (time[-1] - spike), "slope $V'(T)$", color=style.GREY, ha="right",
              va="center")  # fmt: skip
    axes.set(xlim=(time[0], time[-1]), xlabel=f"time ({style.TAU_SYN})")
    axes.set_title(
        f"$\\Delta w_{NUDGED + 1}$ = {NUDGE}: spike {earlier - spike:+.4f}, by the derivative {by_weight * NUDGE:+.4f}"
    )


def draw() -> Figure:
    spike, by_weight, _ = spike_and_gradients(WEIGHTS)
    with style.figure_style():
        figure = style.new_figure(style.PAGE, 2.5)
        left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
        draw_trace(left, spike)
        draw_derivative(right, spike, by_weight[NUDGED])
    return figure


if __name__ == "__main__":
    [written] = style.save(draw(), sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_suffix(".png"))
    print(written)
