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

import numpy as np

from ttfsrun.neuron.compiled import compiled
from ttfsrun.neuron.elementary import exp
from ttfsrun.neuron.events import constants_of, mean_rises, prepare, step_after, stretched
from ttfsrun.neuron.simd import (
    LANES,
    any_lane,
    fabs,
    fma,
    item,
    load,
    max_lane,
    maximum,
    select,
    splat,
    store,
    sum_lanes,
)


@compiled
def prepare_rows(low, high, layer, inputs, steps):
    """Fill steps [R, 4, N] for rows low to high."""
    rows = inputs.finite.size // layer.weight.shape[0]
    for row in range(low, high):
        prepare(row, row // rows, layer, inputs, steps[row])


@compiled
def at_last_cause(row, k, layer, spikes, gradient, tau):
    """(by_current, by_voltage, causal) of a block of neurons just after the last causal input of each."""
    at = (row * layer.weight.shape[1] + k) * LANES
    causal = load(spikes.causal, at)
    zero = splat(causal, 0.0)
    factor = select(causal > zero, zero - load(gradient, at) / load(spikes.slope, at), zero)
    delay = load(spikes.delay, at)
    by_voltage = factor * exp(zero - delay * tau.leak)
    return by_voltage * stretched(delay, tau.rate), by_voltage, causal


@compiled
def one_back(j, by_current, by_voltage, last, layer, steps, tau):
    """(by_current, by_voltage) just after input j, from those just after the next; `last` is `at_last_cause`."""
    fast_decay, slow_decay, rise = step_after(layer, steps, j, tau)
    by_voltage = by_voltage * slow_decay
    by_current = fma(by_current, fast_decay, by_voltage * rise)
    joins = last[2] == splat(by_voltage, j + 1)
    return select(joins, last[0], by_current), select(joins, last[1], by_voltage)


@compiled
def largest_entry(last, layer, steps, tau):
    """The largest magnitude that each neuron's gradient has among its weights."""
    largest = by_current = by_voltage = splat(last[0], 0.0)
    for j in range(int(max_lane(last[2])) - 1, -1, -1):
        by_current, by_voltage = one_back(j, by_current, by_voltage, last, layer, steps, tau)
        largest = maximum(largest, fabs(by_current))
    return largest


@compiled
def limited(last, limit, layer, steps, tau):
    """`last` without the neurons whose gradient by the weights has an entry of magnitude above the limit."""
    zero, top = splat(last[0], 0.0), splat(last[0], limit)
    # From a delay h on, a response is at most fast exp(-h / slow) before its peak, where both are equal, and k(h)
    # after it. So this seldom needs the exact largest entry.
    reach = maximum(fabs(last[0]), fabs(last[1]) * tau.fast)
    if any_lane(reach > top):
        drop = (largest_entry(last, layer, steps, tau) > top) | (reach == splat(zero, np.inf))
        last = (select(drop, zero, last[0]), select(drop, zero, last[1]), select(drop, zero, last[2]))
    return last


@compiled
def backward_weight(low, high, layer, inputs, spikes, gradient, limit, steps, out):
    """Gradients by the weights, `out` [P, K, N, L], for the pairs (network, block) low to high."""
    n_networks, n_blocks, n_inputs = layer.weight.shape[:3]
    rows = inputs.finite.size // n_networks
    for pair in range(low, high):
        p, k = pair // n_blocks, pair % n_blocks
        tau = constants_of(layer, p, k, steps)
        for row in range(p * rows, (p + 1) * rows):
            last = at_last_cause(row, k, layer, spikes, gradient, tau)
            last = limited(last, limit, layer, steps[row], tau)
            by_current = by_voltage = splat(last[0], 0.0)
            for j in range(int(max_lane(last[2])) - 1, -1, -1):
                by_current, by_voltage = one_back(j, by_current, by_voltage, last, layer, steps[row], tau)
                at = (pair * n_inputs + item(inputs.order, row * n_inputs + j)) * LANES
                store(out, at, load(out, at) + by_current)


@compiled
def backward_time(low, high, layer, inputs, spikes, gradient, steps, out, total):
    """Gradients by the input times, `out` [R, N], for rows low to high; total [N, L] is room to sum in."""
    n_networks, n_blocks, n_inputs = layer.weight.shape[:3]
    rows = inputs.finite.size // n_networks
    for row in range(low, high):
        p = row // rows
        for j in range(inputs.finite[row]):
            store(total, j * LANES, splat(total, 0.0))
        for k in range(n_blocks):
            tau = constants_of(layer, p, k, steps)
            inverse = tau.leak + tau.rate
            last = at_last_cause(row, k, layer, spikes, gradient, tau)
            by_current = by_voltage = splat(last[0], 0.0)
            for j in range(int(max_lane(last[2])) - 1, -1, -1):
                by_current, by_voltage = one_back(j, by_current, by_voltage, last, layer, steps[row], tau)
                source = item(inputs.order, row * n_inputs + j)
                weight = load(layer.weight, ((p * n_blocks + k) * n_inputs + source) * LANES)
                entry = weight * (by_current * inverse - by_voltage)
                store(total, j * LANES, load(total, j * LANES) + entry)
        for j in range(inputs.finite[row]):
            out[row, item(inputs.order, row * n_inputs + j)] = sum_lanes(load(total, j * LANES))


@compiled
def backward_constants(low, high, layer, inputs, spikes, gradient, steps, by_slow, by_fast):
    """Gradients by the time constants of each row's neurons, [R, K L] both, for rows low to high.

    With d = T - t_i, dk/d(1/slow) = -d^2 exp(-d / slow) m2 and dk/d(1/fast) = -d^2 exp(-d / slow) (m1 - m2), where
    m1 and m2 are the `mean_rises` of rate d.
    """
    n_networks, n_blocks, n_inputs = layer.weight.shape[:3]
    rows = inputs.finite.size // n_networks
    for row in range(low, high):
        p = row // rows
        for k in range(n_blocks):
            tau = constants_of(layer, p, k, steps)
            at = (row * n_blocks + k) * LANES
            causal, final = load(spikes.causal, at), load(spikes.delay, at)
            delay = slow_sum = fast_sum = zero = splat(final, 0.0)
            for j in range(int(max_lane(causal)) - 1, -1, -1):
                n_causal = splat(final, j + 1)
                delay = select(causal > n_causal, delay + splat(final, item(steps[row], j)), final)
                source = item(inputs.order, row * n_inputs + j)
                weight = load(layer.weight, ((p * n_blocks + k) * n_inputs + source) * LANES)
                first, second = mean_rises(delay * tau.rate)
                share = select(causal >= n_causal, weight * delay * delay * exp(zero - delay * tau.leak), zero)
                slow_sum = slow_sum + share * second
                fast_sum = fast_sum + share * (first - second)
            factor = select(causal > zero, zero - load(gradient, at) / load(spikes.slope, at), zero)
            inverse = tau.leak + tau.rate
            store(by_slow, at, factor * slow_sum * tau.leak * tau.leak)
            store(by_fast, at, factor * fast_sum * inverse * inverse)
