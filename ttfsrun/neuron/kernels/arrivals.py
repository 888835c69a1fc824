"""The order in which inputs reach neurons whose synapses have delays, compiled: each neuron has its own.

An input reaches a neuron at t_i + d_ij, rounded to float64. The arrivals of a row at a block of neurons are sorted by
integers: the arrival time in steps of a fine grid, then the index of the input. A sorting network compares and
exchanges whole vectors, so each lane sorts the arrivals of its neuron. Where two arrivals are in one step of the grid,
which is rare, they are put in the order of their exact times. Arrivals at one time are in the order of their inputs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ttfsrun.neuron.kernels.compiled import compiled, inlined
from ttfsrun.neuron.kernels.events import Floats, Inputs, Layer, time_of, weight_index
from ttfsrun.neuron.kernels.integers import vgather, vgather_own, to_int32
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.simd import any_lane, cast, item, maximum, minimum, splat, vload, vstore

WORD_BITS = 31  # of a key, without the sign
MAX_STEP_BITS = 24  # of the number of steps: those of a float32


class Delays(NamedTuple):
    """Delays of the synapses of P networks, and the last causal input of each neuron."""

    delay: Floats  # like `Layer.weight`
    longest: Floats  # [P], float64: at least the largest delay of a network
    last: Any  # [R, K L], int32: index of the last causal input; any number where there is none


class DelayedBatch(NamedTuple):
    """A `Batch` whose synapses have delays."""

    layer: Layer
    inputs: Inputs
    delays: Delays


class Keys(NamedTuple):
    """Keys of a row's inputs to a block of neurons, in an array of int32: the step of the arrival, and the index."""

    array: Any
    first: int  # flat index of the first key
    stride: int  # from a key to the next
    bits: int  # of the index


def has_delays(batch):
    """Return whether the synapses of a batch, given by its numba type, have delays."""
    return "delays" in batch.fields


@compiled
def index_bits(n_inputs):
    """Return how many bits an index of so many inputs has."""
    bits = 1
    while n_inputs > 1 << bits:
        bits += 1
    return bits


@inlined
def arrivals_of(i, block, batch):
    """Return the times at which input i of a row reaches a block of neurons, in float64."""
    n_inputs = batch.inputs.times.shape[1]
    theta = batch.layer.theta  # float64
    delay = vload(batch.delays.delay, weight_index(batch.layer, block.p, block.k, i, n_inputs))
    return splat(theta, item(batch.inputs.times, block.row * n_inputs + i)) + cast(theta, delay)


@inlined
def arrivals_at(index, block, batch):
    """Return the same for a vector of inputs, one for each lane."""
    n_inputs = batch.inputs.times.shape[1]
    theta = batch.layer.theta
    time = vgather(batch.inputs.times, block.row * n_inputs, index)
    return cast(theta, time) + cast(theta, gathered(batch.delays.delay, index, block, batch))


@inlined
def gathered(values, index, block, batch):
    """Return what `values`, like `Layer.weight`, have for an input of each lane."""
    n_inputs = batch.inputs.times.shape[1]
    first = weight_index(batch.layer, block.p, block.k, 0, n_inputs)
    stride = weight_index(batch.layer, block.p, block.k, 1, n_inputs) - first
    return vgather_own(values, first, index, stride)


@inlined
def indices(keys, j):
    """Return the index of the j-th input in each lane's order."""
    key = vload(keys.array, keys.first + j * keys.stride)
    return key & splat(key, (1 << keys.bits) - 1)


@inlined
def fill_keys(block, batch, keys):
    """Write the keys of all finite inputs of a row, in the order of their times."""
    count = batch.inputs.finite[block.row]
    if count == 0:
        return
    theta = batch.layer.theta
    first = np.float64(time_of(batch.inputs, block.row, 0))
    span = np.float64(time_of(batch.inputs, block.row, count - 1)) + batch.delays.longest[block.p] - first
    last_step = (1 << min(WORD_BITS - keys.bits, MAX_STEP_BITS)) - 1
    scale = last_step / span if 1e-200 < span < np.inf else 0.0
    start, factor, top = splat(theta, first), splat(theta, scale), splat(batch.delays.delay, last_step)
    n_inputs = batch.inputs.times.shape[1]
    for j in range(count):
        i = item(batch.inputs.order, block.row * n_inputs + j)
        # Each operation is monotonic, so the steps are in the order of the times.
        step = cast(batch.delays.delay, (arrivals_of(i, block, batch) - start) * factor)
        step = to_int32(minimum(step, top))
        at = keys.first + j * keys.stride
        vstore(keys.array, at, step * splat(step, 1 << keys.bits) + splat(step, i))


@inlined
def exchange(array, low, high):
    """Put the smaller of two vectors, lane by lane, at flat index `low`, and the larger at `high`."""
    a, b = vload(array, low), vload(array, high)
    vstore(array, low, minimum(a, b))
    vstore(array, high, maximum(a, b))


@inlined
def sort_lanes(keys, count):
    """Sort `count` keys of each lane: merge exchange (Batcher 1968; Knuth, vol. 3, 5.2.2, algorithm M)."""
    array, first, stride, _ = keys
    top = 1
    while 2 * top < count:
        top *= 2
    p = top
    while p > 0:
        q, r, distance = top, 0, p
        while True:
            for base in range(r, count - distance, 2 * p):
                for i in range(base, min(base + p, count - distance)):
                    exchange(array, first + i * stride, first + (i + distance) * stride)
            if q == p:
                break
            distance, r, q = q - p, p, q // 2
        p //= 2


@compiled
def arrival_in_lane(key, lane, block, batch, keys):
    """Return the arrival time that a key of one lane stands for."""
    n_inputs = batch.inputs.times.shape[1]
    i = key & ((1 << keys.bits) - 1)
    delay = item(batch.delays.delay, weight_index(batch.layer, block.p, block.k, i, n_inputs) + lane)
    return np.float64(item(batch.inputs.times, block.row * n_inputs + i)) + np.float64(delay)


@compiled
def insert(j, lane, block, batch, keys):
    """Move the j-th key of one lane before those of the same step that arrive later."""
    array, first, stride, bits = keys
    at = first + j * stride + lane
    key = item(array, at)
    time = arrival_in_lane(key, lane, block, batch, keys)
    flat = array.reshape(array.size)
    while j > 0:
        before = item(array, at - stride)
        if before >> bits != key >> bits or arrival_in_lane(before, lane, block, batch, keys) <= time:
            break
        flat[at] = before
        at, j = at - stride, j - 1
    flat[at] = key


@inlined
def sort_arrivals(block, batch, keys):
    """Fill the keys of a row for a block of neurons, in each lane's order of arrival."""
    count = batch.inputs.finite[block.row]
    fill_keys(block, batch, keys)
    sort_lanes(keys, count)
    for j in range(1, count):
        before = vload(keys.array, keys.first + (j - 1) * keys.stride)
        key = vload(keys.array, keys.first + j * keys.stride)
        if any_lane(splat(key, 1 << keys.bits) > key - before):  # perhaps of the same step
            for lane in range(lanes(keys)):
                insert(j, lane, block, batch, keys)
