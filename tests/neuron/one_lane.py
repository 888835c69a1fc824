"""A layer by the kernels themselves: with vectors of neurons, and one neuron at a time as on a GPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from ttfsrun.neuron import Neuron
from ttfsrun.neuron.kernels.events import TILE, Batch, Inputs, Layer, Spikes
from ttfsrun.neuron.kernels.gradient import Incoming, prepare_rows
from ttfsrun.neuron.kernels.gradient_by_constants import backward_constants
from ttfsrun.neuron.kernels.gradient_by_times import backward_time
from ttfsrun.neuron.kernels.gradient_by_weights import (
    GROUP,
    AllSums,
    WeightSums,
    backward_weight,
    backward_weight_sums,
)
from ttfsrun.neuron.kernels.gradient_entries import (
    Entries,
    Order,
    backward_entries,
    sum_time_entries,
    sum_weight_entries,
)
from ttfsrun.neuron.kernels.lanes import LANES, OneLane
from ttfsrun.neuron.kernels.observe import observe_blocks, observe_rows
from ttfsrun.neuron.kernels.packing import INPUTS_AT_ONCE, rank_inputs
from ttfsrun.neuron.kernels.steps import prepare_inputs
from ttfsrun.neuron.kernels.walk import Scratch, walk_blocks, walk_rows

Array = NDArray[np.floating]
Results = dict[str, Array]

TOGETHER = 2  # groups whose entries are written at once


@dataclass(frozen=True)
class Problem:
    """A population of layers, and the gradient by its spikes."""

    times: Array  # [P, B, N]
    weight: Array  # [P, N, M]
    theta: Array  # [P, B or 1, M], float64
    slow: Array  # [P] or [P, M], float64
    fast: Array  # likewise
    gradient: Array  # [P, B, M]
    limit: float = math.inf
    observed: Array | None = None  # [P, B, M]: spikes that are given, not computed

    @property
    def rows(self) -> int:
        return self.times.shape[0] * self.times.shape[1]

    @property
    def shortest(self) -> Array:
        return self.fast if self.fast.ndim == 1 else self.fast.min(axis=1, initial=np.inf)

    def inputs(self, view: Callable[[Array], Array]) -> Inputs:
        times = self.times.reshape(self.rows, self.times.shape[2])
        order = np.argsort(times, axis=1, kind="stable").astype(np.int32)
        return Inputs(view(times), view(order), view(np.zeros(self.rows, np.int32)))


def of_layer(times, weight, neuron: Neuron, seed: int = 0, **more) -> Problem:
    """The problem of a layer [..., B, N], [..., N, M] and its neurons, whose time constants may be tensors."""
    theta, tau_mem, tau_syn = (
        torch.as_tensor(value, dtype=torch.float64).numpy()
        for value in (neuron.v_th - neuron.v_leak, neuron.tau_mem, neuron.tau_syn)
    )
    times, weight = (np.array(tensor.numpy(), ndmin=3) for tensor in (times, weight))
    networks, n_neurons = len(times), weight.shape[2]
    theta = theta.reshape((1,) * (3 - theta.ndim) + theta.shape)
    theta = np.broadcast_to(theta, (networks, theta.shape[1], n_neurons)).copy()
    shape = (networks,) if tau_mem.ndim == tau_syn.ndim == 0 else (networks, n_neurons)
    slow, fast = (np.broadcast_to(order(tau_mem, tau_syn), shape).copy() for order in (np.maximum, np.minimum))
    gradient = np.random.default_rng(seed).normal(0, 1, (*times.shape[:2], n_neurons)).astype(times.dtype)
    return Problem(times, weight, theta, slow, fast, gradient, **more)


def by_vectors(problem: Problem) -> Results:
    """What the kernels return for all networks, with vectors of neurons."""
    (networks, n_inputs, n_neurons), rows = problem.weight.shape, problem.rows
    blocks = -(-n_neurons // LANES)

    def padded(array: Array, value: float) -> Array:
        widths = [(0, 0)] * (array.ndim - 1) + [(0, blocks * LANES - n_neurons)]
        return np.pad(array, widths, constant_values=value)

    weight = padded(problem.weight, 0).reshape(networks, n_inputs, blocks, LANES).transpose(0, 2, 1, 3)
    constants = [padded(each, 1) if each.ndim == 2 else each for each in (problem.slow, problem.fast)]
    layer = Layer(np.ascontiguousarray(weight), padded(problem.theta, np.inf), *constants, problem.shortest)
    batch = Batch(layer, problem.inputs(np.asarray))
    width = -(-n_inputs // LANES) * LANES

    def of_rows(array: Array, value: float) -> Array:
        return padded(array.reshape(rows, n_neurons), value)

    spikes = Spikes(*(np.empty((rows, blocks * LANES), weight.dtype) for _ in Spikes._fields))
    if problem.observed is None:
        walk_rows(0, rows, batch, spikes, Scratch(np.empty((TILE, 4, width)), np.empty((TILE, 2, LANES))))
    else:
        spikes.time[:] = of_rows(problem.observed, np.inf)
        observe_rows(0, rows, batch, spikes, np.empty((TILE, 4, width)))

    incoming = Incoming(spikes, of_rows(problem.gradient, 0), np.empty((rows, 4, width), weight.dtype))
    prepare_rows(0, rows, batch, incoming.steps)
    by_weight, by_time = np.empty_like(layer.weight), np.empty_like(batch.inputs.times)
    by_slow, by_fast = np.empty_like(incoming.gradient), np.empty_like(incoming.gradient)
    by_input = np.empty((width, LANES), weight.dtype)
    sums = WeightSums(by_weight, np.empty((1, 1, width, LANES), weight.dtype))
    if blocks == 1:
        backward_weight(0, networks * blocks, batch, incoming, problem.limit, AllSums(*sums, by_time, by_input))
    else:
        backward_weight(0, networks * blocks, batch, incoming, problem.limit, sums)
        backward_time(0, rows, batch, incoming, by_time, by_input)
    backward_constants(0, rows * blocks, batch, incoming, by_slow, by_fast)
    by_weight = by_weight.transpose(0, 2, 1, 3).reshape(networks, n_inputs, blocks * LANES)[..., :n_neurons]
    of_neurons = {**spikes._asdict(), "by_slow": by_slow, "by_fast": by_fast}
    return {
        "finite": batch.inputs.finite,
        "by_weight": by_weight,
        "by_time": by_time,
        **{name: array[:, :n_neurons] for name, array in of_neurons.items()},
    }


def on_cpu(kernel: Any, items: int, *arguments: Any) -> None:
    """Run a kernel for all items, by the types of its arguments: numba's own lookup takes a tuple's for numpy's."""
    kernel.compile(tuple(map(numba.typeof, (0, items, *arguments))))(0, items, *arguments)


def by_one_lane(problem: Problem, run: Callable[..., None] = on_cpu) -> Results:
    """The same, one neuron at a time; run(kernel, items, *arguments) treats all items of a kernel."""
    (networks, n_inputs, n_neurons), rows = problem.weight.shape, problem.rows

    def view(array: Array) -> Array:
        return np.ascontiguousarray(array).view(OneLane)

    def empty(*shape: int, dtype: type = problem.weight.dtype) -> Array:
        return view(np.full(shape, np.nan, dtype))

    layer = Layer(*map(view, (problem.weight, problem.theta, problem.slow, problem.fast, problem.shortest)))
    times = problem.times.reshape(rows, n_inputs)
    ranks, finite = view(np.full(times.shape, -1, np.int32)), view(np.zeros(rows, np.int32))
    batch = Batch(layer, Inputs(view(times), view(np.full(times.shape, -1, np.int32)), finite))
    run(rank_inputs, rows * -(-n_inputs // INPUTS_AT_ONCE), batch.inputs, ranks)
    steps = empty(rows, 4, n_inputs, dtype=np.float64)
    run(prepare_inputs, rows * n_inputs, batch, steps)
    spikes = Spikes(*(empty(rows, n_neurons) for _ in Spikes._fields))
    if problem.observed is None:
        run(walk_blocks, rows * n_neurons, batch, spikes, steps)
    else:
        spikes.time[:] = problem.observed.reshape(rows, n_neurons)
        run(observe_blocks, rows * n_neurons, batch, spikes, steps)

    incoming = Incoming(spikes, view(problem.gradient.reshape(rows, n_neurons)), empty(rows, 4, n_inputs))
    run(prepare_inputs, rows * n_inputs, batch, incoming.steps)
    by_weight, by_time = empty(*problem.weight.shape), view(np.zeros((rows, n_inputs), problem.weight.dtype))
    by_slow, by_fast = empty(rows, n_neurons), empty(rows, n_neurons)
    groups = empty(networks, -(-problem.times.shape[1] // GROUP), n_inputs, n_neurons)
    n_groups = networks * groups.shape[1]
    order = Order(ranks, spikes.causal)
    for first in range(0, n_groups, TOGETHER):
        count = min(TOGETHER, n_groups - first)
        entries = Entries(*(empty(TOGETHER * GROUP, n_inputs, n_neurons) for _ in Entries._fields))
        arguments = first, batch, incoming, problem.limit, entries
        run(backward_entries, count * GROUP * n_neurons, *arguments)
        run(sum_weight_entries, count * n_inputs * n_neurons, first, batch, order, entries, groups)
        items = count * GROUP * n_inputs if n_neurons else 0
        run(sum_time_entries, items, first, batch, order, entries, by_time)
    run(backward_weight_sums, by_weight.size, groups, by_weight)
    run(backward_constants, rows * n_neurons, batch, incoming, by_slow, by_fast)
    of_neurons = {**spikes._asdict(), "by_slow": by_slow, "by_fast": by_fast}
    return {"finite": batch.inputs.finite, "by_weight": by_weight, "by_time": by_time, **of_neurons}


def assert_same_bits(problem: Problem, run: Callable[..., None] = on_cpu) -> Results:
    """Compare all results, and return them."""
    vectors, one_lane = by_vectors(problem), by_one_lane(problem, run)
    assert vectors.keys() == one_lane.keys()
    for name, array in vectors.items():
        assert array.tobytes() == one_lane[name].tobytes(), name
    return vectors
