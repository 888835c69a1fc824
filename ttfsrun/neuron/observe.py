"""What a neuron does at a time that was observed elsewhere, on a chip for one: compiled.

The neuron is taken to have spiked at T for whatever reason, as if its threshold were what its membrane has there.
All that its derivatives need is then how many inputs came before, the delay h since the last of them, and the slope

    V'(T) = I(T) - U(T) / slow = exp(-h / slow) (I (1 - r s(h)) - (U + I s(h)) / slow)

from the state (I, U) just after that input, with r and s of `events`. The steps to that state are those of `walk`,
in float64 too; as there, a block of neurons walks together, one per SIMD lane, and a lane depends on no other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ttfsrun.neuron.compiled import compiled
from ttfsrun.neuron.elementary import exp
from ttfsrun.neuron.events import TILE, constants_of, prepare, rows_per_network, stretched, time_of
from ttfsrun.neuron.simd import LANES, any_lane, cast, fma, select, splat, vload, vstore
from ttfsrun.neuron.walk import Place, charge


class Last(NamedTuple):
    """A block of neurons just after the last input before their observed times, as vectors."""

    current: Any
    voltage: Any
    start: Any  # time of that input
    causal: Any  # number of inputs up to it; 0 where there is none


@compiled
def last_before(observed, place, batch, steps):
    """`Last` for observed times, -inf where there is nothing to wait for."""
    current = voltage = last_current = last_voltage = splat(steps, 0.0)
    start = causal = splat(observed, 0.0)
    for j in range(batch.inputs.finite[place.row]):
        time = splat(observed, time_of(batch.inputs, place.row, j))
        before = observed > time
        if not any_lane(before):
            break
        charged = charge(j, current, voltage, place, batch, steps)
        last_current = select(before, charged.current, last_current)
        last_voltage = select(before, voltage, last_voltage)
        start = select(before, time, start)
        causal = select(before, splat(observed, j + 1), causal)
        current, voltage = charged.current * charged.fast_decay, charged.at_end
    return Last(last_current, last_voltage, start, causal)


@compiled
def slope_after(delay, last, tau):
    """V' at a delay >= 0 after the state `last`."""
    one, rise = splat(delay, 1.0), stretched(delay, tau.rate)
    drive = last.current * (one - tau.rate * rise)
    fall = fma(last.current, rise, last.voltage) * tau.leak
    return (drive - fall) * exp(splat(delay, 0.0) - delay * tau.leak)


@compiled
def observe(row, p, k, batch, steps, spikes):
    """Fill in the spikes of block k of network p in one row, from their times; `steps` as for `walk`."""
    tau = constants_of(batch.layer, p, k, steps)
    at = (row * batch.layer.weight.shape[1] + k) * LANES
    time = vload(spikes.time, at)
    never, nothing = splat(time, np.inf), splat(time, 0.0)
    last = last_before(select(time == never, nothing - never, time), Place(row, p, k, tau), batch, steps)

    zero = splat(steps, 0.0)
    hit = last.causal > nothing
    delay = select(hit, cast(zero, time) - cast(zero, last.start), zero)
    slope = slope_after(delay, last, tau)
    # Below, the gradients of a membrane that has all but come to rest would leave the range of their type.
    smallest = np.finfo(spikes.time.dtype).tiny / np.finfo(spikes.time.dtype).eps
    rises = hit & (slope > splat(slope, smallest))
    vstore(spikes.delay, at, cast(time, select(rises, delay, zero)))
    vstore(spikes.slope, at, cast(time, select(rises, slope, splat(slope, 1.0))))
    vstore(spikes.causal, at, select(rises, last.causal, nothing))


@compiled
def observe_rows(low, high, batch, spikes, steps):
    """For rows low to high, fill in `inputs.finite`, and `spikes` from the times that are there: inf for none.

    steps [TILE, 4, N], float64, is room for what only this call needs.
    """
    rows = rows_per_network(batch)
    for tile in range(low, high, TILE):
        until = min(tile + TILE, high)
        for row in range(tile, until):
            batch.inputs.finite[row] = prepare(row, row // rows, batch, steps[row - tile])
        for k in range(batch.layer.weight.shape[1]):
            for row in range(tile, until):
                observe(row, row // rows, k, batch, steps[row - tile], spikes)
