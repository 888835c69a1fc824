"""The order in which inputs reach neurons whose synapses have delays, compiled: each neuron has its own.

An input reaches a neuron at t_i + d_ij, rounded to float64. The arrivals of a row at a block of neurons are sorted by
integers: the arrival time in steps of a fine grid, then the input's place in the order of sending. A sorting network
compares and exchanges whole vectors, so each lane sorts the arrivals of its neuron. Where two arrivals are in one step
of the grid, which is rare, they are put in the order of their exact times. Inputs that arrive at one time are in the
order of sending.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from ttfsrun.neuron.kernels.compiled import compiled, inlined
from ttfsrun.neuron.kernels.events import Floats, Inputs, Layer, time_of, weight_index
from ttfsrun.neuron.kernels.integers import lane_indices, set_item, to_int32, vgather, vgather_own
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.networks import merge_sixteen, sort_eight, sort_sixteen
from ttfsrun.neuron.kernels.simd import any_lane, cast, item, maximum, minimum, splat, vload, vstore

WORD_BITS = 31  # of a key, without the sign
LARGEST = (1 << WORD_BITS) - 1
RUN = 16  # keys that are sorted in registers; half as many if there are no more
MAX_STEP_BITS = 24  # of the number of steps: those of a float32


class Delays(NamedTuple):
    """Delays of the synapses of P networks, and the last causal input of each neuron."""

    delay: Floats  # like `Layer.weight`
    longest: Floats  # [P], float64: at least the largest delay of a network
    last: Any  # [R, K L], int32: place of the last causal input in the order of sending; any where there is none


class DelayedBatch(NamedTuple):
    """A `Batch` whose synapses have delays."""

    layer: Layer
    inputs: Inputs
    delays: Delays


class Keys(NamedTuple):
    """Keys of a row's inputs to a block of neurons, in an array of int32: the step of the arrival, and the place."""

    array: Any
    first: int  # flat index of the first key
    stride: int  # from a key to the next
    bits: int  # of the place in the order of sending


class CopiedKeys(NamedTuple):
    """Keys of a block of several lanes, with copies of what the walk needs of each input."""

    array: Any  # as above
    first: int
    stride: int
    bits: int
    times: Floats  # [N, L], float64: times of arrival
    weight: Floats  # [N, L]


def has_delays(batch):
    """Return whether the synapses of a batch, given by its numba type, have delays."""
    return "delays" in batch.fields


@compiled
def place_bits(n_inputs):
    """Return how many bits a place among so many inputs has."""
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
def of_synapses(values, sent, block, batch):
    """Return what `values`, like `Layer.weight`, have for a vector of places in the order of sending."""
    n_inputs = batch.inputs.times.shape[1]
    index = vgather(batch.inputs.order, block.row * n_inputs, sent)
    first = weight_index(batch.layer, block.p, block.k, 0, n_inputs)
    stride = weight_index(batch.layer, block.p, block.k, 1, n_inputs) - first
    return vgather(values, first, index * splat(index, stride) + lane_indices(index))


@inlined
def arrivals_at(sent, block, batch):
    """Return the times of arrival for a vector of places in the order of sending."""
    n_inputs, theta = batch.inputs.times.shape[1], batch.layer.theta
    index = vgather(batch.inputs.order, block.row * n_inputs, sent)
    time = vgather(batch.inputs.times, block.row * n_inputs, index)
    return cast(theta, time) + cast(theta, of_synapses(batch.delays.delay, sent, block, batch))


def copy_input(j, i, times, keys, block, batch):
    """Copy the times of arrival, and the weights, of input i, the j-th that was sent, for a block of several lanes."""


@overload(copy_input)
def _copy_input(j, i, times, keys, block, batch):
    def copy(j, i, times, keys, block, batch):
        vstore(keys.times, j * lanes(keys), times)
        weight = vload(batch.layer.weight, weight_index(batch.layer, block.p, block.k, i, batch.inputs.times.shape[1]))
        vstore(keys.weight, j * lanes(keys), weight)

    return copy if "times" in keys.fields else lambda j, i, times, keys, block, batch: None


def ordered(j, keys, block, batch):
    """Return the time of the j-th arrival of each lane, and the weight of that input."""


@overload(ordered, jit_options={"forceinline": True})
def _ordered(j, keys, block, batch):
    def copied(j, keys, block, batch):
        at, mask = keys.first + j * keys.stride, (1 << keys.bits) - 1
        return (
            vgather_own(keys.times, 0, lanes(keys), keys.array, at, mask),
            vgather_own(keys.weight, 0, lanes(keys), keys.array, at, mask),
        )

    def found(j, keys, block, batch):
        sent = places(keys, j)
        return arrivals_at(sent, block, batch), of_synapses(batch.layer.weight, sent, block, batch)

    return copied if "times" in keys.fields else found


@inlined
def places(keys, j):
    """Return the place of the j-th input of each lane's order in the order of sending."""
    key = vload(keys.array, keys.first + j * keys.stride)
    return key & splat(key, (1 << keys.bits) - 1)


@inlined
def places_before(counts, keys):
    """Return `places` of the last of so many inputs in each lane; of the first if there are none."""
    position = to_int32(maximum(counts - splat(counts, 1.0), splat(counts, 0.0)))
    at = position * splat(position, keys.stride) + lane_indices(position)
    key = vgather(keys.array, keys.first, at)
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
        times = arrivals_of(i, block, batch)
        copy_input(j, i, times, keys, block, batch)
        step = to_int32(minimum(cast(batch.delays.delay, (times - start) * factor), top))
        at = keys.first + j * keys.stride
        vstore(keys.array, at, step * splat(step, 1 << keys.bits) + splat(step, j))


@inlined
def exchange(array, low, high):
    """Put the smaller of two vectors, lane by lane, at flat index `low`, and the larger at `high`."""
    a, b = vload(array, low), vload(array, high)
    vstore(array, low, minimum(a, b))
    vstore(array, high, maximum(a, b))


@inlined
def sort_lanes(keys, count):
    """Sort `count` keys of each lane; the array has space for a multiple of RUN keys.

    Runs that networks sort in registers are merged, two by two, by bitonic merges. Keys at the end are the largest.
    """
    array, first, stride = keys.array, keys.first, keys.stride
    padded = padded_count(count)
    for j in range(count, padded):
        vstore(array, first + j * stride, splat(array, LARGEST))
    if padded < RUN:
        sort_eight(array, first, stride)
        return
    for start in range(0, padded, RUN):
        sort_sixteen(array, first + start * stride, stride)
    size = RUN
    while size < padded:
        for start in range(0, padded - size, 2 * size):
            last = start + 2 * size - 1
            for i in range(max(start, last + 1 - padded + start), start + size):
                exchange(array, first + i * stride, first + (last - (i - start)) * stride)
        distance = size // 2
        while distance >= RUN:
            for start in range(0, padded - distance, 2 * distance):
                for i in range(start, min(start + distance, padded - distance)):
                    exchange(array, first + i * stride, first + (i + distance) * stride)
            distance //= 2
        for start in range(0, padded, RUN):
            merge_sixteen(array, first + start * stride, stride)
        size *= 2


@compiled
def padded_count(count):
    """Return the number of keys with those that fill up the last run."""
    return RUN // 2 if count <= RUN // 2 else -(-count // RUN) * RUN


@compiled
def arrival_in_lane(key, lane, block, batch, keys):
    """Return the arrival time that a key of one lane stands for."""
    n_inputs = batch.inputs.times.shape[1]
    sent = key & ((1 << keys.bits) - 1)
    i = item(batch.inputs.order, block.row * n_inputs + sent)
    delay = item(batch.delays.delay, weight_index(batch.layer, block.p, block.k, i, n_inputs) + lane)
    return np.float64(item(batch.inputs.times, block.row * n_inputs + i)) + np.float64(delay)


@compiled
def insert(j, lane, block, batch, keys):
    """Move the j-th key of one lane before those of the same step that arrive later."""
    array, first, stride, bits = keys.array, keys.first, keys.stride, keys.bits
    at = first + j * stride + lane
    key = item(array, at)
    time = arrival_in_lane(key, lane, block, batch, keys)
    while j > 0:
        before = item(array, at - stride)
        if before >> bits != key >> bits or arrival_in_lane(before, lane, block, batch, keys) <= time:
            break
        set_item(array, at, before)
        at, j = at - stride, j - 1
    set_item(array, at, key)


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
