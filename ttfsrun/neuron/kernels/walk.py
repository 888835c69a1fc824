"""The event walk: first spikes from sorted inputs, compiled.

Between two inputs the state (I, U) of a neuron changes as described in `events`. The membrane reaches
theta = v_th - v_leak above its leak at a delay h after an input where

    f(h) = I s(h) + U - theta exp(h / slow) = 0

which is concave where I > 0 (and falls where I <= 0), so that an interval of length d holds a crossing if f > 0 at
its end or at its peak, h = fast log(I slow / theta). U + I s(d) <= theta excludes the latter for most inputs, so
an input costs two additions, three products and two comparisons.

Everything is computed in float64, also for float32 inputs: their spikes are the exact ones, rounded once.
The neurons of a block are computed together, one per lane. No lane depends on another, except that where neurons
have individual time constants, the shortest one of the layer decides which steps count as short.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.elementary import exp, log
from ttfsrun.neuron.kernels.events import (
    TILE,
    blocks_of,
    charge_integral,
    constants_of,
    prepare,
    rows_per_network,
    step_after,
    time_of,
    weights_from,
)
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.simd import (
    any_lane,
    cast,
    fabs,
    fma,
    maximum,
    minimum,
    select,
    splat,
    sqrt,
    vload,
    vstore,
)


class State(NamedTuple):
    """State of a block of neurons just before an input, as vectors.

    `last_...` holds the last causal input of the neurons that have spiked.
    """

    current: Any
    voltage: Any
    threshold: Any  # inf for neurons that have spiked, and in the padding
    last_current: Any  # just after that input
    last_voltage: Any  # at that input
    last_time: Any
    causal: Any  # number of inputs up to the spike; 0 where there is none


class Block(NamedTuple):
    """Block k of network p, in one row."""

    row: int
    p: int
    k: int
    tau: Any  # `Constants`


MAX_ITERATIONS = 64  # after the first step a root needs 2 or 3; more only where the peak grazes the threshold


@compiled
def step_to_root(value, slope, curvature):
    """Return (step, slope at the root): the first root of a parabola is a `step` before the current delay.

    The parabola has this value and slope at the current delay, and the second derivative -curvature. If it has no
    root, the step leads beyond its peak. The current delay may also be at the peak of f, or right of its root.
    """
    root_slope = sqrt(maximum(fma(value + value, curvature, slope * slope), splat(value, 0.0)))
    return (value + value) / maximum(slope + root_slope, splat(value, 1e-300)), root_slope


@compiled
def crossing(spiked, current, voltage, theta, tau, epsilon):
    """Return the first root h of f, which is between 0 and the peak where `spiked`.

    Each step goes to the root of the parabola that touches f (Cauchy's method, of third order). A lane stops when
    its next correction, which the third derivative bounds, is below the rounding of h.
    """
    zero, one = splat(current, 0.0), splat(current, 1.0)
    peak = maximum(tau.fast * log(current * tau.slow / theta), zero)
    fall = theta * tau.leak
    inverse = tau.leak + tau.rate  # 1 / fast
    correction, root_slope = step_to_root(voltage - theta, current - fall, fma(current, tau.rate, fall * tau.leak))
    h = minimum(zero - correction, peak)
    active = spiked
    for _ in range(MAX_ITERATIONS):
        rise = charge_integral(h, tau.rate)
        decay = current * (one - tau.rate * rise)
        growth = exp(h * tau.leak)
        value = fma(current, rise, voltage) - theta * growth
        growth = fall * growth
        curvature = fma(decay, tau.rate, growth * tau.leak)
        correction, root_slope = step_to_root(value, maximum(decay - growth, zero), curvature)
        h = select(active, minimum(maximum(h - correction, zero), peak), h)
        correction = fabs(correction)
        active = active & (
            correction * correction * correction * curvature * inverse
            > splat(h, 6 * epsilon) * root_slope * maximum(h, tau.fast)
        )
        if not any_lane(active):
            break
    return h


class Charged(NamedTuple):
    """A block of neurons between an input and the next, as vectors."""

    current: Any  # just after the input
    fast_decay: Any
    highest: Any  # no peak before the next input exceeds it
    at_end: Any  # the membrane just before the next input


@compiled
def charge(j, current, voltage, block, batch, steps):
    """Return the block as `Charged` by input j, from the state just before it."""
    current = current + cast(current, weights_from(batch, block.p, block.k, block.row, j))
    fast_decay, slow_decay, rise = step_after(batch.layer, steps, j, block.tau)
    highest = fma(current, rise, voltage)
    return Charged(current, fast_decay, highest, highest * slow_decay)


@compiled
def advance(j, stop, state, block, batch, steps):
    """Charge a block with inputs j, j + 1, ... until a membrane may peak above its threshold between two inputs.

    Returns the input before that peak, or `stop` if there is none, and the `State` just before that input.
    Neurons whose membrane is above the threshold when the next input arrives are recorded as having spiked. This is
    the inner loop. Rare cases are handled in `advance_past_peak`, so that all it needs stays in registers and no
    branch is hard to predict.
    """
    current, voltage, threshold, last_current, last_voltage, last_time, causal = state
    infinity, one = splat(current, np.inf), splat(causal, 1.0)
    count = splat(causal, j)
    while j < stop:
        charged = charge(j, current, voltage, block, batch, steps)
        crossed = charged.at_end > threshold
        if any_lane((charged.highest > threshold) & ~crossed):
            break
        last_current, last_voltage = (
            select(crossed, charged.current, last_current),
            select(crossed, voltage, last_voltage),
        )
        last_time = select(crossed, splat(last_time, time_of(batch.inputs, block.row, j)), last_time)
        j += 1
        count = count + one
        causal = select(crossed, count, causal)
        threshold = select(crossed, infinity, threshold)
        voltage = charged.at_end
        current = charged.current * charged.fast_decay
        if j % 8 == 0 and not any_lane(threshold < infinity):
            j = stop
    return j, State(current, voltage, threshold, last_current, last_voltage, last_time, causal)


@compiled
def advance_past_peak(j, state, block, batch, steps):
    """Return the `State` just before input j + 1 from that before input j, in every case."""
    tau, voltage, threshold = block.tau, state.voltage, state.threshold
    charged = charge(j, state.current, voltage, block, batch, steps)
    current = charged.current
    crossed = charged.at_end > threshold
    drive = current * tau.slow
    peaked = (charged.highest > threshold) & ~crossed & (drive > threshold) & (threshold > drive * charged.fast_decay)
    if any_lane(peaked):
        delay = tau.fast * log(drive / threshold)
        crossed = crossed | (
            peaked & (fma(current, charge_integral(delay, tau.rate), voltage) > threshold * exp(delay * tau.leak))
        )
    return State(
        current * charged.fast_decay,
        charged.at_end,
        select(crossed, splat(drive, np.inf), threshold),
        select(crossed, current, state.last_current),
        select(crossed, voltage, state.last_voltage),
        select(crossed, splat(state.last_time, time_of(batch.inputs, block.row, j)), state.last_time),
        select(crossed, splat(state.causal, j + 1), state.causal),
    )


@compiled
def walk(row, p, k, batch, steps, spikes):
    """Fill in the first spikes of block k of network p in one row; steps [4, N], float64: those of the row."""
    layer, tau = batch.layer, constants_of(batch.layer, p, k, steps)
    block = Block(row, p, k, tau)
    n_blocks = blocks_of(layer)
    sample = (row % rows_per_network(batch)) % layer.theta.shape[1]
    theta = vload(layer.theta, ((p * layer.theta.shape[1] + sample) * n_blocks + k) * lanes(layer))
    zero, one, infinity, zeros = splat(theta, 0.0), splat(theta, 1.0), splat(theta, np.inf), splat(spikes.time, 0.0)

    spontaneous = zero >= theta  # v_leak at or above v_th: spikes at time 0 without input
    state = State(zero, zero, select(spontaneous, infinity, theta), zero, zero, zeros, zeros)
    finite = batch.inputs.finite[row]
    j = 0
    while True:
        j, state = advance(j, finite, state, block, batch, steps)
        if j == finite:
            break
        state = advance_past_peak(j, state, block, batch, steps)
        j += 1

    delay, slope, time = zero, one, select(spontaneous, zero, infinity)
    spiked = state.causal > zeros
    if any_lane(spiked):
        epsilon = np.finfo(spikes.time.dtype).eps
        h = crossing(spiked, state.last_current, state.last_voltage, theta, tau, epsilon)
        # Where the peak grazes the threshold, rounding exceeds the slope; it is positive nevertheless.
        fall = theta * tau.leak
        drive = state.last_current * (one - tau.rate * charge_integral(h, tau.rate)) * exp(zero - h * tau.leak)
        slope = select(spiked, maximum(drive - fall, splat(theta, np.finfo(np.float64).eps) * fall), one)
        time = select(spiked, cast(zero, state.last_time) + h, time)
        delay = select(spiked, h, zero)
    out = (row * n_blocks + k) * lanes(layer)
    vstore(spikes.time, out, cast(spikes.time, time))
    vstore(spikes.delay, out, cast(spikes.time, delay))
    vstore(spikes.slope, out, cast(spikes.time, slope))
    vstore(spikes.causal, out, state.causal)


@compiled
def walk_rows(low, high, batch, spikes, steps):
    """Fill in `inputs.finite` and the first spikes, `spikes`, for rows low to high.

    steps [TILE, 4, N], float64: scratch space.
    """
    rows = rows_per_network(batch)
    for tile in range(low, high, TILE):
        until = min(tile + TILE, high)
        for row in range(tile, until):
            batch.inputs.finite[row] = prepare(row, row // rows, batch, steps[row - tile])
        for k in range(blocks_of(batch.layer)):
            for row in range(tile, until):
                walk(row, row // rows, k, batch, steps[row - tile], spikes)


@compiled
def walk_blocks(low, high, batch, spikes, steps):
    """Fill in the first spikes of blocks low to high of all rows (R K); steps [R, 4, N], float64, by `prepare`."""
    rows, n_blocks = rows_per_network(batch), blocks_of(batch.layer)
    for at in range(low, high):
        row = at // n_blocks
        walk(row, row // rows, at % n_blocks, batch, steps[row], spikes)
