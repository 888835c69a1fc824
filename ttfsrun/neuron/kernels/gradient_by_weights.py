"""The derivatives of first spikes by the weights, summed over a batch, compiled; see `gradient`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from ttfsrun.neuron.kernels.arrivals import has_delays
from ttfsrun.neuron.kernels.charge import Block
from ttfsrun.neuron.kernels.compiled import compiled, inlined
from ttfsrun.neuron.kernels.events import Floats, blocks_of, constants_of, rows_per_network
from ttfsrun.neuron.kernels.gradient import backward_start, inputs_to_visit, largest_possible, step_back, zero_gradient
from ttfsrun.neuron.kernels.gradient_by_times import finish_times, keep_entry
from ttfsrun.neuron.kernels.gradient_delayed import add_delayed_row
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.simd import any_lane, fabs, item, max_lane, maximum, select, splat, vload, vstore
from ttfsrun.neuron.kernels.steps import step_after

GROUP = 32  # rows whose gradients by the weights are added before they are added to those of the rows before


class WeightSums(NamedTuple):
    """Sums of gradients by the weights."""

    total: Floats  # [P, K, N, L]: over all rows of a network; with delays [P, K, 2 N, L], those by the delays last
    group: Floats  # [1, 1, N or 2 N, L]: over the rows of a group, scratch space


class AllSums(NamedTuple):
    """Sums of gradients by the weights, and by the input times, of a layer with one block."""

    total: Floats  # as above
    group: Floats
    times: Floats  # [R, N]
    by_input: Floats  # [N, LANES], with N rounded up to a multiple of LANES: scratch space


class Accumulator(NamedTuple):
    """Where the gradients by the weights of a block are added."""

    array: Floats
    first: int  # flat index for the first input
    stride: int  # from an input to the next


@compiled
def largest_entry(start, layer, steps, tau):
    """Return the largest magnitude in each neuron's gradient by its weights."""
    largest, state = splat(start.causal, 0.0), zero_gradient(start.causal)
    for j in range(int(max_lane(start.causal)) - 1, -1, -1):
        state = step_back(j, state, start, step_after(layer, steps, j, tau))
        largest = maximum(largest, fabs(state.by_current))
    return largest


@compiled
def within_limit(start, limit, layer, steps, tau):
    """Return where no entry of a neuron's gradient by its weights is of a magnitude above the limit."""
    largest_allowed = splat(start.causal, limit)
    reach = largest_possible(start.gradient, tau)
    kept = largest_allowed >= reach
    if any_lane(~kept):
        largest = largest_entry(start, layer, steps, tau)
        kept = (largest_allowed >= largest) & ~(reach == splat(reach, np.inf))
    return kept


@compiled
def clear(array, at, count):
    """Write zeros to `count` vectors of an array from flat index `at`."""
    for i in range(count):
        vstore(array, at + i * lanes(array), splat(array, 0.0))


@inlined
def add_row(block, batch, incoming, limit, target, sums):
    """Add the gradients by the weights of a block, in one row, to an array; keep those by the times if asked to."""
    row, _, k, tau = block
    n_inputs = batch.inputs.times.shape[1]
    steps = incoming.steps[row]
    start = backward_start((row * blocks_of(batch.layer) + k) * lanes(incoming), incoming, tau)
    kept = within_limit(start, limit, batch.layer, steps, tau)
    state, zero = zero_gradient(target.array), splat(target.array, 0.0)
    visited = inputs_to_visit(start, batch.inputs.finite[row])
    for j in range(visited - 1, -1, -1):
        state = step_back(j, state, start, step_after(batch.layer, steps, j, tau))
        at = target.first + item(batch.inputs.order, row * n_inputs + j) * target.stride
        vstore(target.array, at, vload(target.array, at) + select(kept, state.by_current, zero))
        keep_entry(j, block, state, sums, batch)
    finish_times(row, visited, sums, batch)


def add_row_of(block, batch, incoming, limit, target, sums):
    """Add a row by `add_row`; with delays, by `add_delayed_row`, which has twice as many entries."""


@overload(add_row_of, jit_options={"forceinline": True})
def _add_row_of(block, batch, incoming, limit, target, sums):
    def plain(block, batch, incoming, limit, target, sums):
        add_row(block, batch, incoming, limit, target, sums)

    def delayed(block, batch, incoming, limit, target, sums):
        add_delayed_row(block, batch, incoming, limit, target)

    return delayed if has_delays(batch) else plain


@compiled
def backward_weight(low, high, batch, incoming, limit, sums):
    """Write the gradients by the weights to `sums.total`, for the pairs (network, block) low to high.

    The sum over the rows of a network has one order: GROUP consecutive rows are added one after the other, starting
    from 0, and then the sums of the groups, one after the other. With `AllSums`, for layers of one block, the gradients
    by the input times are written too.
    """
    n_blocks, n_inputs, stride = blocks_of(batch.layer), sums.total.shape[2], lanes(incoming)
    rows = rows_per_network(batch)
    for pair in range(low, high):
        p, k = pair // n_blocks, pair % n_blocks
        total_at = pair * n_inputs * stride
        tau = constants_of(batch.layer, p, k, incoming.gradient)
        clear(sums.total, total_at, n_inputs)
        for first in range(p * rows, (p + 1) * rows, GROUP):
            alone = first == p * rows  # the first group needs no sum of its own
            if alone:
                target = Accumulator(sums.total, total_at, stride)
            else:
                target = Accumulator(sums.group, 0, stride)
                clear(sums.group, 0, n_inputs)
            for row in range(first, min(first + GROUP, (p + 1) * rows)):
                add_row_of(Block(row, p, k, tau), batch, incoming, limit, target, sums)
            if not alone:
                for i in range(0, n_inputs * stride, stride):
                    vstore(sums.total, total_at + i, vload(sums.total, total_at + i) + vload(sums.group, i))


@compiled
def backward_weight_groups(low, high, batch, incoming, limit, groups):
    """Write the sums over each GROUP of rows to groups [P, G, N, K], for low to high of all (network, group, block).

    For code with one lane; without delays, `gradient_entries` is faster.
    """
    n_groups, n_inputs, n_blocks = groups.shape[1:]
    rows = rows_per_network(batch)
    for at in range(low, high):
        group, k = at // n_blocks, at % n_blocks
        p, first = group // n_groups, group % n_groups * GROUP
        tau = constants_of(batch.layer, p, k, incoming.gradient)
        target = Accumulator(groups, group * n_inputs * n_blocks + k, n_blocks)
        for i in range(n_inputs):
            vstore(groups, target.first + i * n_blocks, splat(groups, 0.0))
        for row in range(p * rows + first, p * rows + min(first + GROUP, rows)):
            add_row_of(Block(row, p, k, tau), batch, incoming, limit, target, target)


@compiled
def backward_weight_sums(low, high, groups, out):
    """Write the sums over groups [P, G, N, K] to `out` [P, N, K], for entries low to high of all networks."""
    n_groups, size = groups.shape[1], out.shape[1] * out.shape[2]
    for at in range(low, high):
        p, entry = at // size, at % size
        total = splat(groups, 0.0)
        for group in range(n_groups):
            total = total + vload(groups, (p * n_groups + group) * size + entry)
        vstore(out, at, total)
