"""The way back from a perturbed quantity to its nominal values, against torch's autograd through the same operators."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from perturbed import STRONG, configured, operating
from torch import Tensor

from ttfsrun.neuron.parameters import sum_in_pairs
from ttfsrun.substrate.emulation import IDEAL
from ttfsrun.substrate.perturbed import Perturbed

#: What has a derivative, by the quantity: no rounding, no clock.
OF_WEIGHTS: dict[str, dict[str, object]] = {
    "clip": {"weight.clip": 1.0},
    "gains": {"weight.chip_cv": 0.2},
    "drift": {"drift.std": 0.2},
    "offsets in units of the largest weight": {"weight.chip_std": 0.2},
    "offsets in units of the clip": {"weight.chip_std": 0.2, "weight.clip": 1.0},
    "noise in units of the largest weight": {"weight.write_std": 0.2, "weight.read_std": 0.1, "weight.chip_cv": 0.2},
    "stuck at the largest weight": {"stuck_synapses.p_zero": 0.2, "stuck_synapses.p_max": 0.3, "weight.read_std": 0.1},
    "stuck at the clip": {"stuck_synapses.p_zero": 0.2, "stuck_synapses.p_max": 0.3, "weight.clip": 1.0},
    "all of it": {
        key: STRONG[key]
        for key in STRONG
        if key.split(".")[0] in ("weight", "stuck_synapses", "drift") and key not in ("weight.bits", "weight.lsb")
    },
}
OF_SPIKES: dict[str, dict[str, object]] = {
    "jitter": {"spike_time.jitter": 0.2},
    "loss": {"spike_time.loss": 0.3},
    "dead": {"dead_neurons.p": 0.4},
    "all of it": {"spike_time.jitter": 0.2, "spike_time.loss": 0.3, "dead_neurons.p": 0.4},
}


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def check(values: Tensor, found: Perturbed) -> Tensor:
    """Compare the derivatives with those of autograd, and return them."""
    upstream = some(*values.shape, seed=1)
    (expected,) = torch.autograd.grad(found.value, values, upstream)
    gradient = found.backward(upstream)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-14)
    return gradient


@pytest.mark.parametrize("name", OF_WEIGHTS)
def test_the_derivative_by_a_weight_is_that_of_what_was_done_to_it(name: str) -> None:
    config, weight = configured(OF_WEIGHTS[name]), some(1, 5, 7).requires_grad_()
    gradient = check(weight, operating(config, age=1).weight(0, weight))
    assert not torch.equal(gradient, some(1, 5, 7, seed=1))


@pytest.mark.parametrize("name", OF_SPIKES)
def test_the_derivative_by_a_spike_is_one_unless_it_is_lost(name: str) -> None:
    operation, times = operating(configured(OF_SPIKES[name])), some(1, 9, 7).requires_grad_()
    gradient = check(times, operation.spikes(0, times))
    lost = operation.spikes(0, times).value == math.inf
    assert torch.equal(gradient, some(1, 9, 7, seed=1).masked_fill(lost, 0))


def test_weights_that_share_the_largest_magnitude_share_its_derivative() -> None:
    operation = operating(configured({"weight.chip_std": 0.2}))
    weight = some(1, 5, 7).clamp(-1, 1).requires_grad_()
    assert int((weight.abs() == 1).sum()) > 5
    check(weight, operation.weight(0, weight))
    nothing = torch.zeros(1, 5, 7, dtype=torch.float64, requires_grad=True)
    check(nothing, operation.weight(0, nothing))


def test_the_derivative_by_the_largest_weight_is_that_of_each_network() -> None:
    settings: list[dict[str, object]] = [{"weight.chip_std": 0.2}, {"weight.chip_std": 0.1}, {"weight.read_std": 0.1}]
    configs = [configured(each) for each in settings]
    weight = some(3, 5, 7).requires_grad_()
    check(weight, operating(*configs).weight(0, weight))


@pytest.mark.parametrize("settings", [{}, {"time_resolution.step": 0.1}, {"spike_time.jitter": 0.1}])
def test_nothing_is_computed_on_the_way_back_where_all_derivatives_are_one(settings: dict[str, float]) -> None:
    gradient = some(1, 9, 7)
    for operation in (IDEAL, operating(configured(settings))):
        assert operation.spikes(0, some(1, 9, 7, seed=2)).backward(gradient) is gradient


def test_the_gradient_that_comes_in_keeps_its_values() -> None:
    configs = [configured({"spike_time.loss": 0.3}), configured()]
    gradient = some(2, 9, 7)
    found = operating(*configs).spikes(0, some(2, 9, 7, seed=2)).backward(gradient)
    assert torch.equal(gradient, some(2, 9, 7))
    assert torch.equal(found[1], gradient[1])
    assert not torch.equal(found[0], gradient[0])


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 35])
def test_a_sum_in_pairs_adds_the_second_half_to_the_first_until_one_value_is_left(n: int) -> None:
    def by_hand(values: np.ndarray) -> np.float32:
        if len(values) == 1:
            return values[0]
        middle = (len(values) + 1) // 2
        return by_hand(values[:middle] + np.append(values[middle:], np.zeros(2 * middle - len(values), np.float32)))

    values = some(3, n, 1).float()
    found = sum_in_pairs(values, 1)
    assert found.shape == (3, 1, 1)
    for row, total in zip(values, found, strict=True):
        assert float(total) == by_hand(row[:, 0].numpy())
        assert torch.equal(sum_in_pairs(row[None], 1)[0], total)
        assert torch.equal(sum_in_pairs(row.T, 1), total)
