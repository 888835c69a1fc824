"""The derivatives of first spikes by weights and input times for code with one lane, compiled; see `gradient`.

A thread visits the inputs of one neuron in one row after each other. It writes what each adds to the gradients, its
entries, for many rows at once; then all sums are made at once. If threads added up what they visit, each would have to
visit all the rows of a sum. Entries after a neuron's last causal input are neither written nor read.

The entries are those of some groups of GROUP consecutive rows of a network; the last group of each may be shorter.
"""

from __future__ import annotations

from typing import NamedTuple

from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.events import Floats, blocks_of, constants_of, rows_per_network, weights_from
from ttfsrun.neuron.kernels.gradient import backward_start, by_delay, step_back, zero_gradient
from ttfsrun.neuron.kernels.gradient_by_weights import GROUP, within_limit
from ttfsrun.neuron.kernels.lanes import LANES
from ttfsrun.neuron.kernels.simd import item, max_lane, select, splat, vload, vstore
from ttfsrun.neuron.kernels.steps import step_after


class Entries(NamedTuple):
    """What each input of each row adds to the gradients; an array is empty where that is not needed."""

    by_weight: Floats  # [groups GROUP, N, K], inputs in order of time
    by_time: Floats  # likewise


class Order(NamedTuple):
    """Where the entries of each input are."""

    ranks: Floats  # [R, N]: place of each input in the order of time
    causal: Floats  # [R, K]: number of inputs that have entries, the first ones


@compiled
def row_of(at, first, batch):
    """Return the row of a row of entries, the first of which is that of group `first`; -1 if there is none."""
    rows = rows_per_network(batch)
    n_groups = -(-rows // GROUP)
    group = first + at // GROUP
    in_network = group % n_groups * GROUP + at % GROUP
    return group // n_groups * rows + in_network if in_network < rows else -1


@compiled
def backward_entries(low, high, first, batch, incoming, limit, entries):
    """Write the entries of neurons low to high of all rows of entries; first: group of the first row."""
    n_inputs, n_neurons = batch.inputs.times.shape[1], blocks_of(batch.layer)
    for_weights, for_times = entries.by_weight.size > 0, entries.by_time.size > 0
    for neuron in range(low, high):
        at, k = neuron // n_neurons, neuron % n_neurons
        row = row_of(at, first, batch)
        if row < 0:
            continue
        p, steps = row // rows_per_network(batch), incoming.steps[row]
        tau = constants_of(batch.layer, p, k, incoming.gradient)
        start = backward_start(row * n_neurons + k, incoming, tau)
        kept = within_limit(start, limit, batch.layer, steps, tau)
        state = zero = zero_gradient(start.causal)
        last = int(max_lane(start.causal)) - 1
        if last < 0:
            continue
        # What an input needs is read before the one after it is done with, so that no thread waits for it.
        step, weight = step_after(batch.layer, steps, last, tau), weights_from(batch, p, k, row, last)
        for j in range(last, -1, -1):
            state = step_back(j, state, start, step)
            by_time = weight * by_delay(state, tau)
            if j > 0:
                step, weight = step_after(batch.layer, steps, j - 1, tau), weights_from(batch, p, k, row, j - 1)
            entry = (at * n_inputs + j) * n_neurons + k
            if for_weights:
                vstore(entries.by_weight, entry, select(kept, state.by_current, zero.by_current))
            if for_times:
                vstore(entries.by_time, entry, by_time)


@compiled
def place_of_entry(row, last, i, k, order):
    """Return where in time the entry of an input in a row is; -1 where it has none, and for rows after the last."""
    at = min(row, last)  # so that it is read without a branch
    j = item(order.ranks, at * order.ranks.shape[1] + i)
    exists = item(order.causal, at * order.causal.shape[1] + k) > j
    return j if exists & (row <= last) else -1


@compiled
def entry_at(j, row, k, array):
    """Return the entry at a place in time in a row of entries; 0 for the place -1."""
    n_inputs, n_neurons = array.shape[1:]
    return vload(array, (row * n_inputs + j) * n_neurons + k) if j >= 0 else splat(array, 0.0)


@compiled
def sum_weight_entries(low, high, first, batch, order, entries, groups):
    """Write the sums of the entries of each group to groups [P, G, N, K], for low to high of all (group, N, K)."""
    n_groups, n_inputs, n_neurons = groups.shape[1:]
    rows, size, array = rows_per_network(batch), n_inputs * n_neurons, entries.by_weight
    for at in range(low, high):
        local, synapse = at // size, at % size
        i, k = synapse // n_neurons, synapse % n_neurons
        group = first + local
        p, in_network = group // n_groups, group % n_groups * GROUP
        begin, count = local * GROUP, min(GROUP, rows - in_network)
        row = p * rows + in_network
        last, total = row + count - 1, splat(groups, 0.0)
        for r in range(0, count, 4):  # four are read before the first of them is needed
            a, b = place_of_entry(row + r, last, i, k, order), place_of_entry(row + r + 1, last, i, k, order)
            c, d = place_of_entry(row + r + 2, last, i, k, order), place_of_entry(row + r + 3, last, i, k, order)
            of_a, of_b = entry_at(a, begin + r, k, array), entry_at(b, begin + r + 1, k, array)
            of_c, of_d = entry_at(c, begin + r + 2, k, array), entry_at(d, begin + r + 3, k, array)
            total = total + of_a + of_b + of_c + of_d
        vstore(groups, group * size + synapse, total)


@compiled
def time_sum(lane, begin, end, j, causal, entries):
    """Return the sum over neurons lane, lane + LANES, ... of the entries by time from flat index `begin` on.

    end: number of neurons; j: the input's place in time; causal [K]: of the row.
    """
    total = splat(entries.by_time, 0.0)
    for k in range(lane, end, LANES):
        if causal[k] > j:
            total = total + vload(entries.by_time, begin + k)
    return total


@compiled
def time_sums(lane, begin, end, j, causal, entries):
    """Return the sum of four sums, those of `lane` and each fourth one after it, in the order of `sums_of_lanes`."""
    first = time_sum(lane, begin, end, j, causal, entries) + time_sum(lane + 8, begin, end, j, causal, entries)
    second = time_sum(lane + 4, begin, end, j, causal, entries) + time_sum(lane + 12, begin, end, j, causal, entries)
    return first + second


@compiled
def sum_time_entries(low, high, first, batch, order, entries, out):
    """Write the sums over neurons to `out` [R, N], for inputs low to high of all rows of entries.

    Neuron n is added to sum n % LANES, neurons in their order, and the sums to each other as by `sums_of_lanes`.
    """
    n_inputs, n_neurons = batch.inputs.times.shape[1], blocks_of(batch.layer)
    for inputs in range(low, high):
        at, i = inputs // n_inputs, inputs % n_inputs
        row = row_of(at, first, batch)
        if row < 0:
            continue
        j, causal = item(order.ranks, row * n_inputs + i), order.causal[row]
        begin = (at * n_inputs + j) * n_neurons
        even = time_sums(0, begin, n_neurons, j, causal, entries) + time_sums(2, begin, n_neurons, j, causal, entries)
        odd = time_sums(1, begin, n_neurons, j, causal, entries) + time_sums(3, begin, n_neurons, j, causal, entries)
        vstore(out, row * n_inputs + i, even + odd)
