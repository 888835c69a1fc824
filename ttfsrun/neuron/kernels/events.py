"""Common parts of the kernels: the arrays that they work on, and the step of a membrane from one input to the next.

Shapes: R rows (samples of all networks, `rows` per network), N inputs, K blocks of L neurons, padded to K L. With one
lane, a block is a neuron (L = 1), and there is no padding.

The response of a neuron to its inputs is symmetric in the two time constants. With slow = max(tau_mem, tau_syn),
fast = min(tau_mem, tau_syn), a current I that decays with `fast` and charges a membrane U that decays with `slow`,
over a time d without inputs:

    I -> I exp(-d / fast)        U -> exp(-d / slow) (U + I s(d))        s(d) = (1 - exp(-r d)) / r

where r = 1 / fast - 1 / slow >= 0, and s(d) = d where r = 0. This formulation holds for every ratio.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from ttfsrun.neuron.kernels.compiled import compiled, inlined
from ttfsrun.neuron.kernels.elementary import NEAR, exp, near_decay, near_rise, rise_series, second_rise_series
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.simd import any_lane, cast, item, minimum, select, splat, vload, vstore

Floats = Any  # an array of a device

FAR = 1e30  # delay to the next input where there is none; finite
TILE = 16  # rows whose steps stay in the cache while all blocks of neurons walk over them


class Layer(NamedTuple):
    """One layer of P networks: packed weights, and neuron parameters in the form that the walk needs."""

    weight: Floats  # [P, K, N, L]; with one lane [P, N, K]
    theta: Floats  # [P, rows or 1, K L], float64: v_th - v_leak; inf in the padding
    slow: Floats  # [P], or [P, K L] if each neuron has its own; float64
    fast: Floats  # like `slow`
    shortest: Floats  # [P]: the smallest of `fast`


class Inputs(NamedTuple):
    """Input spikes of each row, and their order in time."""

    times: Floats  # [R, N]: inf for no spike
    order: Any  # [R, N]: indices of the inputs by time; silent ones last
    finite: Any  # [R]: number of finite times


class Spikes(NamedTuple):
    """Spikes by row and neuron, as found by `walk`, or as completed by `observe` from given times.

    An observed spike at which the membrane does not rise has only its time; the other fields are as for no spike.
    """

    time: Floats  # [R, K L]: inf for no spike
    delay: Floats  # [R, K L]: since the last causal input; 0 for no spike
    slope: Floats  # [R, K L]: dV/dt at the spike; 1 for no spike
    causal: Floats  # [R, K L]: number of inputs up to the spike; 0 for no spike


class Batch(NamedTuple):
    """Input of a kernel: the inputs of all rows, and the layer that receives them."""

    layer: Layer
    inputs: Inputs


class Constants(NamedTuple):
    """Time constants of a block of neurons, as vectors."""

    slow: Any
    fast: Any
    leak: Any  # 1 / slow
    rate: Any  # 1 / fast - 1 / slow
    near: Any  # a number: the largest delay that is short for every neuron of the layer


def is_shared(layer):
    """Return whether the neurons of a layer, given by its numba type, share their time constants."""
    return layer.types[Layer._fields.index("slow")].ndim == 1


def block_parameter(array, p, offset):
    """Return a parameter of the block of neurons at `offset`, given one number per network or one per neuron."""


@overload(block_parameter)
def _block_parameter(array, p, offset):
    if array.ndim == 1:
        return lambda array, p, offset: splat(array, array[p])
    return lambda array, p, offset: vload(array, p * array.shape[1] + offset)


@compiled
def rows_per_network(batch):
    """Return the number of rows (samples) of each network."""
    return batch.inputs.finite.size // batch.layer.weight.shape[0]


@compiled
def blocks_of(layer):
    """Return the number of blocks of neurons."""
    return layer.theta.shape[2] // lanes(layer)


@compiled
def weight_index(layer, p, k, i, n_inputs):
    """Return the flat index into `layer.weight` of the weights from input i to block k of network p."""
    if lanes(layer) == 1:  # neighbouring threads of a GPU, which compute neighbouring neurons, read adjacent numbers
        return (p * n_inputs + i) * blocks_of(layer) + k
    return ((p * blocks_of(layer) + k) * n_inputs + i) * lanes(layer)


@compiled
def time_of(inputs, row, j):
    """Return the time of a row's j-th input in order of time."""
    n_inputs = inputs.times.shape[1]
    return item(inputs.times, row * n_inputs + item(inputs.order, row * n_inputs + j))


@compiled
def weights_from(batch, p, k, row, j):
    """Return the weights from a row's j-th input, in order of time, to the neurons of block k of network p."""
    n_inputs = batch.inputs.times.shape[1]
    source = item(batch.inputs.order, row * n_inputs + j)
    return vload(batch.layer.weight, weight_index(batch.layer, p, k, source, n_inputs))


@compiled
def constants_of(layer, p, k, like):
    """Return the `Constants` of block k of network p, in the type of the array `like`."""
    offset = k * lanes(layer)
    slow, fast = block_parameter(layer.slow, p, offset), block_parameter(layer.fast, p, offset)
    one = splat(slow, 1.0)
    leak = one / slow
    rate = one / fast - leak
    return Constants(cast(like, slow), cast(like, fast), cast(like, leak), cast(like, rate), NEAR * layer.shortest[p])


@compiled
def charge_integral(delay, rate):
    """Return s(delay) = (1 - exp(-rate delay)) / rate, smooth through rate = 0; delay >= 0.

    It is the integral of exp(-rate x) over the delay: the charge that a decaying current brings.
    """
    one = splat(delay, 1.0)
    z = delay * rate
    if not any_lane(z > splat(delay, 0.0)):
        return delay
    by_series = delay * rise_series(z)
    large = z > splat(delay, 0.5)
    if any_lane(large):
        return select(large, (one - exp(splat(delay, 0.0) - z)) / rate, by_series)
    return by_series


@compiled
def time_constant_factors(z):
    """Return ((1 - m) / z, (m - exp(-z)) / z) for z >= 0, where m = (1 - exp(-z)) / z; both are 1/2 at 0.

    The derivatives by the slow and the fast time constant are proportional to them.
    """
    one, end = splat(z, 1.0), exp(splat(z, 0.0) - z)
    mean, second = rise_series(z), second_rise_series(z)
    far_mean = (one - end) / z
    large = z > splat(z, 0.5)
    return select(large, (one - far_mean) / z, second), select(large, (far_mean - end) / z, mean - second)


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


def step_after(layer, steps, j, tau):
    """Return `step` from input j to the next: read from `steps` if neurons share constants, else computed for each."""


@overload(step_after)
def _step_after(layer, steps, j, tau):
    def shared(layer, steps, j, tau):
        width = steps.shape[1]
        fast_decay, slow_decay = splat(steps, item(steps, width + j)), splat(steps, item(steps, 2 * width + j))
        return fast_decay, slow_decay, splat(steps, item(steps, 3 * width + j))

    def own(layer, steps, j, tau):
        delay = item(steps, j)
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
            fast_decay, slow_decay, rise = step_over(steps, vload(steps, j), tau)
            vstore(steps, steps.shape[1] + j, fast_decay)
            vstore(steps, 2 * steps.shape[1] + j, slow_decay)
            vstore(steps, 3 * steps.shape[1] + j, rise)

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
            steps[0, j] = delay_between(time, after)
            time = after
        steps[0, count - 1] = FAR
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
            steps[row, 0, j] = delay_between(time, after)
            prepare_shared(batch.layer, row // rows, j, j + 1, steps[row])
            if after == np.inf:
                inputs.finite[row] = j + 1
        elif j == 0:
            inputs.finite[row] = 0
