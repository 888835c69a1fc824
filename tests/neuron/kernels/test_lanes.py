"""The kernels' code for one lane, as GPUs run it, gives the bits of the vector code: neuron by neuron, on the CPU."""

from __future__ import annotations

import math
from dataclasses import replace

import numba
import numpy as np
import pytest
import torch
from layers import LAYERS, RATIOS, draw, own_parameters, reach
from one_lane import assert_same_bits, by_vectors, of_layer

from ttfsrun.neuron import Neuron
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.lanes import LANES, OneLane, lane_count, lanes
from ttfsrun.neuron.kernels.simd import splat, vload


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
    assert (repr(kind) == repr(numba.typeof(np.zeros((2, 3))))) == (count == LANES)  # it names the file of the code
    assert lane_count(kind) == lane_count(kind.copy(ndim=1)) == count
    assert lane_count(numba.typeof((1, (view(np.zeros(2)),)))) == count
    assert lane_count(numba.typeof(1)) == 0

    @compiled
    def of_a_row(array):
        return lanes(array[0]), lanes(vload(array, 0)), lanes(splat(array, 0.0) > vload(array, 0))

    assert of_a_row(view(np.zeros((2, LANES)))) == (count, count, count)
