"""The steps of a membrane from each input of a row to the next, compiled: see `events`, which has the equations."""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from ttfsrun.neuron.kernels.compiled import compiled, inlined
from ttfsrun.neuron.kernels.elementary import exp, near_decay, near_rise, rise_series
from ttfsrun.neuron.kernels.events import FAR, constants_of, is_shared, rows_per_network, time_of
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.simd import any_lane, item, minimum, select, splat, vload, vstore

DELAY, FAST_DECAY, SLOW_DECAY, RISE = 0, 1, 2, 3  # the numbers of a step, see `step_index`


@compiled
def step(delay, tau):
    """Return (exp(-d / fast), exp(-d / slow), s(d)) for a delay d >= 0."""
    zero, one = splat(delay, 0.0), splat(delay, 1.0)
    z = delay * tau.rate
    slow_decay = exp(zero - delay * tau.leak)
    if not any_lane(z > zero):
        return slow_decay, slow_decay, delay
    ratio = exp(zero - z)
    rise = select(z > splat(delay, 0.5), (one - ratio) / tau.rate, delay * rise_series(z))
    return slow_decay * ratio, slow_decay, rise


@compiled
def short_step(storage, delay, tau):
    """Return `step` for d <= NEAR fast, in a fraction of the time, as precise as the type of `storage` needs."""
    decay = near_decay(storage, delay * tau.leak)
    z = delay * tau.rate
    if not any_lane(z > splat(z, 0.0)):
        return decay, decay, delay
    rise = delay * near_rise(storage, z)
    return decay * (splat(delay, 1.0) - tau.rate * rise), decay, rise


@compiled
def step_index(steps, part, j):
    """Return the flat index into a row's steps [4, N] of one of the four numbers after input j, or inputs from j on."""
    # A thread of a GPU reads all four, which are side by side there.
    return 4 * j + part if lanes(steps) == 1 else part * steps.shape[1] + j


@compiled
def number_after(steps, part, j):
    """Return one of the four numbers after input j."""
    return item(steps, step_index(steps, part, j))


@compiled
def delay_after(steps, j):
    """Return the delay from input j to the next."""
    return number_after(steps, DELAY, j)


def step_after(layer, steps, j, tau):
    """Return `step` from input j to the next: read from `steps` if neurons share constants, else computed for each."""


@overload(step_after)
def _step_after(layer, steps, j, tau):
    def shared(layer, steps, j, tau):
        fast_decay, slow_decay = number_after(steps, FAST_DECAY, j), number_after(steps, SLOW_DECAY, j)
        return splat(steps, fast_decay), splat(steps, slow_decay), splat(steps, number_after(steps, RISE, j))

    def own(layer, steps, j, tau):
        delay = delay_after(steps, j)
        if delay <= tau.near:
            return short_step(layer.weight, splat(steps, delay), tau)
        return step(splat(steps, delay), tau)

    return shared if is_shared(layer) else own


@inlined
def step_over(storage, delay, tau):
    """Return `step` for vectors of any delays >= 0, each in the shortest way; `storage` as for `short_step`."""
    near = splat(delay, tau.near)
    fast_decay, slow_decay, rise = short_step(storage, minimum(delay, near), tau)
    far = delay > near
    if any_lane(far):
        exact = step(delay, tau)
        fast_decay, slow_decay = select(far, exact[0], fast_decay), select(far, exact[1], slow_decay)
        rise = select(far, exact[2], rise)
    return fast_decay, slow_decay, rise


def prepare_shared(layer, p, first, until, steps):
    """Fill in the steps after inputs `first` to `until` if neurons share their time constants; else do nothing."""


@overload(prepare_shared)
def _prepare_shared(layer, p, first, until, steps):
    def shared(layer, p, first, until, steps):
        tau = constants_of(layer, p, 0, steps)
        for j in range(first, until, lanes(steps)):
            fast_decay, slow_decay, rise = step_over(steps, vload(steps, step_index(steps, DELAY, j)), tau)
            vstore(steps, step_index(steps, FAST_DECAY, j), fast_decay)
            vstore(steps, step_index(steps, SLOW_DECAY, j), slow_decay)
            vstore(steps, step_index(steps, RISE, j), rise)

    def own(layer, p, first, until, steps):
        pass

    return shared if is_shared(layer) else own


@compiled
def delay_between(time, after):
    """Return the delay from an input to the next, at most FAR."""
    delay = np.float64(after) - np.float64(time)
    return delay if delay < FAR else FAR


@compiled
def count_finite(row, inputs):
    """Return the number of finite inputs of a row."""
    count = inputs.times.shape[1]
    while count > 0 and time_of(inputs, row, count - 1) == np.inf:
        count -= 1
    return count


@compiled
def prepare(row, p, batch, steps):
    """Fill `steps` [4, N]: the delay from each finite input of a row to the next and, where shared, its `step`.

    Returns the number of finite inputs.
    """
    inputs = batch.inputs
    count = count_finite(row, inputs)
    if count > 0:
        time = time_of(inputs, row, 0)
        for j in range(count - 1):
            after = time_of(inputs, row, j + 1)
            steps[DELAY, j] = delay_between(time, after)
            time = after
        steps[DELAY, count - 1] = FAR
    prepare_shared(batch.layer, p, 0, count, steps)
    return count


@compiled
def prepare_inputs(low, high, batch, steps):
    """Fill `inputs.finite` and steps [R, 4, N] for inputs low to high of all rows (R N, in order of time); one lane."""
    inputs = batch.inputs
    n_inputs = inputs.times.shape[1]
    rows = rows_per_network(batch)
    for at in range(low, high):
        row, j = at // n_inputs, at % n_inputs
        time = time_of(inputs, row, j)
        if time < np.inf:
            after = time_of(inputs, row, j + 1) if j + 1 < n_inputs else np.inf
            of_row = steps[row]
            vstore(of_row, step_index(of_row, DELAY, j), splat(of_row, delay_between(time, after)))
            prepare_shared(batch.layer, row // rows, j, j + 1, of_row)
            if after == np.inf:
                inputs.finite[row] = j + 1
        elif j == 0:
            inputs.finite[row] = 0
