"""The rules of the backward pass, compared with two layers composed by hand, and with finite differences."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from perturbed import STRONG, configured, doubled, operating, outcome, some_times
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.network import build
from ttfsrun.neuron import Neuron, first_spike, observed_spike
from ttfsrun.substrate.backward import RULES, carried
from ttfsrun.substrate.emulation import IDEAL, Operation

INF = math.inf
#: Everything but what leaves few spikes to look at.
MANY = {key: value for key, value in STRONG.items() if key.split(".")[0] not in ("dead_neurons", "stuck_synapses")}
BIAS = 0.9


class TwoLayers:
    """The tiny network in float64, its derivatives by weights and inputs for one upstream gradient of its spikes."""

    def __init__(self, config: Config, n_samples: int = 20) -> None:
        network = doubled(build([config]))
        self.weights = [weight.requires_grad_() for weight in network.weights]
        self.network = network.with_weights(self.weights)
        self.times = some_times(n_samples, dtype=torch.float64).requires_grad_()
        random = torch.Generator().manual_seed(3)
        self.upstream = [torch.randn(1, n_samples, m, generator=random, dtype=torch.float64) for m in (7, 3)]

    def gradients(self, layers: list[Tensor], upstream: list[Tensor] | None = None) -> list[Tensor]:
        return list(torch.autograd.grad(layers, [*self.weights, self.times], upstream or self.upstream))

    def with_bias(self, times: Tensor) -> Tensor:
        return torch.cat((times, times.new_full((*times.shape[:-1], 1), BIAS)), dim=-1)

    def by_hand(self, recorded: list[Tensor] | None = None) -> list[Tensor]:
        """Return the spikes of two layers of nominal neurons, or their derivatives at recorded spikes if given."""
        seen, layers = self.times, []
        for number, weight in enumerate(self.weights):
            inputs = self.with_bias(seen)
            seen = (
                first_spike(inputs, weight, Neuron())
                if recorded is None
                else observed_spike(inputs, weight, Neuron(), recorded[number])
            )
            layers.append(seen)
        return layers


def differing(first: list[Tensor], second: list[Tensor]) -> bool:
    return not any(map(torch.equal, first, second))


# observed, ideal


@pytest.mark.parametrize("settings", [{}, MANY, {"v_th.chip_std": 0.2}, {"weight.bits": 2, "spike_time.jitter": 0.2}])
def test_the_spikes_that_come_out_are_the_same_for_all_rules(settings: dict[str, object]) -> None:
    results = []
    for rule in RULES:
        config = configured(settings, training__backward=rule)
        results.append(outcome([config], some_times(), operating(config, age=1))[0])
    with torch.no_grad():
        results.append(build([config])(some_times(), operation=operating(config, age=1)))
    for one, other in itertools.pairwise(results):
        assert all(map(torch.equal, one, other))
    assert float(results[0][0].isfinite().double().mean()) > 0.4


def test_observed_is_two_layers_of_nominal_neurons_at_the_recorded_spikes() -> None:
    config = configured(MANY, training__backward="observed")
    two = TwoLayers(config)
    layers = two.network(two.times, operation=operating(config, age=1))
    recorded = [layer.detach() for layer in layers]
    by_hand = two.by_hand(recorded)
    assert all(map(torch.equal, by_hand, recorded))
    assert differing(recorded, [layer.detach() for layer in two.by_hand()])
    gradients = two.gradients(layers)
    assert all(map(torch.equal, gradients, two.gradients(by_hand)))
    assert all(bool(gradient.any()) for gradient in gradients)
    assert differing(gradients, two.gradients(two.by_hand()))


def test_ideal_is_two_layers_of_the_nominal_network_with_the_error_of_the_recorded_spikes() -> None:
    config = configured(MANY, training__backward="ideal")
    two = TwoLayers(config)
    layers = two.network(two.times, operation=operating(config, age=1))
    assert differing([layer.detach() for layer in layers], [layer.detach() for layer in two.by_hand()])
    # The error is a function of what came out; here, half the square of each recorded time.
    error = [layer.detach().where(layer.isfinite(), torch.tensor(0.0, dtype=torch.float64)) for layer in layers]
    gradients = two.gradients(layers, error)
    assert all(map(torch.equal, gradients, two.gradients(two.by_hand(), error)))
    assert all(bool(gradient.any()) for gradient in gradients)


@pytest.mark.parametrize("rule", ["observed", "ideal"])
def test_nothing_of_the_substrate_but_its_spikes_reaches_the_derivatives(rule: str) -> None:
    """Neither rule can distinguish two chips that happen to emit the same spikes."""
    config = configured({"weight.clip": 1e6, "time_resolution.step": 100.0}, training__backward=rule)
    other = configured({"v_th.chip_std": 0.001, "time_resolution.step": 100.0}, training__backward=rule)
    results = [outcome([each], some_times(), operating(each)) for each in (config, other)]
    assert all(map(torch.equal, results[0][0], results[1][0]))  # all of them at time 0
    assert float(results[0][0][0].isfinite().double().mean()) > 0.4
    assert all(map(torch.equal, results[0][1], results[1][1]))


def test_a_silent_recorded_neuron_has_no_derivative_when_observed_and_its_nominal_one_when_ideal() -> None:
    for rule, any_left in (("observed", False), ("ideal", True)):
        config = configured({"dead_neurons.p": 1.0}, training__backward=rule)
        two = TwoLayers(config)
        layers = two.network(two.times, operation=operating(config))
        assert all(bool(layer.isinf().all()) for layer in layers)
        assert any(bool(gradient.any()) for gradient in two.gradients(layers)) == any_left


# same_draw

SMOOTH: dict[str, dict[str, object]] = {
    "nothing": {},
    "input jitter": {"input_time.jitter": 0.1},
    "spike jitter": {"spike_time.jitter": 0.1},
    "spike loss": {"spike_time.loss": 0.2},
    "thresholds": {"v_th.chip_mean": 0.05, "v_th.chip_std": 0.1, "v_th.batch_std": 0.1, "v_th.sample_std": 0.1},
    "leaks": {"v_leak.chip_std": 0.1, "v_leak.sample_std": 0.1},
    "time constants": {"tau_mem.chip_cv": 0.2, "tau_syn.chip_cv": 0.2, "tau_syn.correlation": 0.5},
    "ratio": {"tau_ratio_bias": 0.3},
    "gains": {"weight.chip_cv": 0.2},
    "offsets in units of the largest weight": {"weight.chip_std": 0.1},
    "offsets in units of the clip": {"weight.chip_std": 0.1, "weight.clip": 8.0},
    "noise in units of the largest weight": {"weight.write_std": 0.1, "weight.read_std": 0.1},
    "noise in units of the clip": {"weight.write_std": 0.03, "weight.read_std": 0.03, "weight.clip": 8.0},
    "clipped weights": {"weight.clip": 1.7},
    "stuck synapses": {"stuck_synapses.p_zero": 0.1, "stuck_synapses.p_max": 0.1},
    "drift": {"drift.std": 0.2},
    "all of it": {
        key: STRONG[key]
        for key in STRONG
        if key not in ("weight.bits", "weight.lsb", "weight.clip", "time_resolution.step", "dead_neurons.p")
    },
}


def spikes_of(two: TwoLayers, operation: Operation, silent: list[Tensor], given: tuple[Tensor, ...]) -> Tensor:
    *weights, times = given
    layers = two.network.with_weights(weights)(times, operation=operation)
    zero = torch.zeros((), dtype=torch.float64)
    return torch.cat([torch.where(mask, zero, layer) for mask, layer in zip(silent, layers, strict=True)], dim=-1)


@pytest.mark.parametrize("name", SMOOTH)
def test_same_draw_has_the_derivatives_of_the_perturbed_network(name: str) -> None:
    config = configured(SMOOTH[name], training__backward="same_draw")
    two, operation = TwoLayers(config, n_samples=3), operating(config, age=1)
    layers = [layer.detach() for layer in two.network(two.times, operation=operation)]
    silent = [layer.isinf() for layer in layers]
    assert sum(int((~mask).sum()) for mask in silent) > 10
    given = (*two.weights, two.times)
    assert torch.autograd.gradcheck(
        lambda *given: spikes_of(two, operation, silent, given), given, eps=1e-7, atol=1e-4, rtol=1e-4
    )


def test_the_gradient_check_tells_a_wrong_rule() -> None:
    config = configured({"v_th.chip_std": 0.2}, training__backward="ideal")
    two, operation = TwoLayers(config, n_samples=3), operating(config)
    silent = [layer.detach().isinf() for layer in two.network(two.times, operation=operation)]
    given = (*two.weights, two.times)
    assert not torch.autograd.gradcheck(
        lambda *given: spikes_of(two, operation, silent, given), given, eps=1e-7, atol=1e-4, rtol=1e-4,
        raise_exception=False,
    )  # fmt: skip


# Straight-through


def test_quantised_weights_have_the_gradient_of_the_network_that_has_those_weights() -> None:
    config = configured({"weight.bits": 3, "weight.clip": 1.4}, training__backward="same_draw")
    two = TwoLayers(config)
    with torch.no_grad():
        for weight in two.weights:
            weight.clamp_(-1.4, 1.4)
    operation = operating(config)
    layers = two.network(two.times, operation=operation)
    levels = [operation.weight(n, weight.detach()).requires_grad_() for n, weight in enumerate(two.weights)]
    assert differing(levels, two.weights)
    ideal = two.network.with_weights(levels)(two.times)
    assert all(map(torch.equal, layers, ideal))
    found = two.gradients(layers)
    assert all(map(torch.equal, found, torch.autograd.grad(ideal, [*levels, two.times], two.upstream)))
    assert all(bool(gradient.any()) for gradient in found)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_rounding_passes_a_gradient_on_unchanged_whatever_happens_to_the_weight_after_it(rounding: str) -> None:
    config = configured({"weight.bits": 2, "weight.rounding": rounding, "weight.chip_cv": 0.2, "weight.clip": 5.0})
    operation = operating(config)
    weight = torch.randn(1, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    gain = 1 + torch.from_numpy(operation.members[0].chip(0).drawn["weight.chip_gain"][0])
    (gradient,) = torch.autograd.grad(operation.weight(0, weight).sum(), weight)
    assert torch.equal(gradient[0], gain)


def test_a_clock_passes_a_gradient_on_unchanged_from_the_recorded_time_to_the_crossing() -> None:
    config = configured({"time_resolution.step": 0.2}, training__backward="same_draw")
    two = TwoLayers(config)
    layers = two.network(two.times, operation=operating(config))

    def on_grid(times: Tensor) -> Tensor:
        return ((times / 0.2).round() * 0.2).detach()

    # By hand, backwards: each layer at the inputs that arrive there, cut off from what they come from.
    arriving = on_grid(two.with_bias(two.times)).requires_grad_()
    hidden = first_spike(arriving, two.weights[0], Neuron())
    sent = on_grid(two.with_bias(on_grid(hidden))).requires_grad_()
    output = first_spike(sent, two.weights[1], Neuron())
    assert torch.equal(layers[0], on_grid(hidden))
    assert torch.equal(layers[1], on_grid(output))
    by_output, by_sent = torch.autograd.grad(output, [two.weights[1], sent], two.upstream[1])
    by_hidden, by_arriving = torch.autograd.grad(
        hidden, [two.weights[0], arriving], two.upstream[0] + by_sent[..., :-1]
    )
    expected = [by_hidden, by_output, by_arriving[..., :-1]]
    found = two.gradients(layers)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert all(bool(gradient.any()) for gradient in found)


def test_a_carried_value_keeps_its_bits_and_leaves_the_gradient_to_its_carrier() -> None:
    random = np.random.default_rng(0)
    value, carrier = (torch.tensor(random.normal(size=(3, 4)), requires_grad=True) for _ in range(2))
    result = carried(value, carrier)
    assert torch.equal(result, value)
    upstream = torch.tensor(random.normal(size=(3, 4)))
    by_value, by_carrier = torch.autograd.grad(result, [value, carrier], upstream, allow_unused=True)
    assert by_value is None
    assert torch.equal(by_carrier, upstream)


# Neurons that a draw makes fire by themselves

BY_ITSELF = {"v_th.chip_mean": -1.5}


@pytest.mark.parametrize("settings", [BY_ITSELF, {"v_th.sample_std": 0.8}, {"v_leak.chip_std": 0.8}])
def test_a_neuron_that_a_draw_puts_above_its_threshold_fires_at_time_0(settings: dict[str, float]) -> None:
    config = configured(settings)
    neuron = operating(config).neuron(0, Neuron(), (20, 7))
    above = (torch.as_tensor(neuron.v_leak) >= torch.as_tensor(neuron.v_th)).expand(1, 20, 7)
    assert bool(above.any())
    hidden = outcome([config], some_times(), operating(config))[0][0]
    assert bool((hidden[above] == 0).all())
    assert bool((hidden[~above] > 0).all())


def test_such_a_spike_is_moved_by_jitter_as_any_other() -> None:
    config, only = configured({**BY_ITSELF, "spike_time.jitter": 0.2}), configured({"spike_time.jitter": 0.2})
    hidden = outcome([config], some_times(), operating(config))[0][0]
    assert torch.equal(hidden, operating(only).spikes(0, torch.zeros(1, 20, 7)))
    assert bool((hidden < 0).any())


@pytest.mark.parametrize(
    ("rule", "others"),
    [
        ("observed", {}),
        ("same_draw", {}),
        ("same_draw", {"spike_time.jitter": 0.5}),
        ("same_draw", {"input_time.jitter": 1.0}),
    ],
)
def test_no_weight_has_a_derivative_of_a_spike_that_no_input_causes(rule: str, others: dict[str, float]) -> None:
    config = configured({**BY_ITSELF, **others}, training__backward=rule)
    spikes, gradients = outcome([config], some_times(), operating(config))
    assert all(bool(layer.isfinite().all()) for layer in spikes)
    assert not any(bool(gradient.any()) for gradient in gradients)


def test_observed_takes_the_inputs_before_a_recorded_time_for_its_causes_as_nobody_told_it_otherwise() -> None:
    config = configured({**BY_ITSELF, "spike_time.jitter": 0.5}, training__backward="observed")
    two = TwoLayers(config)
    layers = two.network(two.times, operation=operating(config))
    hidden = layers[0].detach()
    assert bool((hidden < 0.15).any())  # before the first input
    (by_weight,) = torch.autograd.grad(layers[0], two.weights[0], torch.ones_like(hidden))
    assert bool(by_weight.any())
    before = two.with_bias(two.times)[..., None] < hidden[..., None, :]  # [P, B, N, M]
    assert not by_weight[~before.any(dim=1)].any()


def test_ideal_has_the_derivatives_of_the_nominal_network_also_where_a_neuron_fires_by_itself() -> None:
    config = configured(BY_ITSELF, training__backward="ideal")
    found = outcome([config], some_times(), operating(config))
    assert all(bool((layer == 0).all()) for layer in found[0])
    two = TwoLayers(config)
    assert all(
        map(
            torch.equal,
            two.gradients(two.network(two.times, operation=operating(config))),
            two.gradients(two.network(two.times, operation=IDEAL)),
        )
    )
