"""The derivatives of first spikes, compiled: the implicit function theorem at the crossing, summed over a batch.

With -g / V'(T) = lambda for an incoming gradient g, what a spike passes on to an input i is lambda k(T - t_i) for
its weight, -lambda w_i k'(T - t_i) for its time. Both follow from what it passes on to the state (I, U) just after
the input,

    by_current = lambda k(T - t_i)        by_voltage = lambda exp(-(T - t_i) / slow)

by k'(d) = exp(-d / slow) - k(d) / fast. The steps of `events`, transposed, carry them from one input back to the
one before. Each neuron joins in at its last causal input; before, it passes on zeros. No array of size B N M is
made. Each sum has one fixed order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ttfsrun.neuron.compiled import compiled
from ttfsrun.neuron.elementary import exp
from ttfsrun.neuron.events import (
    Floats,
    Spikes,
    constants_of,
    curvatures,
    prepare,
    rows_per_network,
    step_after,
    stretched,
    weights_from,
)
from ttfsrun.neuron.simd import (
    LANES,
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


class Passed(NamedTuple):
    """What spikes pass back: their own record, the gradients that come in, and the steps that lead to them."""

    spikes: Spikes
    gradient: Floats  # [R, K L], by the spike times
    steps: Floats  # [R, 4, N]


class Backwards(NamedTuple):
    """The gradients by the state just after an input, as vectors; 0 where a neuron has not joined in yet."""

    by_current: Any
    by_voltage: Any


class Joining(NamedTuple):
    """Where each neuron joins in: just after its last causal input."""

    there: Any  # `Backwards`
    causal: Any  # number of causal inputs; 0 where there is nothing to pass back


@compiled
def prepare_rows(low, high, batch, steps):
    """Fill steps [R, 4, N] for rows low to high."""
    rows = rows_per_network(batch)
    for row in range(low, high):
        prepare(row, row // rows, batch, steps[row])


@compiled
def of_spike(at, passed):
    """-g / V'(T) of the block of neurons at a flat index, and the numbers of causal inputs."""
    causal = vload(passed.spikes.causal, at)
    zero = splat(causal, 0.0)
    return select(causal > zero, zero - vload(passed.gradient, at) / vload(passed.spikes.slope, at), zero), causal


@compiled
def joining(at, passed, tau):
    """`Joining` of the block of neurons at a flat index."""
    factor, causal = of_spike(at, passed)
    delay = vload(passed.spikes.delay, at)
    by_voltage = factor * exp(splat(delay, 0.0) - delay * tau.leak)
    return Joining(Backwards(by_voltage * stretched(delay, tau.rate), by_voltage), causal)


@compiled
def nowhere(like):
    """No neuron has joined in."""
    return Backwards(splat(like, 0.0), splat(like, 0.0))


@compiled
def one_back(j, after, join, layer, steps, tau):
    """`Backwards` just after input j, from that just after the next."""
    fast_decay, slow_decay, rise = step_after(layer, steps, j, tau)
    by_voltage = after.by_voltage * slow_decay
    by_current = fma(after.by_current, fast_decay, by_voltage * rise)
    joins = join.causal == splat(by_voltage, j + 1)
    return Backwards(select(joins, join.there.by_current, by_current), select(joins, join.there.by_voltage, by_voltage))


@compiled
def largest_entry(join, layer, steps, tau):
    """The largest magnitude that each neuron's gradient has among its weights."""
    largest, state = splat(join.causal, 0.0), nowhere(join.causal)
    for j in range(int(max_lane(join.causal)) - 1, -1, -1):
        state = one_back(j, state, join, layer, steps, tau)
        largest = maximum(largest, fabs(state.by_current))
    return largest


@compiled
def limited(join, limit, layer, steps, tau):
    """`join` without the neurons whose gradient by the weights has an entry of magnitude above the limit."""
    there, zero, top = join.there, splat(join.causal, 0.0), splat(join.causal, limit)
    # From a delay h on, a response is at most fast exp(-h / slow) before its peak, where both are equal, and k(h)
    # after it. So this seldom needs the exact largest entry.
    reach = maximum(fabs(there.by_current), fabs(there.by_voltage) * tau.fast)
    if any_lane(reach > top):
        drop = (largest_entry(join, layer, steps, tau) > top) | (reach == splat(zero, np.inf))
        there = Backwards(select(drop, zero, there.by_current), select(drop, zero, there.by_voltage))
        join = Joining(there, select(drop, zero, join.causal))
    return join


@compiled
def backward_weight(low, high, batch, passed, limit, out):
    """Gradients by the weights, `out` [P, K, N, L], for the pairs (network, block) low to high."""
    n_blocks, n_inputs = out.shape[1:3]
    rows = rows_per_network(batch)
    for pair in range(low, high):
        p, k = pair // n_blocks, pair % n_blocks
        tau = constants_of(batch.layer, p, k, passed.steps)
        for row in range(p * rows, (p + 1) * rows):
            steps = passed.steps[row]
            join = limited(joining((row * n_blocks + k) * LANES, passed, tau), limit, batch.layer, steps, tau)
            state = nowhere(out)
            for j in range(int(max_lane(join.causal)) - 1, -1, -1):
                state = one_back(j, state, join, batch.layer, steps, tau)
                at = (pair * n_inputs + item(batch.inputs.order, row * n_inputs + j)) * LANES
                vstore(out, at, vload(out, at) + state.by_current)


@compiled
def backward_time(low, high, batch, passed, out, total):
    """Gradients by the input times, `out` [R, N], for rows low to high; total [N, L] is room to sum in."""
    n_blocks, n_inputs = batch.layer.weight.shape[1:3]
    rows = rows_per_network(batch)
    for row in range(low, high):
        p, steps = row // rows, passed.steps[row]
        for j in range(batch.inputs.finite[row]):
            vstore(total, j * LANES, splat(total, 0.0))
        for k in range(n_blocks):
            tau = constants_of(batch.layer, p, k, steps)
            inverse = tau.leak + tau.rate
            join = joining((row * n_blocks + k) * LANES, passed, tau)
            state = nowhere(out)
            for j in range(int(max_lane(join.causal)) - 1, -1, -1):
                state = one_back(j, state, join, batch.layer, steps, tau)
                entry = weights_from(batch, p, k, row, j) * (state.by_current * inverse - state.by_voltage)
                vstore(total, j * LANES, vload(total, j * LANES) + entry)
        for j in range(batch.inputs.finite[row]):
            out[row, item(batch.inputs.order, row * n_inputs + j)] = sum_lanes(vload(total, j * LANES))


@compiled
def backward_constants(low, high, batch, passed, by_slow, by_fast):
    """Gradients by the time constants of each row's neurons, [R, K L] both, for rows low to high.

    With d = T - t_i and m = (1 - exp(-rate d)) / (rate d), dk/d(1/slow) = -d^2 exp(-d / slow) (1 - m) / (rate d) and
    dk/d(1/fast) = -d^2 exp(-d / slow) (m - exp(-rate d)) / (rate d).
    """
    n_blocks = batch.layer.weight.shape[1]
    rows = rows_per_network(batch)
    for row in range(low, high):
        p, steps = row // rows, passed.steps[row]
        for k in range(n_blocks):
            tau = constants_of(batch.layer, p, k, steps)
            at = (row * n_blocks + k) * LANES
            factor, causal = of_spike(at, passed)
            final = vload(passed.spikes.delay, at)
            delay = slow_sum = fast_sum = zero = splat(final, 0.0)
            for j in range(int(max_lane(causal)) - 1, -1, -1):
                n_causal = splat(final, j + 1)
                delay = select(causal > n_causal, delay + splat(final, item(steps, j)), final)
                share = weights_from(batch, p, k, row, j) * exp(zero - delay * tau.leak) * delay * delay
                share = select(causal >= n_causal, share, zero)
                slow_part, fast_part = curvatures(delay * tau.rate)
                slow_sum = slow_sum + share * slow_part
                fast_sum = fast_sum + share * fast_part
            inverse = tau.leak + tau.rate
            vstore(by_slow, at, factor * slow_sum * tau.leak * tau.leak)
            vstore(by_fast, at, factor * fast_sum * inverse * inverse)
