"""The derivatives of first spikes by the input times, compiled; see `gradient`."""

from __future__ import annotations

from numba.extending import overload

from ttfsrun.neuron.kernels.arrivals import has_delays
from ttfsrun.neuron.kernels.charge import Block
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.events import blocks_of, constants_of, rows_per_network, weights_from
from ttfsrun.neuron.kernels.gradient import backward_start, by_delay, inputs_to_visit, step_back, zero_gradient
from ttfsrun.neuron.kernels.gradient_delayed import add_delayed_times
from ttfsrun.neuron.kernels.lanes import LANES, lanes
from ttfsrun.neuron.kernels.simd import item, splat, sums_of_lanes, vload, vstore
from ttfsrun.neuron.kernels.steps import step_after


@compiled
def write_sums(row, sums, out):
    """Write the sums over lanes of `sums` [N, LANES], with N rounded up, to a row of `out` [R, N]."""
    n_inputs = out.shape[1]
    for i in range(0, n_inputs, LANES):
        total = sums_of_lanes(sums, i * LANES)
        if i + LANES <= n_inputs:
            vstore(out, row * n_inputs + i, total)
        else:
            vstore(sums, i * LANES, total)
            for lane in range(n_inputs - i):
                out[row, i + lane] = item(sums, i * LANES + lane)


def has_times(sums):
    """Return whether sums, given by their numba type, have gradients by the input times."""
    return "times" in sums.fields


def keep_entry(j, block, state, sums, batch):
    """Keep the gradient by the time of a row's j-th input through the only block; without times, do nothing."""


@overload(keep_entry)
def _keep_entry(j, block, state, sums, batch):
    def keep(j, block, state, sums, batch):
        at = item(batch.inputs.order, block.row * batch.inputs.order.shape[1] + j) * lanes(sums.by_input)
        entry = weights_from(batch, block.p, block.k, block.row, j) * by_delay(state, block.tau)
        vstore(sums.by_input, at, splat(sums.by_input, 0.0) + entry)

    return keep if has_times(sums) else lambda j, block, state, sums, batch: None


def finish_times(row, visited, sums, batch):
    """Write the gradients by a row's input times from what `keep_entry` has kept; without times, do nothing."""


@overload(finish_times)
def _finish_times(row, visited, sums, batch):
    def finish(row, visited, sums, batch):
        n_inputs = batch.inputs.order.shape[1]
        for j in range(visited, n_inputs):
            at = item(batch.inputs.order, row * n_inputs + j) * lanes(sums.by_input)
            vstore(sums.by_input, at, splat(sums.by_input, 0.0))
        write_sums(row, sums.by_input, sums.times)

    return finish if has_times(sums) else lambda row, visited, sums, batch: None


def partial_sums(n_neurons: int) -> int:
    """Return the number of partial sums over so many neurons: LANES, or as many as are not 0 anyway, a power of two."""
    return min(LANES, 1 << max(n_neurons - 1, 0).bit_length())


def add_block(block, part, batch, incoming, total):
    """Add the gradients by a row's input times through a block to the sums of a part of total [N, W]."""


@overload(add_block, jit_options={"forceinline": True})
def _add_block(block, part, batch, incoming, total):
    def plain(block, part, batch, incoming, total):
        row, p, k, tau = block
        steps, width, n_inputs = incoming.steps[row], total.shape[1], batch.inputs.times.shape[1]
        start = backward_start((row * blocks_of(batch.layer) + k) * lanes(total), incoming, tau)
        state = zero_gradient(total)
        for j in range(inputs_to_visit(start, batch.inputs.finite[row]) - 1, -1, -1):
            state = step_back(j, state, start, step_after(batch.layer, steps, j, tau))
            at = item(batch.inputs.order, row * n_inputs + j) * width + part * lanes(total)
            vstore(total, at, vload(total, at) + weights_from(batch, p, k, row, j) * by_delay(state, tau))

    def delayed(block, part, batch, incoming, total):
        add_delayed_times(block, part, batch, incoming, total)

    return delayed if has_delays(batch) else plain


@compiled
def add_by_input(row, part, batch, incoming, total):
    """Fill total [N, W] with sums of the gradients by a row's input times.

    Neuron n is added to sum n % W, neurons in their order; a part fills the L sums from part L on. W is LANES or
    `partial_sums`.
    """
    p, width = row // rows_per_network(batch), total.shape[1]
    n_inputs, n_blocks = batch.inputs.times.shape[1], blocks_of(batch.layer)
    for i in range(n_inputs):
        vstore(total, i * width + part * lanes(total), splat(total, 0.0))
    for k in range(part, n_blocks, width // lanes(total)):
        tau = constants_of(batch.layer, p, k, incoming.gradient)
        add_block(Block(row, p, k, tau), part, batch, incoming, total)


@compiled
def backward_time(low, high, batch, incoming, out, sums):
    """Write the gradients by the input times to `out` [R, N], for rows low to high; sums: see `write_sums`."""
    for row in range(low, high):
        add_by_input(row, 0, batch, incoming, sums)
        write_sums(row, sums, out)


@compiled
def backward_time_parts(low, high, batch, incoming, totals):
    """Fill totals [R, N, W] by `add_by_input`, for parts low to high of all rows (R W).

    For code with one lane; without delays, `gradient_entries` is faster.
    """
    width = totals.shape[2]
    for at in range(low, high):
        add_by_input(at // width, at % width, batch, incoming, totals[at // width])


@compiled
def backward_time_sums(low, high, totals, out):
    """Write the gradients by the input times to `out` [R, N], for inputs low to high of all rows (R N).

    The sums in totals [R, N, W], by `backward_time_parts`, are added in the order of `sums_of_lanes`, in place.
    """
    n_inputs, width = totals.shape[1:]
    for at in range(low, high):
        row, i = at // n_inputs, at % n_inputs
        half = width // 2
        while half > 0:
            for lane in range(half):
                totals[row, i, lane] += totals[row, i, half + lane]
            half //= 2
        out[row, i] = totals[row, i, 0]
