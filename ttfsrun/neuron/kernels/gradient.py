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

import numpy as np

from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.elementary import exp
from ttfsrun.neuron.kernels.events import (
    Floats,
    Spikes,
    blocks_of,
    charge_integral,
    constants_of,
    prepare,
    rows_per_network,
    step_after,
    time_constant_factors,
    weight_index,
    weights_from,
)
from ttfsrun.neuron.kernels.lanes import LANES, lanes
from ttfsrun.neuron.kernels.simd import (
    any_lane,
    fabs,
    fma,
    item,
    max_lane,
    maximum,
    select,
    splat,
    sum_lanes,
    vload,
    vstore,
)


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
def zero_gradient(like):
    """Return a `StateGradient` of zeros."""
    return StateGradient(splat(like, 0.0), splat(like, 0.0))


@compiled
def step_back(j, after, start, layer, steps, tau):
    """Return the `StateGradient` just after input j, from that just after the next input."""
    fast_decay, slow_decay, rise = step_after(layer, steps, j, tau)
    by_voltage = after.by_voltage * slow_decay
    by_current = fma(after.by_current, fast_decay, by_voltage * rise)
    starts = start.causal == splat(by_voltage, j + 1)
    return StateGradient(
        select(starts, start.gradient.by_current, by_current), select(starts, start.gradient.by_voltage, by_voltage)
    )


@compiled
def largest_entry(start, layer, steps, tau):
    """Return the largest magnitude in each neuron's gradient by its weights."""
    largest, state = splat(start.causal, 0.0), zero_gradient(start.causal)
    for j in range(int(max_lane(start.causal)) - 1, -1, -1):
        state = step_back(j, state, start, layer, steps, tau)
        largest = maximum(largest, fabs(state.by_current))
    return largest


@compiled
def limited(start, limit, layer, steps, tau):
    """Return `start` without the neurons whose gradient by the weights has an entry of magnitude above the limit."""
    gradient, zero, largest_allowed = start.gradient, splat(start.causal, 0.0), splat(start.causal, limit)
    # From a delay h on, a response is at most fast exp(-h / slow) before its peak, where both are equal, and k(h)
    # after it. So the exact largest entry is seldom needed.
    reach = maximum(fabs(gradient.by_current), fabs(gradient.by_voltage) * tau.fast)
    if any_lane(reach > largest_allowed):
        drop = (largest_entry(start, layer, steps, tau) > largest_allowed) | (reach == splat(zero, np.inf))
        gradient = StateGradient(select(drop, zero, gradient.by_current), select(drop, zero, gradient.by_voltage))
        start = BackwardStart(gradient, select(drop, zero, start.causal))
    return start


@compiled
def backward_weight(low, high, batch, incoming, limit, out):
    """Add the gradients by the weights to `out`, in their layout, for the pairs (network, block) low to high."""
    n_blocks, n_inputs = blocks_of(batch.layer), batch.inputs.times.shape[1]
    rows = rows_per_network(batch)
    for pair in range(low, high):
        p, k = pair // n_blocks, pair % n_blocks
        tau = constants_of(batch.layer, p, k, incoming.steps)
        for row in range(p * rows, (p + 1) * rows):
            steps = incoming.steps[row]
            start = backward_start((row * n_blocks + k) * lanes(out), incoming, tau)
            start = limited(start, limit, batch.layer, steps, tau)
            state = zero_gradient(out)
            for j in range(int(max_lane(start.causal)) - 1, -1, -1):
                state = step_back(j, state, start, batch.layer, steps, tau)
                i = item(batch.inputs.order, row * n_inputs + j)
                at = weight_index(batch.layer, p, k, i, n_inputs)
                vstore(out, at, vload(out, at) + state.by_current)


@compiled
def add_by_time(row, part, batch, incoming, total):
    """Fill total [N, W] with sums of the gradients by a row's input times, in order of time.

    Neuron n is added to sum n % W, neurons in their order; a part fills the L sums from part L on. W is LANES, or the
    power of two from the number of neurons on if that is smaller.
    """
    steps, p, width = incoming.steps[row], row // rows_per_network(batch), total.shape[1]
    for j in range(batch.inputs.finite[row]):
        vstore(total, j * width + part * lanes(total), splat(total, 0.0))
    for k in range(part, blocks_of(batch.layer), width // lanes(total)):
        tau = constants_of(batch.layer, p, k, steps)
        inverse = tau.leak + tau.rate
        start = backward_start((row * blocks_of(batch.layer) + k) * lanes(total), incoming, tau)
        state = zero_gradient(total)
        for j in range(int(max_lane(start.causal)) - 1, -1, -1):
            state = step_back(j, state, start, batch.layer, steps, tau)
            entry = weights_from(batch, p, k, row, j) * (state.by_current * inverse - state.by_voltage)
            at = j * width + part * lanes(total)
            vstore(total, at, vload(total, at) + entry)


@compiled
def backward_time(low, high, batch, incoming, out, total):
    """Write the gradients by the input times to `out` [R, N], for rows low to high; total [N, LANES]: scratch space."""
    n_inputs = batch.inputs.times.shape[1]
    for row in range(low, high):
        add_by_time(row, 0, batch, incoming, total)
        for j in range(batch.inputs.finite[row]):
            out[row, item(batch.inputs.order, row * n_inputs + j)] = sum_lanes(vload(total, j * LANES))


@compiled
def backward_time_parts(low, high, batch, incoming, totals):
    """Fill totals [R, N, W] by `add_by_time`, for parts low to high of all rows (R W); one lane."""
    width = totals.shape[2]
    for at in range(low, high):
        add_by_time(at // width, at % width, batch, incoming, totals[at // width])


@compiled
def backward_time_sums(low, high, inputs, totals, out):
    """Write the gradients by the input times to `out` [R, N], for inputs low to high of all rows (R N).

    The sums in totals [R, N, W], by `backward_time_parts`, are added in the order of `sum_lanes`, in place.
    """
    n_inputs, width = inputs.times.shape[1], totals.shape[2]
    for at in range(low, high):
        row, j = at // n_inputs, at % n_inputs
        half = width // 2 if j < inputs.finite[row] else 0
        while half > 0:
            for i in range(half):
                totals[row, j, i] += totals[row, j, half + i]
            half //= 2
        out[row, item(inputs.order, at)] = totals[row, j, 0] if j < inputs.finite[row] else 0


@compiled
def backward_constants(low, high, batch, incoming, by_slow, by_fast):
    """Write the gradients by the neurons' time constants, [R, K L] both, for blocks low to high of all rows (R K).

    With d = T - t_i and m = (1 - exp(-rate d)) / (rate d), dk/d(1/slow) = -d^2 exp(-d / slow) (1 - m) / (rate d) and
    dk/d(1/fast) = -d^2 exp(-d / slow) (m - exp(-rate d)) / (rate d).
    """
    n_blocks, rows = blocks_of(batch.layer), rows_per_network(batch)
    for block in range(low, high):
        row, k = block // n_blocks, block % n_blocks
        p, steps, at = row // rows, incoming.steps[row], block * lanes(batch)
        tau = constants_of(batch.layer, p, k, steps)
        factor, causal = spike_factor(at, incoming)
        final = vload(incoming.spikes.delay, at)
        delay = slow_sum = fast_sum = zero = splat(final, 0.0)
        for j in range(int(max_lane(causal)) - 1, -1, -1):
            n_causal = splat(final, j + 1)
            delay = select(causal > n_causal, delay + splat(final, item(steps, j)), final)
            share = weights_from(batch, p, k, row, j) * exp(zero - delay * tau.leak) * delay * delay
            share = select(causal >= n_causal, share, zero)
            slow_part, fast_part = time_constant_factors(delay * tau.rate)
            slow_sum = slow_sum + share * slow_part
            fast_sum = fast_sum + share * fast_part
        inverse = tau.leak + tau.rate
        vstore(by_slow, at, factor * slow_sum * tau.leak * tau.leak)
        vstore(by_fast, at, factor * fast_sum * inverse * inverse)
