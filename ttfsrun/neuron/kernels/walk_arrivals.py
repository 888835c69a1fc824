"""First spikes, and the state at observed ones, of neurons whose synapses have delays, compiled.

As `walk` and `observe`, except that each lane has its own order of arrival (`arrivals`), and hence its own steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from ttfsrun.neuron.kernels.arrivals import (
    CopiedKeys,
    Keys,
    ordered,
    place_bits,
    places_before,
    sort_arrivals,
)
from ttfsrun.neuron.kernels.charge import Block, charge_by
from ttfsrun.neuron.kernels.compiled import compiled, inlined
from ttfsrun.neuron.kernels.crossing import LastInput, first_root
from ttfsrun.neuron.kernels.events import FAR, TILE, blocks_of, constants_of, is_shared, rows_per_network
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.observe import finish_observed
from ttfsrun.neuron.kernels.peaks import peaks_above, peaks_between
from ttfsrun.neuron.kernels.simd import any_lane, cast, minimum, select, splat, vload, vstore
from ttfsrun.neuron.kernels.steps import count_finite, step_over
from ttfsrun.neuron.kernels.walk import thresholds, write_spikes


class Front(NamedTuple):
    """State of a block of neurons at the next arrival of each, as vectors."""

    time: Any
    weight: Any  # of the input
    current: Any  # just after the arrival before
    decay: Any  # of that current since then
    voltage: Any


def step_to_next(layer, delay, tau):
    """Return the step over a delay to the next arrival, with the precision that `step_after` has."""


@overload(step_to_next)
def _step_to_next(layer, delay, tau):
    if is_shared(layer):
        return lambda layer, delay, tau: step_over(layer.theta, delay, tau)
    return lambda layer, delay, tau: step_over(layer.weight, delay, tau)


@inlined
def front_of(block, batch, keys):
    """Return the `Front` at the first arrivals."""
    time = zero = splat(batch.layer.theta, 0.0)
    weight = splat(batch.layer.weight, 0.0)
    if batch.inputs.finite[block.row] > 0:
        time, weight = ordered(0, keys, block, batch)
    return Front(time, weight, zero, zero, zero)


@inlined
def charge_to_next(j, front, block, batch, keys):
    """Return (block as `Charged` by the j-th inputs, the delay to the next arrivals, the next `Front`).

    The delay is FAR after the last.
    """
    time, weight, delay = front.time, front.weight, splat(front.time, FAR)
    if j + 1 < batch.inputs.finite[block.row]:
        time, weight = ordered(j + 1, keys, block, batch)
        delay = minimum(time - front.time, delay)
    step = step_to_next(batch.layer, delay, block.tau)
    charged = charge_by(front.weight, step, front.current, front.decay, front.voltage)
    return charged, delay, Front(time, weight, charged.current, charged.fast_decay, charged.at_end)


@inlined
def arrive(chosen, j, front, charged, before):
    """Return the `LastInput` with the j-th inputs where `chosen`."""
    return LastInput(
        select(chosen, charged.current, before.current),
        select(chosen, front.voltage, before.voltage),
        select(chosen, front.time, before.time),
        select(chosen, splat(before.causal, j + 1), before.causal),
    )


@inlined
def last_at_spikes(at, block, batch, spikes, keys):
    """Return the `LastInput`, float64, at the first spikes of a block; at: its flat index."""
    theta = thresholds(block.row, block.p, block.k, batch)
    infinity = splat(theta, np.inf)
    front = front_of(block, batch, keys)
    zero = splat(front.time, 0.0)
    last = LastInput(zero, zero, zero, zero)
    # v_leak at or above v_th: spikes at time 0 without input
    threshold = select(zero >= theta, infinity, theta)
    count = batch.inputs.finite[block.row] if any_lane(threshold < infinity) else 0
    for j in range(count):
        charged, delay, following = charge_to_next(j, front, block, batch, keys)
        if any_lane(charged.highest > threshold):
            spiked = charged.at_end > threshold
            if any_lane(peaks_between(charged, threshold, block.tau)):
                spiked = spiked | peaks_above(threshold, front.voltage, charged, delay, block.tau)
            last = arrive(spiked, j, front, charged, last)
            threshold = select(spiked, infinity, threshold)
            if not any_lane(threshold < infinity):
                break
        front = following
    return last


@inlined
def last_before_observed(at, block, batch, spikes, keys):
    """Return the `LastInput`, float64, before the observed times of a block; at: its flat index."""
    time = vload(spikes.time, at)
    infinity = splat(time, np.inf)
    observed = cast(batch.layer.theta, select(time == infinity, splat(time, 0.0) - infinity, time))
    front = front_of(block, batch, keys)
    zero = splat(front.time, 0.0)
    last = LastInput(zero, zero, zero, zero)
    for j in range(batch.inputs.finite[block.row]):
        before = observed > front.time
        if not any_lane(before):
            break
        charged, _, following = charge_to_next(j, front, block, batch, keys)
        last = arrive(before, j, front, charged, last)
        front = following
    return last


@inlined
def complete_spikes(at, last, block, batch, spikes):
    """Write the first spikes of a block after the `LastInput` to flat index `at`."""
    theta = thresholds(block.row, block.p, block.k, batch)
    h = first_root(last, theta, block.tau, np.finfo(spikes.time.dtype).eps)
    write_spikes(theta, last, h, at, block.tau, spikes)


@inlined
def complete_observed(at, last, block, batch, spikes):
    """Write what follows from the observed spikes of a block to flat index `at`."""
    finish_observed(vload(spikes.time, at), last, at, block.tau, spikes)


@inlined
def flat_index(block, batch):
    """Return the flat index of a block in arrays of neurons by row."""
    return (block.row * blocks_of(batch.layer) + block.k) * lanes(batch)


@inlined
def with_count_like(last, like):
    """Return a `LastInput` with the number of inputs in the type of an array."""
    return LastInput(last.current, last.voltage, last.time, cast(like, last.causal))


class ArrivalScratch(NamedTuple):
    """Scratch space for vectors; N is rounded up as in `sort_lanes`."""

    keys: Any  # [N, L], int32
    times: Any  # [N, L], float64
    weight: Any  # [N, L], of the type of the weights
    states: Any  # [TILE, 4, L], float64


def rows_kernel(find_last, complete):
    """Return the kernel that solves rows low to high by two functions of a block."""

    @compiled
    def solve_rows(low, high, batch, spikes, scratch):
        rows, bits, width = rows_per_network(batch), place_bits(batch.inputs.times.shape[1]), lanes(batch)
        keys = CopiedKeys(scratch.keys, 0, width, bits, scratch.times, scratch.weight)
        while low < high:
            p = low // rows
            until = min(low + TILE, high, (p + 1) * rows)
            for row in range(low, until):
                batch.inputs.finite[row] = count_finite(row, batch.inputs)
            for k in range(blocks_of(batch.layer)):
                tau = constants_of(batch.layer, p, k, batch.layer.theta)
                # Two loops, so that each keeps what it needs in registers.
                for row in range(low, until):
                    block = Block(row, p, k, tau)
                    at, state = flat_index(block, batch), (row - low) * 4 * width
                    sort_arrivals(block, batch, keys)
                    last = find_last(at, block, batch, spikes, keys)
                    vstore(batch.delays.last, at, places_before(last.causal, keys))
                    vstore(scratch.states, state, last.current)
                    vstore(scratch.states, state + width, last.voltage)
                    vstore(scratch.states, state + 2 * width, last.time)
                    vstore(scratch.states, state + 3 * width, last.causal)
                for row in range(low, until):
                    block, state = Block(row, p, k, tau), (row - low) * 4 * width
                    last = LastInput(
                        vload(scratch.states, state),
                        vload(scratch.states, state + width),
                        vload(scratch.states, state + 2 * width),
                        vload(scratch.states, state + 3 * width),
                    )
                    complete(flat_index(block, batch), with_count_like(last, spikes.time), block, batch, spikes)
            low = until

    return solve_rows


def blocks_kernel(find_last, complete):
    """Return the kernel that does so for blocks low to high of the rows from row `first` on; one lane.

    keys [T, N, K], with N rounded up as in `sort_lanes`: scratch space for T rows. The numbers of finite inputs have
    been written.
    """

    @compiled
    def solve_blocks(low, high, first, batch, spikes, keys):
        n_blocks, bits = blocks_of(batch.layer), place_bits(batch.inputs.times.shape[1])
        for item in range(low, high):
            row, k = first + item // n_blocks, item % n_blocks
            p = row // rows_per_network(batch)
            block = Block(row, p, k, constants_of(batch.layer, p, k, batch.layer.theta))
            at = flat_index(block, batch)
            of_block = Keys(keys, item // n_blocks * keys.shape[1] * n_blocks + k, n_blocks, bits)
            sort_arrivals(block, batch, of_block)
            last = find_last(at, block, batch, spikes, of_block)
            vstore(batch.delays.last, at, places_before(last.causal, of_block))
            complete(at, with_count_like(last, spikes.time), block, batch, spikes)

    return solve_blocks


walk_arrival_rows = rows_kernel(last_at_spikes, complete_spikes)
walk_arrival_blocks = blocks_kernel(last_at_spikes, complete_spikes)
observe_arrival_rows = rows_kernel(last_before_observed, complete_observed)
observe_arrival_blocks = blocks_kernel(last_before_observed, complete_observed)
