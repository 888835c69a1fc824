"""The state of a neuron at a spike time that was observed elsewhere, for example on a chip: compiled.

The neuron is taken to have spiked at T, as if its threshold were the value of its membrane there. Its derivatives then
need only the number of inputs before T, the delay h since the last of them, and the slope

    V'(T) = I(T) - U(T) / slow = exp(-h / slow) (I (1 - r s(h)) - (U + I s(h)) / slow)

from the state (I, U) just after that input, with r and s of `events`. The steps to that state are those of `walk`, also
in float64. As there, the neurons of a block are computed together, one per lane, and no lane depends on another.
"""

from __future__ import annotations

import numpy as np

from ttfsrun.neuron.kernels.charge import Block, charge
from ttfsrun.neuron.kernels.compiled import compiled, inlined
from ttfsrun.neuron.kernels.crossing import LastInput
from ttfsrun.neuron.kernels.elementary import exp
from ttfsrun.neuron.kernels.events import TILE, blocks_of, charge_integral, constants_of, rows_per_network, time_of
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.simd import any_lane, cast, fma, select, splat, vload, vstore
from ttfsrun.neuron.kernels.steps import prepare


@compiled
def last_before(observed, block, batch, steps):
    """Return the `LastInput` of a block for its observed times; -inf for no spike."""
    current = decay = voltage = last_current = last_voltage = splat(steps, 0.0)
    last_time = causal = splat(observed, 0.0)
    for j in range(batch.inputs.finite[block.row]):
        time = splat(observed, time_of(batch.inputs, block.row, j))
        before = observed > time
        if not any_lane(before):
            break
        charged = charge(j, current, decay, voltage, block, batch, steps)
        last_current = select(before, charged.current, last_current)
        last_voltage = select(before, voltage, last_voltage)
        last_time = select(before, time, last_time)
        causal = select(before, splat(observed, j + 1), causal)
        current, decay, voltage = charged.current, charged.fast_decay, charged.at_end
    return LastInput(last_current, last_voltage, last_time, causal)


@compiled
def slope_after(delay, last, tau):
    """Return V' at a delay >= 0 after the state `last`."""
    one, rise = splat(delay, 1.0), charge_integral(delay, tau.rate)
    drive = last.current * (one - tau.rate * rise)
    fall = fma(last.current, rise, last.voltage) * tau.leak
    return (drive - fall) * exp(splat(delay, 0.0) - delay * tau.leak)


@inlined
def finish_observed(time, last, at, tau, spikes):
    """Write what follows from the observed times of a block, and its `LastInput` before them, to flat index `at`."""
    zeros, zero = splat(time, 0.0), splat(last.current, 0.0)
    has_causal = last.causal > zeros
    delay = select(has_causal, cast(zero, time) - cast(zero, last.time), zero)
    slope = slope_after(delay, last, tau)
    # Below this slope, gradients would exceed the range of their type.
    smallest = np.finfo(spikes.time.dtype).tiny / np.finfo(spikes.time.dtype).eps
    rises = has_causal & (slope > splat(slope, smallest))
    vstore(spikes.delay, at, cast(time, select(rises, delay, zero)))
    vstore(spikes.slope, at, cast(time, select(rises, slope, splat(slope, 1.0))))
    vstore(spikes.causal, at, select(rises, last.causal, zeros))


@compiled
def observe(row, p, k, batch, steps, spikes):
    """Fill in the spikes of block k of network p in one row from their times; `steps` as for `walk`."""
    tau = constants_of(batch.layer, p, k, steps)
    at = (row * blocks_of(batch.layer) + k) * lanes(batch)
    time = vload(spikes.time, at)
    infinity, zeros = splat(time, np.inf), splat(time, 0.0)
    last = last_before(select(time == infinity, zeros - infinity, time), Block(row, p, k, tau), batch, steps)
    finish_observed(time, last, at, tau, spikes)


@compiled
def observe_rows(low, high, batch, spikes, steps):
    """For rows low to high, fill in `inputs.finite`, and the rest of `spikes` from `spikes.time`, inf for no spike.

    steps [TILE, 4, N], float64: scratch space.
    """
    rows = rows_per_network(batch)
    for tile in range(low, high, TILE):
        until = min(tile + TILE, high)
        for row in range(tile, until):
            batch.inputs.finite[row] = prepare(row, row // rows, batch, steps[row - tile])
        for k in range(blocks_of(batch.layer)):
            for row in range(tile, until):
                observe(row, row // rows, k, batch, steps[row - tile], spikes)


@compiled
def observe_blocks(low, high, batch, spikes, steps):
    """Fill in the rest of `spikes` for blocks low to high of all rows (R K); steps [R, 4, N], float64, by `prepare`."""
    rows, n_blocks = rows_per_network(batch), blocks_of(batch.layer)
    for at in range(low, high):
        row = at // n_blocks
        observe(row, row // rows, at % n_blocks, batch, steps[row], spikes)
