"""What the kernels share: the arrays that they work on, and the inputs of a row as a sequence of events.

Shapes: R rows (samples of all networks, `rows` per network), N inputs, K blocks of L neurons, padded to K L.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from ttfsrun.neuron.compiled import compiled
from ttfsrun.neuron.simd import any_lane, decay_series, exp, fabs, item, load, select, splat, store

Floats = NDArray[Any]

CHUNK = 2.0  # span of the inputs that share an origin, in units of the faster time constant
FAR = 1e30  # "no further input": a finite stand-in for the end of time


class Layer(NamedTuple):
    """A layer of P networks: packed weights, and the four neuron parameters as the walk needs them."""

    weight: Floats  # [P, K, N, L]
    theta: Floats  # [P, rows or 1, K L]: v_th - v_leak; inf in the padding
    fast: Floats  # [P], or [P, K L] where each neuron has its own
    slow: Floats  # the same shape
    shortest: Floats  # [P]: the smallest of `fast`


class Inputs(NamedTuple):
    """The finite input spikes of each row in the order of time; only the first `finite` entries are set."""

    finite: NDArray[np.int32]  # [R]: how many there are
    order: NDArray[np.int32]  # [R, N]: index of the input
    chunk_end: NDArray[np.int32]  # [R, N]: set where a chunk starts
    origin: Floats  # [R, N]: set where a chunk starts
    delay: Floats  # [R, N]: since the chunk's origin
    x: Floats  # [R, N]: exp(delay / fast); this and s only where neurons share their time constants
    s: Floats  # [R, N]: stretched delay


class Spikes(NamedTuple):
    """What the walk finds for each row and neuron."""

    time: Floats  # [R, K L]: inf where there is none
    causal: Floats  # [R, K L]: number of inputs up to the spike; 0 where there is none
    slope: Floats  # [R, K L]: dV/dt at the spike; 1 where there is none


def of_block(array, p, offset):
    """A parameter of the block of neurons at `offset`: one number per network, or one per neuron."""


@overload(of_block)
def _of_block(array, p, offset):
    if array.ndim == 1:
        return lambda array, p, offset: splat(array, array[p])
    return lambda array, p, offset: load(array, p * array.shape[1] + offset)


def event(tau, inputs, row, j, slow, fast):
    """(x, s) of input j of a row as vectors: prepared once for all neurons, or for each neuron's own constants."""


@overload(event)
def _event(tau, inputs, row, j, slow, fast):
    def shared(tau, inputs, row, j, slow, fast):
        at = row * inputs.x.shape[1] + j
        return splat(tau, item(inputs.x, at)), splat(tau, item(inputs.s, at))

    def own(tau, inputs, row, j, slow, fast):
        delay = splat(tau, item(inputs.delay, row * inputs.x.shape[1] + j))
        return exp(delay / fast), stretched(delay, slow, fast)

    return shared if tau.ndim == 1 else own


def prepare_shared(tau, layer, p, row, inputs, ahead):
    """Fill in what all neurons of a layer share; nothing where each has its own time constants."""


@overload(prepare_shared)
def _prepare_shared(tau, layer, p, row, inputs, ahead):
    def shared(tau, layer, p, row, inputs, ahead):
        lanes = layer.weight.shape[3]
        fast, slow = splat(tau, layer.fast[p]), splat(tau, layer.slow[p])
        for j in range(0, inputs.finite[row], lanes):
            here = row * inputs.x.shape[1] + j
            start, end = load(inputs.delay, here), load(ahead[1], j)
            store(inputs.x, here, exp(start / fast))
            store(inputs.s, here, stretched(start, slow, fast))
            store(ahead[2], j, exp(start / slow))
            store(ahead[3], j, stretched(end, slow, fast))
            store(ahead[4], j, exp(end / slow))
            store(ahead[5], j, exp(end / fast))

    def own(tau, layer, p, row, inputs, ahead):
        pass

    return shared if tau.ndim == 1 else own


@compiled
def stretched(delay, slow, fast):
    """(1 - exp(-r delay)) / r, smooth through r = 0."""
    one = splat(delay, 1.0)
    z = delay * (one / fast - one / slow)
    by_series = delay * decay_series(z)
    large = fabs(z) > splat(delay, 0.5)
    if any_lane(large):
        return select(large, delay * ((one - exp(splat(delay, 0.0) - z)) / z), by_series)
    return by_series


@compiled
def sort_keys(times, keys):
    """Integers that sort like (time, index) of float32 times [R, N]; returns whether no time is NaN or -inf."""
    bits = times.view(np.int32)
    wrong = 0
    for row in range(times.shape[0]):
        for i in range(times.shape[1]):
            wrong += not times[row, i] > -np.inf
            # As unsigned integers, floats sort like numbers once a negative one has all its bits flipped,
            # another one its sign. No branch: this loop is vectorised.
            flip = (bits[row, i] >> np.int32(31)) | np.int32(-0x80000000)
            keys[row, i] = (np.uint64(np.uint32(bits[row, i] ^ flip)) << np.uint64(32)) | np.uint64(i)
    return wrong == 0


@compiled
def chunk_inputs(times, row, span, inputs, ahead):
    """Delays of a row's inputs since the origin of their chunk, and of the next input (`ahead`: start, end)."""
    n_inputs = times.shape[1]
    count = 0
    first = times.dtype.type(0)  # of the same type as a time, so that spans are compared as such
    origin = 0.0
    start = 0
    while count < n_inputs:
        time = item(times, row * n_inputs + item(inputs.order, row * n_inputs + count))
        if time == np.inf:
            break
        if count == 0 or time - first > span:
            if count > 0:
                ahead[1, count - 1] = time - origin
                inputs.chunk_end[row, start] = count
            start, first, origin = count, time, time + span / 2
            inputs.origin[row, start] = origin
        elif count > 0:
            ahead[1, count - 1] = time - origin
        inputs.delay[row, count] = ahead[0, count] = time - origin
        count += 1
    inputs.finite[row] = count
    if count > 0:
        ahead[1, count - 1] = FAR
        inputs.chunk_end[row, start] = count
