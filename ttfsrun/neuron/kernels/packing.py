"""Weights in the order in which the walk reads them, and keys that sort inputs in time, compiled.

Shapes: P networks, N inputs, M neurons in K blocks of L, the last one padded with zeros.
"""

from __future__ import annotations

import numpy as np

from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.integers import lane, order_keys
from ttfsrun.neuron.kernels.lanes import LANES
from ttfsrun.neuron.kernels.simd import any_lane, fabs, select, splat, vload, vstore


@compiled
def pack(weight, blocks):
    """Copy weight [P, N, M] to blocks [P, K, N, L]. Returns whether all weights are finite."""
    n_networks, n_blocks, n_inputs = blocks.shape[:3]
    n_neurons = weight.shape[2]
    invalid = 0
    for p in range(n_networks):
        for i in range(n_inputs):
            for k in range(n_blocks):
                source, target = (p * n_inputs + i) * n_neurons + k * LANES, ((p * n_blocks + k) * n_inputs + i) * LANES
                if (k + 1) * LANES <= n_neurons:
                    values = vload(weight, source)
                    vstore(blocks, target, values)
                    invalid += any_lane(~(fabs(values) < splat(values, np.inf)))
                else:
                    vstore(blocks, target, splat(blocks, 0.0))
                    for lane in range(n_neurons - k * LANES):
                        blocks[p, k, i, lane] = weight[p, i, k * LANES + lane]
                        invalid += not abs(weight[p, i, k * LANES + lane]) < np.inf
    return invalid == 0


@compiled
def unpack(blocks, weight):
    """Copy blocks [P, K, N, L] to weight [P, N, M]."""
    n_networks, n_blocks, n_inputs = blocks.shape[:3]
    n_neurons = weight.shape[2]
    for p in range(n_networks):
        for i in range(n_inputs):
            for k in range(n_blocks):
                if (k + 1) * LANES <= n_neurons:
                    values = vload(blocks, ((p * n_blocks + k) * n_inputs + i) * LANES)
                    vstore(weight, (p * n_inputs + i) * n_neurons + k * LANES, values)
                else:
                    for lane in range(n_neurons - k * LANES):
                        weight[p, i, k * LANES + lane] = blocks[p, k, i, lane]


@compiled
def sort_keys(times, keys):
    """Fill keys [R, N] with integers that sort like (time, index) of float32 times. Returns whether all are > -inf."""
    bits = times.view(np.int32)
    invalid = 0
    for row in range(times.shape[0]):
        for i in range(times.shape[1]):
            invalid += not times[row, i] > -np.inf
            # The bits of floats sort like unsigned integers once all bits of negative numbers and the sign bit
            # of all others are flipped. There is no branch, so that this loop is vectorised.
            number = np.int32(0) if bits[row, i] == np.int32(-0x80000000) else bits[row, i]  # -0 equals 0
            flip = (number >> np.int32(31)) | np.int32(-0x80000000)
            keys[row, i] = (np.uint64(np.uint32(number ^ flip)) << np.uint64(32)) | np.uint64(i)
    return invalid == 0


INPUTS_AT_ONCE = 4  # whose ranks are found together: each time is read once for all of them


@compiled
def key_of_input(at, inputs):
    """Return the key by which the input at a flat index is ordered; silence and NaN have the largest one."""
    time, infinity = vload(inputs.times, at), splat(inputs.times, np.inf)
    return order_keys(select(time < infinity, time, infinity))


@compiled
def ones_where(mask, like):
    """Return 1 where the mask is set, else 0, as integers of the type of `like`."""
    return select(mask, splat(like, 1), splat(like, 0))


@compiled
def rank_inputs(low, high, inputs, ranks):
    """Fill in the order of a row's inputs, and its inverse, ranks [R, N], for low to high of all INPUTS_AT_ONCE.

    Inputs of equal times are ordered by their indices; those that are silent or NaN are last. For one lane.
    """
    n_inputs = inputs.times.shape[1]
    parts = -(-n_inputs // INPUTS_AT_ONCE)
    for at in range(low, high):
        row, first = at // parts, at % parts * INPUTS_AT_ONCE
        begin, last = row * n_inputs, n_inputs - 1  # where there are no more inputs, the last one is ranked again
        a, b = key_of_input(begin + first, inputs), key_of_input(begin + min(first + 1, last), inputs)
        c, d = (
            key_of_input(begin + min(first + 2, last), inputs),
            key_of_input(begin + min(first + 3, last), inputs),
        )
        of_a, of_b = splat(a, 0), ones_where(b == a, a)
        of_c, of_d = (
            ones_where(c == a, a) + ones_where(c == b, a),
            ones_where(d == a, a) + ones_where(d == b, a) + ones_where(d == c, a),
        )
        for j in range(n_inputs):
            other = key_of_input(begin + j, inputs) - splat(a, int(j < first))
            of_a = of_a + ones_where(a > other, a)
            of_b = of_b + ones_where(b > other, a)
            of_c = of_c + ones_where(c > other, a)
            of_d = of_d + ones_where(d > other, a)
        for i, rank in enumerate((of_a, of_b, of_c, of_d)):
            if first + i < n_inputs:
                place = lane(rank, 0)
                inputs.order[row, place] = first + i
                ranks[row, first + i] = place
