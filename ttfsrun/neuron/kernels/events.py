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

from numba.extending import overload

from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.elementary import NEAR, exp, rise_series, second_rise_series
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.simd import any_lane, cast, item, select, splat, vload

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
