"""The derivatives of first spikes, compiled: the implicit function theorem at the crossing, summed over a batch.

With lambda = -g / V'(T) for an incoming gradient g, the gradient by the weight of input i is lambda k(T - t_i), that
by its time -lambda w_i k'(T - t_i). Both follow from the gradients by the state (I, U) just after the input,

    by_current = lambda k(T - t_i)        by_voltage = lambda exp(-(T - t_i) / slow)

since k'(d) = exp(-d / slow) - k(d) / fast. The steps of `events`, transposed, carry them from one input back to the
one before. The walk goes from the last input to the first; a neuron's gradients are 0 until its last causal input. No
array of size B N M is made. Each sum has one fixed order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.elementary import exp
from ttfsrun.neuron.kernels.events import Floats, Spikes, charge_integral, rows_per_network
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.simd import (
    fabs,
    fma,
    max_lane,
    maximum,
    select,
    splat,
    vload,
)
from ttfsrun.neuron.kernels.steps import prepare


class Incoming(NamedTuple):
    """Input of the backward pass: the spikes, the gradients by their times, and the steps that lead to them."""

    spikes: Spikes
    gradient: Floats  # [R, K L], by the spike times
    steps: Floats  # [R, 4, N]


class StateGradient(NamedTuple):
    """Gradients by the state just after an input, as vectors; 0 after a neuron's last causal input."""

    by_current: Any
    by_voltage: Any


class BackwardStart(NamedTuple):
    """Start of the backward pass of a block of neurons: just after the last causal input of each."""

    gradient: Any  # `StateGradient`
    causal: Any  # number of causal inputs; 0 where there is no gradient


@compiled
def prepare_rows(low, high, batch, steps):
    """Fill steps [R, 4, N] for rows low to high."""
    rows = rows_per_network(batch)
    for row in range(low, high):
        prepare(row, row // rows, batch, steps[row])


@compiled
def spike_factor(at, incoming):
    """Return -g / V'(T) of the block of neurons at a flat index, and their numbers of causal inputs."""
    causal = vload(incoming.spikes.causal, at)
    zero = splat(causal, 0.0)
    return select(causal > zero, zero - vload(incoming.gradient, at) / vload(incoming.spikes.slope, at), zero), causal


@compiled
def backward_start(at, incoming, tau):
    """Return the `BackwardStart` of the block of neurons at a flat index."""
    factor, causal = spike_factor(at, incoming)
    delay = vload(incoming.spikes.delay, at)
    by_voltage = factor * exp(splat(delay, 0.0) - delay * tau.leak)
    return BackwardStart(StateGradient(by_voltage * charge_integral(delay, tau.rate), by_voltage), causal)


@compiled
def largest_possible(start, tau):
    """Return a bound on the magnitudes in each neuron's gradient by its weights, from the gradient at its start.

    From a delay h on, a response is at most fast exp(-h / slow) before its peak, where both are equal, and k(h) after
    it. So the exact largest entry is seldom needed.
    """
    return maximum(fabs(start.by_current), fabs(start.by_voltage) * tau.fast)


@compiled
def by_delay(state, tau):
    """Return the gradient by the time of an input of weight 1 from the `StateGradient` just after it."""
    return state.by_current * (tau.leak + tau.rate) - state.by_voltage


@compiled
def zero_gradient(like):
    """Return a `StateGradient` of zeros."""
    return StateGradient(splat(like, 0.0), splat(like, 0.0))


@compiled
def step_back(j, after, start, step):
    """Return the `StateGradient` just after input j, from that just after the next input, a `step` later."""
    fast_decay, slow_decay, rise = step
    zero, starts = splat(rise, 0.0), start.causal == splat(start.causal, j + 1)
    # Where a neuron starts, its gradients were 0, and are added to nothing; elsewhere, nothing is added.
    by_current = fma(after.by_voltage * slow_decay, rise, select(starts, start.gradient.by_current, zero))
    return StateGradient(
        fma(after.by_current, fast_decay, by_current),
        fma(after.by_voltage, slow_decay, select(starts, start.gradient.by_voltage, zero)),
    )


@compiled
def inputs_to_visit(start, finite):
    """Return how many inputs the backward pass of a block visits: the causal ones of all its neurons, and a few more.

    A number that varies little from row to row is easier to predict for a processor.
    """
    causal = int(max_lane(start.causal))
    return causal if lanes(start.causal) == 1 else min((causal + 7) // 8 * 8, finite)
