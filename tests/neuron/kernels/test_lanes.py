"""The kernels' code for one lane, as GPUs run it, gives the bits of the vector code: neuron by neuron, on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numba
import numpy as np
import pytest
import torch
from layers import LAYERS, RATIOS, draw, own_parameters, reach
from numpy.typing import NDArray

from ttfsrun.neuron import Neuron
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.events import TILE, Batch, Inputs, Layer, Spikes, prepare_inputs
from ttfsrun.neuron.kernels.gradient import (
    Incoming,
    backward_constants,
    backward_time,
    backward_time_parts,
    backward_time_sums,
    backward_weight,
    prepare_rows,
)
from ttfsrun.neuron.kernels.lanes import LANES, OneLane, lane_count, lanes
from ttfsrun.neuron.kernels.observe import observe_blocks, observe_rows
from ttfsrun.neuron.kernels.simd import splat, vload
from ttfsrun.neuron.kernels.walk import walk_blocks, walk_rows

Array = NDArray[np.floating]
Results = dict[str, Array]


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
        walk_rows(0, rows, batch, spikes, np.empty((TILE, 4, width)))
    else:
        spikes.time[:] = of_rows(problem.observed, np.inf)
        observe_rows(0, rows, batch, spikes, np.empty((TILE, 4, width)))

    incoming = Incoming(spikes, of_rows(problem.gradient, 0), np.empty((rows, 4, width), weight.dtype))
    prepare_rows(0, rows, batch, incoming.steps)
    by_weight, by_time = np.zeros_like(layer.weight), np.zeros_like(batch.inputs.times)
    by_slow, by_fast = np.empty_like(incoming.gradient), np.empty_like(incoming.gradient)
    backward_weight(0, networks * blocks, batch, incoming, problem.limit, by_weight)
    backward_time(0, rows, batch, incoming, by_time, np.empty((n_inputs, LANES), weight.dtype))
    backward_constants(0, rows * blocks, batch, incoming, by_slow, by_fast)
    by_weight = by_weight.transpose(0, 2, 1, 3).reshape(networks, n_inputs, blocks * LANES)[..., :n_neurons]
    of_neurons = {**spikes._asdict(), "by_slow": by_slow, "by_fast": by_fast}
    return {
        "finite": batch.inputs.finite,
        "by_weight": by_weight,
        "by_time": by_time,
        **{name: array[:, :n_neurons] for name, array in of_neurons.items()},
    }


def by_one_lane(problem: Problem) -> Results:
    """The same, one neuron at a time."""
    (networks, n_inputs, n_neurons), rows = problem.weight.shape, problem.rows

    def view(array: Array) -> Array:
        return np.ascontiguousarray(array).view(OneLane)

    def empty(*shape: int, dtype: type = problem.weight.dtype) -> Array:
        return view(np.full(shape, np.nan, dtype))

    layer = Layer(*map(view, (problem.weight, problem.theta, problem.slow, problem.fast, problem.shortest)))
    batch = Batch(layer, problem.inputs(view))
    steps = empty(rows, 4, n_inputs, dtype=np.float64)
    prepare_inputs(0, rows * n_inputs, batch, steps)
    spikes = Spikes(*(empty(rows, n_neurons) for _ in Spikes._fields))
    if problem.observed is None:
        walk_blocks(0, rows * n_neurons, batch, spikes, steps)
    else:
        spikes.time[:] = problem.observed.reshape(rows, n_neurons)
        observe_blocks(0, rows * n_neurons, batch, spikes, steps)

    incoming = Incoming(spikes, view(problem.gradient.reshape(rows, n_neurons)), empty(rows, 4, n_inputs))
    prepare_inputs(0, rows * n_inputs, batch, incoming.steps)
    by_weight, by_time = view(np.zeros_like(problem.weight)), empty(rows, n_inputs)
    totals, by_slow, by_fast = empty(rows, n_inputs, LANES), empty(rows, n_neurons), empty(rows, n_neurons)
    backward_weight(0, networks * n_neurons, batch, incoming, problem.limit, by_weight)
    backward_time_parts(0, rows * LANES, batch, incoming, totals)
    backward_time_sums(0, rows * n_inputs, batch.inputs, np.asarray(totals), by_time)
    backward_constants(0, rows * n_neurons, batch, incoming, by_slow, by_fast)
    of_neurons = {**spikes._asdict(), "by_slow": by_slow, "by_fast": by_fast}
    return {"finite": batch.inputs.finite, "by_weight": by_weight, "by_time": by_time, **of_neurons}


def assert_same_bits(problem: Problem) -> Results:
    """Compare all results, and return them."""
    vectors, one_lane = by_vectors(problem), by_one_lane(problem)
    assert vectors.keys() == one_lane.keys()
    for name, array in vectors.items():
        assert array.tobytes() == one_lane[name].tobytes(), name
    return vectors


@pytest.mark.parametrize("kind", ["shared", "own"])
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_that_are_hard_on_a_solver(name, ratio, kind, dtype):
    times, weight, neuron = draw(name, ratio, dtype)
    if kind == "own":
        neuron = own_parameters(neuron, len(times), weight.shape[1], np.random.default_rng(7))
    found = assert_same_bits(of_layer(times, weight, neuron))
    assert np.isfinite(found["time"]).any()


@pytest.mark.parametrize("ratio", [1.0, 1.1, 0.01])
@pytest.mark.parametrize("name", LAYERS)
def test_spikes_that_were_observed_elsewhere(name, ratio, dtype):
    times, weight, neuron = draw(name, ratio, dtype)
    shape = (1, len(times), weight.shape[1])
    observed = np.random.default_rng(0).uniform(-1, 2 * float(times.abs().max()), shape)
    observed[:, :, ::3] = np.inf
    assert_same_bits(of_layer(times, weight, neuron, observed=observed.astype(weight.numpy().dtype)))


@pytest.mark.parametrize("kind", ["shared", "own"])
@pytest.mark.parametrize(
    "shape",
    [
        (3, 40, 50, 70),
        (2, 3, 16, 16),
        (2, 3, 17, 33),
        (7, 1, 1, 1),
        (2, 0, 3, 5),
        (2, 4, 0, 5),
        (2, 4, 3, 0),
        (0, 4, 3, 5),
    ],
)
def test_populations_of_any_shape(shape, kind, taus, dtype, draw_layer):
    networks, rows, inputs, neurons = shape
    times, weight = draw_layer(networks, rows, max(inputs, 1), neurons, dtype=dtype)
    times, weight = times[..., :inputs], weight[:, :inputs]
    own = torch.linspace(0.7, 1.6, neurons, dtype=torch.float64)
    neuron = Neuron(*taus) if kind == "shared" else Neuron(taus[0] * own, taus[1])
    found = assert_same_bits(of_layer(times, weight, neuron))
    assert np.isfinite(found["time"]).any() == (math.prod(shape) > 0)


def test_networks_with_constants_of_their_own(dtype, draw_layer):
    times, weight = draw_layer(3, 9, 15, 21, dtype=dtype, seed=2)
    problem = of_layer(times, weight, Neuron(1.5, 1.0))
    each = np.array([0.8, 1.0, 1.2])
    problem = replace(problem, slow=1.5 * each, fast=each, theta=each[:, None, None] * problem.theta)
    assert_same_bits(problem)


@pytest.mark.parametrize("limit", [0.0, 0.05, 0.2, 1.0])
def test_gradients_above_a_limit_are_dropped_by_both(limit, dtype, draw_layer):
    times, weight = draw_layer(2, 30, 20, 37, dtype=dtype, seed=5)
    without = by_vectors(of_layer(times, weight, Neuron()))["by_weight"]
    found = assert_same_bits(of_layer(times, weight, Neuron(), limit=limit))["by_weight"]
    assert not np.array_equal(found, without)


@pytest.mark.parametrize("kind", ["shared", "own"])
def test_silent_inputs_inputs_at_the_same_time_and_neurons_that_fire_by_themselves(kind, taus, dtype, draw_layer):
    times, weight = draw_layer(2, 12, 20, 37, dtype=dtype, seed=6)
    times[:, ::3, ::2] = math.inf
    times[:, 1] = math.inf  # no input at all
    times[:, 2] = 0.5
    times[:, 3, 10:] = times[:, 3, :10]
    theta = torch.ones(12, 37, dtype=torch.float64)
    theta[:, ::5], theta[:, 1::5] = 0, -0.5
    own = torch.linspace(0.7, 1.6, 37, dtype=torch.float64)
    neuron = Neuron(taus[0], taus[1], theta) if kind == "shared" else Neuron(taus[0] * own, taus[1], theta)
    found = assert_same_bits(of_layer(times, weight, neuron))
    assert not found["time"][:, ::5].any()
    assert np.isinf(found["time"][1, 2::5]).all()
    assert found["finite"][:3].tolist() == [10, 0, 20]


@pytest.mark.parametrize("tau_mem", [2.0, 0.5])
def test_peaks_that_touch_the_threshold_and_barely_exceed_it(tau_mem, dtype):
    epsilon = torch.finfo(dtype).eps
    weight = 2 / min(tau_mem, 1.0) * (1 + epsilon * torch.arange(-20.0, 21.0, dtype=dtype))[None]
    found = assert_same_bits(of_layer(torch.zeros(1, 1, dtype=dtype), weight, Neuron(tau_mem)))
    assert 10 < np.isfinite(found["time"]).sum() < 31


def test_times_from_the_smallest_to_the_largest(dtype, draw_layer):
    times, weight = draw_layer(1, 8, 20, 21, dtype=dtype, seed=7)
    extreme = [torch.finfo(dtype).max, torch.finfo(dtype).min, torch.finfo(dtype).tiny, -0.0, 0.0, 1e30, -1e30]
    times[0, :, : len(extreme)] = torch.tensor(extreme, dtype=dtype)
    for ratio in (1.0, 1.1, 100.0):
        assert_same_bits(of_layer(times, weight * reach(ratio) / reach(1.0), Neuron(ratio)))


@pytest.mark.parametrize(("view", "count"), [(np.asarray, LANES), (lambda array: array.view(OneLane), 1)])
def test_the_lanes_follow_from_the_type_of_an_array_and_of_what_is_made_of_it(view, count):
    kind = numba.typeof(view(np.zeros((2, 3))))
    assert lane_count(kind) == lane_count(kind.copy(ndim=1)) == count
    assert lane_count(numba.typeof((1, (view(np.zeros(2)),)))) == count
    assert lane_count(numba.typeof(1)) == 0

    @compiled
    def of_a_row(array):
        return lanes(array[0]), lanes(vload(array, 0)), lanes(splat(array, 0.0) > vload(array, 0))

    assert of_a_row(view(np.zeros((2, LANES)))) == (count, count, count)
