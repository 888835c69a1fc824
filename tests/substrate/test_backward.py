"""The rules of the backward pass, compared with two layers composed by hand, and with finite differences."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from perturbed import STRONG, configured, doubled, operating, outcome, some_times
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.network import Learned, build
from ttfsrun.neuron import Neuron, first_spike, observed_spike
from ttfsrun.substrate.backward import RULES
from ttfsrun.substrate.emulation import IDEAL, Operation

INF = math.inf
#: Everything but what leaves few spikes to look at.
MANY = {key: value for key, value in STRONG.items() if key.split(".")[0] not in ("dead_neurons", "stuck_synapses")}
BIAS = 0.9
STEP = 1e-7  # of a difference


class TwoLayers:
    """The tiny network in float64, and its derivatives by the weights for one upstream gradient of its spikes."""

    def __init__(self, config: Config, n_samples: int = 20) -> None:
        self.network = doubled(build([config]))
        self.weights = [weight.clone().requires_grad_() for weight in self.network.weights]
        self.times = some_times(n_samples, dtype=torch.float64)
        random = torch.Generator().manual_seed(3)
        self.upstream = [torch.randn(1, n_samples, m, generator=random, dtype=torch.float64) for m in (7, 3)]

    def run(self, operation: Operation, upstream: list[Tensor] | None = None) -> tuple[list[Tensor], list[Tensor]]:
        """Return the spikes of each layer, and the derivatives, of the network in an operation."""
        done = self.network.run(self.times, operation)
        return done.spikes, list(done.gradients(upstream or self.upstream).weights)

    def gradients(self, layers: list[Tensor], upstream: list[Tensor] | None = None) -> list[Tensor]:
        """Return the derivatives of layers made by hand, by torch's autograd."""
        return list(torch.autograd.grad(layers, self.weights, upstream or self.upstream))

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
    results.append(build([config])(some_times(), operating(config, age=1)))
    for one, other in itertools.pairwise(results):
        assert all(map(torch.equal, one, other))
    assert float(results[0][0].isfinite().double().mean()) > 0.4


def test_observed_is_two_layers_of_nominal_neurons_at_the_recorded_spikes() -> None:
    config = configured(MANY, training__backward="observed")
    two = TwoLayers(config)
    recorded, gradients = two.run(operating(config, age=1))
    by_hand = two.by_hand(recorded)
    assert all(map(torch.equal, by_hand, recorded))
    assert differing(recorded, two.by_hand())
    assert all(map(torch.equal, gradients, two.gradients(by_hand)))
    assert all(bool(gradient.any()) for gradient in gradients)
    assert differing(gradients, two.gradients(two.by_hand()))


def test_ideal_is_two_layers_of_the_nominal_network_with_the_error_of_the_recorded_spikes() -> None:
    config = configured(MANY, training__backward="ideal")
    two = TwoLayers(config)
    layers = two.network(two.times, operating(config, age=1))
    assert differing(layers, two.by_hand())
    # The error is a function of what came out; here, half the square of each recorded time.
    error = [layer.where(layer.isfinite(), torch.tensor(0.0, dtype=torch.float64)) for layer in layers]
    _, gradients = two.run(operating(config, age=1), error)
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
        layers, gradients = TwoLayers(config).run(operating(config))
        assert all(bool(layer.isinf().all()) for layer in layers)
        assert any(bool(gradient.any()) for gradient in gradients) == any_left


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


def differences(two: TwoLayers, operation: Operation) -> list[Tensor]:
    """Return the derivatives by the weights as central differences."""

    def weighted(weights: list[Tensor]) -> float:
        layers = two.network.with_learned(Learned(tuple(weights)))(two.times, operation)
        pairs = zip(layers, two.upstream, strict=True)
        return sum(float((layer.where(layer.isfinite(), layer.new_zeros(())) * up).sum()) for layer, up in pairs)

    found = [torch.zeros_like(weight) for weight in two.network.weights]
    for number, gradient in enumerate(found):
        for index in range(gradient.numel()):
            ends = []
            for step in (-STEP, STEP):
                moved = [weight.clone() for weight in two.network.weights]
                moved[number].view(-1)[index] += step
                ends.append(weighted(moved))
            gradient.view(-1)[index] = (ends[1] - ends[0]) / (2 * STEP)
    return found


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.allclose(one, other, rtol=1e-4, atol=1e-4) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("name", SMOOTH)
def test_same_draw_has_the_derivatives_of_the_perturbed_network(name: str) -> None:
    config = configured(SMOOTH[name], training__backward="same_draw", seed__trial=2)
    two, operation = TwoLayers(config, n_samples=3), operating(config, age=1)
    layers, gradients = two.run(operation)
    assert sum(int(layer.isfinite().sum()) for layer in layers) > 10
    assert same(gradients, differences(two, operation))


def test_the_differences_tell_a_wrong_rule() -> None:
    config = configured({"v_th.chip_std": 0.2}, training__backward="ideal")
    two, operation = TwoLayers(config, n_samples=3), operating(config)
    assert not same(two.run(operation)[1], differences(two, operation))


# Straight-through


def test_quantised_weights_have_the_gradient_of_the_network_that_has_those_weights() -> None:
    config = configured({"weight.bits": 3, "weight.clip": 1.4}, training__backward="same_draw")
    two, operation = TwoLayers(config), operating(config)
    for weight in two.network.weights:
        weight.clamp_(-1.4, 1.4)
    layers, found = two.run(operation)
    levels = [operation.weight(number, weight).value for number, weight in enumerate(two.network.weights)]
    assert differing(levels, list(two.network.weights))
    ideal = two.network.with_learned(Learned(tuple(levels))).run(two.times)
    assert all(map(torch.equal, layers, ideal.spikes))
    assert all(map(torch.equal, found, ideal.gradients(two.upstream).weights))
    assert all(bool(gradient.any()) for gradient in found)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_rounding_passes_a_gradient_on_unchanged_whatever_happens_to_the_weight_after_it(rounding: str) -> None:
    config = configured({"weight.bits": 2, "weight.rounding": rounding, "weight.chip_cv": 0.2, "weight.clip": 5.0})
    operation = operating(config)
    weight = torch.randn(1, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gain = 1 + torch.from_numpy(operation.members[0].chip(0).drawn["weight.chip_gain"][0])
    gradient = operation.weight(0, weight).backward(torch.ones_like(weight))
    assert torch.equal(gradient[0], gain)


def test_a_clock_passes_a_gradient_on_unchanged_from_the_recorded_time_to_the_crossing() -> None:
    config = configured({"time_resolution.step": 0.2}, training__backward="same_draw")
    two = TwoLayers(config)
    layers, found = two.run(operating(config))

    def on_grid(times: Tensor) -> Tensor:
        return ((times / 0.2).round() * 0.2).detach()

    # By hand, backwards: each layer at the inputs that arrive there, cut off from what they come from.
    hidden = first_spike(on_grid(two.with_bias(two.times)), two.weights[0], Neuron())
    sent = on_grid(two.with_bias(on_grid(hidden))).requires_grad_()
    output = first_spike(sent, two.weights[1], Neuron())
    assert torch.equal(layers[0], on_grid(hidden))
    assert torch.equal(layers[1], on_grid(output))
    by_output, by_sent = torch.autograd.grad(output, [two.weights[1], sent], two.upstream[1])
    (by_hidden,) = torch.autograd.grad(hidden, two.weights[0], two.upstream[0] + by_sent[..., :-1])
    for one, other in zip(found, [by_hidden, by_output], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert all(bool(gradient.any()) for gradient in found)


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
    assert torch.equal(hidden, operating(only).spikes(0, torch.zeros(1, 20, 7)).value)
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
    upstream = [torch.ones(1, 20, 7, dtype=torch.float64), torch.zeros(1, 20, 3, dtype=torch.float64)]
    (hidden, _), (by_weight, _) = two.run(operating(config), upstream)
    assert bool((hidden < 0.15).any())  # before the first input
    assert bool(by_weight.any())
    before = two.with_bias(two.times)[..., None] < hidden[..., None, :]  # [P, B, N, M]
    assert not by_weight[~before.any(dim=1)].any()


def test_ideal_has_the_derivatives_of_the_nominal_network_also_where_a_neuron_fires_by_itself() -> None:
    config = configured(BY_ITSELF, training__backward="ideal")
    found = outcome([config], some_times(), operating(config))
    assert all(bool((layer == 0).all()) for layer in found[0])
    two = TwoLayers(config)
    assert all(map(torch.equal, two.run(operating(config))[1], two.run(IDEAL)[1]))
