"""The event walk: first spikes from sorted inputs, compiled.

Between two inputs the state (I, U) of a neuron changes as described in `events`. The membrane reaches
theta = v_th - v_leak above its leak at a delay h after an input where

    f(h) = I s(h) + U - theta exp(h / slow) = 0

which is concave where I > 0 (and falls where I <= 0), so that an interval of length d holds a crossing if f > 0 at
its end or at its peak (`peaks`). U + I s(d) <= theta excludes both for most inputs, so an input costs three fused
multiply-adds, a product and a comparison. The root itself is found at the end, for all neurons of a block (`crossing`).

Everything is computed in float64, also for float32 inputs: their spikes are the exact ones, rounded once.
The neurons of a block are computed together, one per lane. No lane depends on another, except that where neurons
have individual time constants, the shortest one of the layer decides which steps count as short.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ttfsrun.neuron.kernels.charge import Block, arriving, charge, charge_by
from ttfsrun.neuron.kernels.compiled import compiled, inlined
from ttfsrun.neuron.kernels.crossing import LastInput, first_root, first_two_roots
from ttfsrun.neuron.kernels.elementary import exp
from ttfsrun.neuron.kernels.events import TILE, blocks_of, constants_of, rows_per_network, time_of
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.peaks import peaks_above, peaks_between
from ttfsrun.neuron.kernels.simd import any_lane, cast, maximum, select, splat, vload, vstore
from ttfsrun.neuron.kernels.steps import delay_after, prepare


class State(NamedTuple):
    """State of a block of neurons at an input, as vectors.

    `last_...` holds the last causal input of the neurons that have spiked.
    """

    current: Any  # just after the input before
    decay: Any  # of that current since then
    voltage: Any
    threshold: Any  # inf for neurons that have spiked, and in the padding
    last_current: Any  # just after that input
    last_voltage: Any  # at that input
    last_time: Any
    causal: Any  # number of inputs up to the spike; 0 where there is none


class Scratch(NamedTuple):
    """Scratch space of `walk_rows`, float64."""

    steps: Any  # [TILE, 4, N]
    states: Any  # [TILE, 2, L]


@compiled
def spike_before(j, spiked, charged, state, block, batch):
    """Return the `State` just before input j, where some neurons have `spiked` since the input before."""
    return State(
        charged.current,
        charged.fast_decay,
        charged.at_end,
        select(spiked, splat(state.threshold, np.inf), state.threshold),
        select(spiked, charged.current, state.last_current),
        select(spiked, state.voltage, state.last_voltage),
        select(spiked, splat(state.last_time, time_of(batch.inputs, block.row, j - 1)), state.last_time),
        select(spiked, splat(state.causal, j), state.causal),
    )


@compiled
def advance(j, stop, state, block, batch, steps):
    """Charge a block with inputs j, j + 1, ... until a membrane may peak above its threshold between two inputs.

    Returns the input before that peak, or `stop` if there is none, and the `State` just before that input.
    Neurons whose membrane is above the threshold when the next input arrives are recorded as having spiked. This is
    the inner loop. Rare cases are handled in `advance_past_peak`, so that all it needs stays in registers.
    """
    current, decay, voltage, threshold, last_current, last_voltage, last_time, causal = state
    infinity = splat(current, np.inf)
    if j >= stop:
        return j, state
    weight, step = arriving(j, block, batch, steps)
    while j < stop:
        charged = charge_by(weight, step, current, decay, voltage)
        # Before any of it is needed, so that a thread of a GPU does not wait for memory; vectors have no room for more.
        if lanes(steps) == 1:
            weight, step = arriving(min(j + 1, stop - 1), block, batch, steps)
        if any_lane(charged.highest > threshold):
            if any_lane(peaks_between(charged, threshold, block.tau)):
                break
            spiked = charged.at_end > threshold
            last_current = select(spiked, charged.current, last_current)
            last_voltage = select(spiked, voltage, last_voltage)
            last_time = select(spiked, splat(last_time, time_of(batch.inputs, block.row, j)), last_time)
            causal = select(spiked, splat(causal, j + 1), causal)
            threshold = select(spiked, infinity, threshold)
            if not any_lane(threshold < infinity):
                j = stop
                break
        j += 1
        current, decay, voltage = charged.current, charged.fast_decay, charged.at_end
        if lanes(steps) > 1 and j < stop:
            weight, step = arriving(j, block, batch, steps)
    return j, State(current, decay, voltage, threshold, last_current, last_voltage, last_time, causal)


@compiled
def advance_past_peak(j, state, block, batch, steps):
    """Return the `State` just before input j + 1 from that before input j, in every case."""
    charged = charge(j, state.current, state.decay, state.voltage, block, batch, steps)
    spiked = charged.at_end > state.threshold
    delay = splat(state.voltage, delay_after(steps, j))
    spiked = spiked | peaks_above(state.threshold, state.voltage, charged, delay, block.tau)
    return spike_before(j + 1, spiked, charged, state, block, batch)


@inlined
def thresholds(row, p, k, batch):
    """Return the thresholds of block k of network p, above the leak potentials, in a row."""
    theta = batch.layer.theta
    at = row if theta.shape[1] > 1 else p  # one for each row, or for all
    return vload(theta, at * theta.shape[2] + k * lanes(theta))


@inlined
def walk(theta, block, batch, steps, like):
    """Return the `State` of a block of neurons after all inputs of a row; like: an array of the type of the times."""
    zero, infinity, zeros = splat(theta, 0.0), splat(theta, np.inf), splat(like, 0.0)
    # v_leak at or above v_th: spikes at time 0 without input
    state = State(zero, zero, zero, select(zero >= theta, infinity, theta), zero, zero, zeros, zeros)
    finite = batch.inputs.finite[block.row]
    j = 0
    while any_lane(state.threshold < infinity):
        j, state = advance(j, finite, state, block, batch, steps)
        if j == finite:
            break
        state = advance_past_peak(j, state, block, batch, steps)
        j += 1
    return state


@inlined
def write_spikes(theta, last, h, at, tau, spikes):
    """Write the spikes of a block of neurons, a delay h after the `LastInput` of each, to flat index `at`."""
    zero, one, infinity = splat(theta, 0.0), splat(theta, 1.0), splat(theta, np.inf)
    delay, slope, time = zero, one, select(zero >= theta, zero, infinity)
    spiked = last.causal > splat(last.causal, 0.0)
    if any_lane(spiked):
        # Where the peak grazes the threshold, rounding exceeds the slope; it is positive nevertheless.
        fall = theta * tau.leak
        drive = last.current * exp(zero - h * (tau.leak + tau.rate))
        slope = select(spiked, maximum(drive - fall, splat(theta, np.finfo(np.float64).eps) * fall), one)
        time = select(spiked, cast(zero, last.time) + h, time)
        delay = select(spiked, h, zero)
    vstore(spikes.time, at, cast(spikes.time, time))
    vstore(spikes.delay, at, cast(spikes.time, delay))
    vstore(spikes.slope, at, cast(spikes.time, slope))
    vstore(spikes.causal, at, last.causal)


@inlined
def last_of(row, number, k, states, spikes):
    """Return the `LastInput` of block k in a row, the `number`-th of its tile."""
    at, out = number * 2 * lanes(states), row * spikes.time.shape[1] + k * lanes(states)
    return LastInput(
        vload(states, at), vload(states, at + lanes(states)), vload(spikes.time, out), vload(spikes.causal, out)
    )


@compiled
def walk_tile(low, high, p, batch, spikes, scratch):
    """Fill in `inputs.finite` and the first spikes, `spikes`, for rows low to high of network p, at most TILE."""
    n_blocks, states = blocks_of(batch.layer), scratch.states
    for row in range(low, high):
        batch.inputs.finite[row] = prepare(row, p, batch, scratch.steps[row - low])
    for k in range(n_blocks):
        tau = constants_of(batch.layer, p, k, scratch.steps)
        # Two loops, so that each keeps what it needs in registers.
        for row in range(low, high):
            block = Block(row, p, k, tau)
            state = walk(thresholds(row, p, k, batch), block, batch, scratch.steps[row - low], spikes.time)
            at, out = (row - low) * 2 * lanes(states), (row * n_blocks + k) * lanes(states)
            vstore(states, at, state.last_current)
            vstore(states, at + lanes(states), state.last_voltage)
            vstore(spikes.time, out, state.last_time)
            vstore(spikes.causal, out, state.causal)
        for row in range(low, high, 2):
            other = min(row + 1, high - 1)
            last, theta = last_of(row, row - low, k, states, spikes), thresholds(row, p, k, batch)
            last2, theta2 = last_of(other, other - low, k, states, spikes), thresholds(other, p, k, batch)
            epsilon = np.finfo(spikes.time.dtype).eps
            h, h2 = first_two_roots((last, theta), (last2, theta2), tau, epsilon)
            write_spikes(theta, last, h, (row * n_blocks + k) * lanes(states), tau, spikes)
            write_spikes(theta2, last2, h2, (other * n_blocks + k) * lanes(states), tau, spikes)


@compiled
def walk_rows(low, high, batch, spikes, scratch):
    """Fill in `inputs.finite` and the first spikes, `spikes`, for rows low to high."""
    rows = rows_per_network(batch)
    while low < high:
        p = low // rows
        until = min(low + TILE, high, (p + 1) * rows)
        walk_tile(low, until, p, batch, spikes, scratch)
        low = until


@compiled
def walk_blocks(low, high, batch, spikes, steps):
    """Fill in the first spikes of blocks low to high of all rows (R K); steps [R, 4, N], float64, by `prepare`."""
    rows, n_blocks = rows_per_network(batch), blocks_of(batch.layer)
    for at in range(low, high):
        row, k = at // n_blocks, at % n_blocks
        p = row // rows
        tau, theta = constants_of(batch.layer, p, k, steps), thresholds(row, p, k, batch)
        state = walk(theta, Block(row, p, k, tau), batch, steps[row], spikes.time)
        last = LastInput(state.last_current, state.last_voltage, state.last_time, state.causal)
        h = first_root(last, theta, tau, np.finfo(spikes.time.dtype).eps)
        write_spikes(theta, last, h, at * lanes(steps), tau, spikes)
