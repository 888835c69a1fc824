"""The derivatives of first spikes of neurons whose synapses have delays, in one row, compiled; see `gradient`.

Here each input has a delay T - t_i - d_ij of its own to the spike, from which its entries follow in closed form. So the
inputs are visited in the order in which they were sent, the same for all neurons, and nothing is sorted. The causal
inputs are those that arrive before the last causal one, or with it and are not sent later, as in `arrivals`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ttfsrun.neuron.kernels.arrivals import arrivals_at, arrivals_of
from ttfsrun.neuron.kernels.compiled import compiled, inlined
from ttfsrun.neuron.kernels.elementary import exp
from ttfsrun.neuron.kernels.events import (
    Floats,
    Spikes,
    blocks_of,
    charge_integral,
    time_constant_factors,
    time_of,
    weights_from,
)
from ttfsrun.neuron.kernels.gradient import (
    StateGradient,
    backward_start,
    by_delay,
    largest_possible,
    spike_factor,
)
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.simd import (
    any_lane,
    cast,
    fabs,
    item,
    max_lane,
    maximum,
    select,
    splat,
    vload,
    vstore,
)


class DelayedIncoming(NamedTuple):
    """Input of the backward pass: the spikes, and the gradients by their times."""

    spikes: Spikes
    gradient: Floats  # [R, K L]


class LastArrival(NamedTuple):
    """The last causal input of each neuron of a block, as vectors."""

    sent: Any  # its place in the order of sending
    time: Any  # float64; -inf where there is no gradient
    delay: Any  # from there to the spike
    factor: Any  # -g / V'(T)


@inlined
def last_arrival(block, batch, incoming):
    """Return the `LastArrival` of a block."""
    at = (block.row * blocks_of(batch.layer) + block.k) * lanes(incoming)
    factor, causal = spike_factor(at, incoming)
    sent, never = vload(batch.delays.last, at), splat(batch.layer.theta, -np.inf)
    time = never
    if batch.inputs.finite[block.row] > 0:
        time = select(causal > splat(causal, 0.0), arrivals_at(sent, block, batch), never)
    return LastArrival(sent, time, vload(incoming.spikes.delay, at), factor)


@inlined
def inputs_to_check(last, block, batch):
    """Return how many inputs of a row, in the order in which they were sent, may be causal."""
    latest, count = max_lane(last.time), batch.inputs.finite[block.row]
    while count > 0 and np.float64(time_of(batch.inputs, block.row, count - 1)) > latest:
        count -= 1
    return count


@inlined
def source(j, block, batch):
    """Return the index of the j-th input of a row in the order in which they were sent."""
    return item(batch.inputs.order, block.row * batch.inputs.times.shape[1] + j)


@inlined
def since_arrival(j, last, block, batch):
    """Return (whether the j-th input that was sent is causal, the delay from its arrival to the spike)."""
    # The difference of two arrivals is 0 only if they are equal, also in float32: those of its numbers are no smaller.
    before_last = cast(last.delay, last.time - arrivals_of(source(j, block, batch), block, batch))
    zero = splat(before_last, 0.0)
    causal = (before_last > zero) | ((before_last == zero) & (last.sent >= splat(last.sent, j)))
    return causal, last.delay + before_last


@inlined
def entry_of(j, last, block, batch):
    """Return the `StateGradient` just after the j-th input that was sent arrives; 0 where it is not causal."""
    causal, delay = since_arrival(j, last, block, batch)
    zero = splat(delay, 0.0)
    by_voltage = last.factor * exp(zero - delay * block.tau.leak)
    by_current = by_voltage * charge_integral(delay, block.tau.rate)
    return StateGradient(select(causal, by_current, zero), select(causal, by_voltage, zero))


@compiled
def within_limit_delayed(last, limit, block, batch, incoming):
    """Return where no entry of a neuron's gradient by its weights is of a magnitude above the limit."""
    at = (block.row * blocks_of(batch.layer) + block.k) * lanes(incoming)
    reach = largest_possible(backward_start(at, incoming, block.tau).gradient, block.tau)
    allowed = splat(reach, limit)
    kept = allowed >= reach
    if any_lane(~kept):
        largest = splat(reach, 0.0)
        for j in range(inputs_to_check(last, block, batch)):
            largest = maximum(largest, fabs(entry_of(j, last, block, batch).by_current))
        kept = (allowed >= largest) & ~(reach == splat(reach, np.inf))
    return kept


@inlined
def add_delayed_row(block, batch, incoming, limit, target):
    """Add the gradients by the weights of a block, in one row, to an array [.., 2 N, ..], and after them by the delays.

    Both are left out where the limit drops that by the weights.
    """
    last = last_arrival(block, batch, incoming)
    kept = within_limit_delayed(last, limit, block, batch, incoming)
    last = LastArrival(last.sent, last.time, last.delay, select(kept, last.factor, splat(last.factor, 0.0)))
    array, to_delays = target.array, batch.inputs.times.shape[1] * target.stride
    for j in range(inputs_to_check(last, block, batch)):
        entry = entry_of(j, last, block, batch)
        at = target.first + source(j, block, batch) * target.stride
        vstore(array, at, vload(array, at) + entry.by_current)
        by_time = weights_from(batch, block.p, block.k, block.row, j) * by_delay(entry, block.tau)
        vstore(array, at + to_delays, vload(array, at + to_delays) + by_time)


@inlined
def add_delayed_times(block, part, batch, incoming, total):
    """Add the gradients by a row's input times through a block to the sums of a part of total [N, W]."""
    last = last_arrival(block, batch, incoming)
    for j in range(inputs_to_check(last, block, batch)):
        at = source(j, block, batch) * total.shape[1] + part * lanes(total)
        by_time = by_delay(entry_of(j, last, block, batch), block.tau)
        vstore(total, at, vload(total, at) + weights_from(batch, block.p, block.k, block.row, j) * by_time)


@inlined
def delayed_constant_sums(block, batch, incoming):
    """Return the sums of `constant_sums` for a block in one row."""
    last = last_arrival(block, batch, incoming)
    slow_sum = fast_sum = zero = splat(last.delay, 0.0)
    for j in range(inputs_to_check(last, block, batch)):
        causal, delay = since_arrival(j, last, block, batch)
        delay = select(causal, delay, zero)
        share = weights_from(batch, block.p, block.k, block.row, j) * exp(zero - delay * block.tau.leak) * delay * delay
        slow_part, fast_part = time_constant_factors(delay * block.tau.rate)
        slow_sum = slow_sum + share * slow_part
        fast_sum = fast_sum + share * fast_part
    return slow_sum, fast_sum
