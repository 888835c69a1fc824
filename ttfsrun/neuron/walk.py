"""The event walk: first spikes from sorted inputs, compiled.

Between two inputs the state (I, U) of a neuron moves on as `events` says. Above its leak, the membrane reaches
theta = v_th - v_leak at a delay h after an input where

    f(h) = I s(h) + U - theta exp(h / slow) = 0

which is concave where I > 0 (and falls where I <= 0), so that an interval of length d holds a crossing if f > 0 at
its end or at its peak, h = fast log(I slow / theta). The peak is excluded, for most inputs, by U + I s(d) <= theta.
An input hence costs two additions, three products and two comparisons.

All of it is computed in float64, also for float32 inputs: their spikes are the exact ones, rounded once.
A block of neurons walks together, one per SIMD lane; a lane depends on no other (but where neurons have time constants
of their own, the shortest in their layer decides which steps count as short).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ttfsrun.neuron.compiled import compiled
from ttfsrun.neuron.elementary import exp, log
from ttfsrun.neuron.events import (
    TILE,
    constants_of,
    prepare,
    rows_per_network,
    step_after,
    stretched,
    time_of,
    weights_from,
)
from ttfsrun.neuron.simd import LANES, any_lane, cast, fabs, fma, maximum, minimum, select, splat, sqrt, vload, vstore


class State(NamedTuple):
    """A block of neurons on its walk, as vectors; `then_...` of those that have spiked: after the last causal input."""

    current: Any
    voltage: Any
    threshold: Any  # inf where there is nothing (more) to wait for
    then_current: Any
    then_voltage: Any
    start: Any  # time of the last causal input
    causal: Any  # number of inputs up to the spike; 0 where there is none


class Place(NamedTuple):
    """Block k of network p, for a row."""

    row: int
    p: int
    k: int
    tau: Any  # `Constants`


MAX_ITERATIONS = 64  # after a first step, the root needs 2 or 3; more only where the peak grazes the threshold


@compiled
def to_root(value, slope, bend):
    """(step, slope after it) to the first root of the parabola with this value and slope, and second derivative -bend.

    Where it has none, beyond its peak. A start at the peak of f, or right of its root, is as good as any other.
    """
    after = sqrt(maximum(fma(value + value, bend, slope * slope), splat(value, 0.0)))
    return (value + value) / maximum(slope + after, splat(value, 1e-300)), after


@compiled
def crossing(hit, current, voltage, theta, tau, epsilon):
    """First root h of f, known to lie between 0 and the peak where `hit`.

    Each step goes to the root of the parabola that touches f (Cauchy's method, of third order). A lane stops where
    its next correction, which the third derivative bounds, is below the rounding of h.
    """
    zero, one = splat(current, 0.0), splat(current, 1.0)
    last = maximum(tau.fast * log(current * tau.slow / theta), zero)
    fall = theta * tau.leak
    inverse = tau.leak + tau.rate  # 1 / fast
    size, after = to_root(voltage - theta, current - fall, fma(current, tau.rate, fall * tau.leak))
    h = minimum(zero - size, last)
    active = hit
    for _ in range(MAX_ITERATIONS):
        rise = stretched(h, tau.rate)
        decay = current * (one - tau.rate * rise)
        growth = exp(h * tau.leak)
        value = fma(current, rise, voltage) - theta * growth
        growth = fall * growth
        bend = fma(decay, tau.rate, growth * tau.leak)
        size, after = to_root(value, maximum(decay - growth, zero), bend)
        h = select(active, minimum(maximum(h - size, zero), last), h)
        size = fabs(size)
        active = active & (size * size * size * bend * inverse > splat(h, 6 * epsilon) * after * maximum(h, tau.fast))
        if not any_lane(active):
            break
    return h


class Charged(NamedTuple):
    """A block of neurons from an input to the next, as vectors."""

    current: Any  # just after the input
    fast_decay: Any
    highest: Any  # what no peak in between exceeds
    at_end: Any  # the membrane just before the next


@compiled
def charge(j, current, voltage, place, batch, steps):
    """`Charged` by input j, from the state just before it."""
    current = current + cast(current, weights_from(batch, place.p, place.k, place.row, j))
    fast_decay, slow_decay, rise = step_after(batch.layer, steps, j, place.tau)
    highest = fma(current, rise, voltage)
    return Charged(current, fast_decay, highest, highest * slow_decay)


@compiled
def advance(j, stop, state, place, batch, steps):
    """Charge a block with inputs j, j + 1, ... until a membrane may peak above its threshold between two inputs.

    Returns (the input before the peak, `State` just before that input); the input is `stop` where there is none.
    Spikes of membranes that are above their threshold when the next input comes are taken in on the way. This is
    the inner loop, apart from what seldom happens so that all it needs stays in registers; it has no branch that
    is hard to predict.
    """
    current, voltage, threshold, then_current, then_voltage, start, causal = state
    never, one = splat(current, np.inf), splat(causal, 1.0)
    count = splat(causal, j)
    while j < stop:
        charged = charge(j, current, voltage, place, batch, steps)
        new = charged.at_end > threshold
        if any_lane((charged.highest > threshold) & ~new):
            break
        then_current, then_voltage = select(new, charged.current, then_current), select(new, voltage, then_voltage)
        start = select(new, splat(start, time_of(batch.inputs, place.row, j)), start)
        j += 1
        count = count + one
        causal = select(new, count, causal)
        threshold = select(new, never, threshold)
        voltage = charged.at_end
        current = charged.current * charged.fast_decay
        if j % 8 == 0 and not any_lane(threshold < never):
            j = stop
    return j, State(current, voltage, threshold, then_current, then_voltage, start, causal)


@compiled
def advance_past_peak(j, state, place, batch, steps):
    """`State` just before input j + 1 from that before input j, whatever happens in between."""
    tau, voltage, threshold = place.tau, state.voltage, state.threshold
    charged = charge(j, state.current, voltage, place, batch, steps)
    current = charged.current
    new = charged.at_end > threshold
    drive = current * tau.slow
    peaked = (charged.highest > threshold) & ~new & (drive > threshold) & (threshold > drive * charged.fast_decay)
    if any_lane(peaked):
        delay = tau.fast * log(drive / threshold)
        new = new | (peaked & (fma(current, stretched(delay, tau.rate), voltage) > threshold * exp(delay * tau.leak)))
    return State(
        current * charged.fast_decay,
        charged.at_end,
        select(new, splat(drive, np.inf), threshold),
        select(new, current, state.then_current),
        select(new, voltage, state.then_voltage),
        select(new, splat(state.start, time_of(batch.inputs, place.row, j)), state.start),
        select(new, splat(state.causal, j + 1), state.causal),
    )


@compiled
def walk(row, p, k, batch, steps, spikes):
    """First spikes of block k of network p in one row; `steps` [4, N], float64, belongs to the row."""
    layer, tau = batch.layer, constants_of(batch.layer, p, k, steps)
    place = Place(row, p, k, tau)
    n_blocks = layer.weight.shape[1]
    sample = (row % rows_per_network(batch)) % layer.theta.shape[1]
    theta = vload(layer.theta, ((p * layer.theta.shape[1] + sample) * n_blocks + k) * LANES)
    zero, one, never, nothing = splat(theta, 0.0), splat(theta, 1.0), splat(theta, np.inf), splat(spikes.time, 0.0)

    at_rest = zero >= theta  # v_leak at or above v_th: fires by itself when the observation begins
    state = State(zero, zero, select(at_rest, never, theta), zero, zero, nothing, nothing)
    finite = batch.inputs.finite[row]
    j = 0
    while True:
        j, state = advance(j, finite, state, place, batch, steps)
        if j == finite:
            break
        state = advance_past_peak(j, state, place, batch, steps)
        j += 1

    delay, slope, time = zero, one, select(at_rest, zero, never)
    hit = state.causal > nothing
    if any_lane(hit):
        epsilon = np.finfo(spikes.time.dtype).eps
        h = crossing(hit, state.then_current, state.then_voltage, theta, tau, epsilon)
        # Where the peak grazes the threshold the slope drowns in rounding; it is positive all the same.
        fall = theta * tau.leak
        drive = state.then_current * (one - tau.rate * stretched(h, tau.rate)) * exp(zero - h * tau.leak)
        slope = select(hit, maximum(drive - fall, splat(theta, np.finfo(np.float64).eps) * fall), one)
        time = select(hit, cast(zero, state.start) + h, time)
        delay = select(hit, h, zero)
    out = (row * n_blocks + k) * LANES
    vstore(spikes.time, out, cast(spikes.time, time))
    vstore(spikes.delay, out, cast(spikes.time, delay))
    vstore(spikes.slope, out, cast(spikes.time, slope))
    vstore(spikes.causal, out, state.causal)


@compiled
def walk_rows(low, high, batch, spikes, steps):
    """First spikes of rows low to high; fills in `inputs.finite` and `spikes`.

    steps [TILE, 4, N], float64, is room for what only this call needs.
    """
    rows = rows_per_network(batch)
    for tile in range(low, high, TILE):
        until = min(tile + TILE, high)
        for row in range(tile, until):
            batch.inputs.finite[row] = prepare(row, row // rows, batch, steps[row - tile])
        for k in range(batch.layer.weight.shape[1]):
            for row in range(tile, until):
                walk(row, row // rows, k, batch, steps[row - tile], spikes)
