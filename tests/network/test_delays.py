"""Delays of a network: events arrive later, and the derivatives by theta are those of torch's autograd."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.network import Network, build, emulate, initial_thetas, initial_weights
from ttfsrun.network.delays.clipped import CLIPPED
from ttfsrun.network.delays.function import DelayFunction
from ttfsrun.network.delays.input_lines import InputLines
from ttfsrun.network.delays.kinds import limited_sum
from ttfsrun.network.delays.model import DelayModel
from ttfsrun.network.delays.sigmoid import SIGMOID
from ttfsrun.neuron import Neuron, first_spike, observed_spike

Tiny = Callable[..., Config]
KINDS = ("axonal", "dendritic", "synaptic", "[axonal,dendritic]", "[synaptic,none]")
NEURON = "network.neuron={tau_mem:1.5,tau_syn:0.5,v_th:0.6,v_leak:0.05}"
FUNCTION = "network.delay_function={name:sigmoid,shift:0.1,scale:0.8}"


def in_doubles(*configs: Config) -> Network:
    network = build(configs)
    return network.with_learned(network.learned.map(Tensor.double))


def some_times(n_samples: int = 12, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Input times [1, B, 4], one of them silent."""
    random = torch.Generator().manual_seed(seed)
    times = 0.15 + 1.85 * torch.rand(1, n_samples, 4, generator=random, dtype=torch.float64)
    times[0, 0, 0] = math.inf
    return times.to(dtype)


class ByHand:
    """The layers of one network as a user would write them with `first_spike`, for torch's autograd."""

    def __init__(self, config: Config) -> None:
        self.settings, network = config.network, in_doubles(config)
        self.weights = [weight[0].requires_grad_() for weight in network.weights]
        self.thetas = {number: theta[0].requires_grad_() for number, theta in network.thetas.items()}
        neuron = self.settings.neuron
        self.neuron = Neuron(neuron.tau_mem, neuron.tau_syn, neuron.v_th, neuron.v_leak)

    def spikes(self, times: Tensor, recorded: list[Tensor] | None = None) -> list[Tensor]:
        """Spikes of each layer, [B, M], or those that were recorded, with their derivatives."""
        layers, sent = [], times
        for number, weight in enumerate(self.weights):
            repeats = self.settings.input_repeats if number == 0 else 1
            delays = self._delays(number, sent.shape[-1], repeats)
            bias = sent.new_full((len(sent), 1), self.settings.bias_time)
            lines = torch.cat((sent.repeat(1, repeats), bias.repeat(1, repeats)), dim=1)
            if recorded is None:
                sent = first_spike(lines, weight, self.neuron, delays)
            else:
                sent = observed_spike(lines, weight, self.neuron, recorded[number], delays)
            layers.append(sent)
        return layers

    def _delays(self, number: int, inputs: int, repeats: int) -> Tensor | None:
        if number not in self.thetas:
            return None
        function, theta = self.settings.delay_function, self.thetas[number]
        delays = function.shift + function.scale * torch.sigmoid(theta)
        if len(delays) == 1:
            return delays
        return torch.cat((delays[:inputs].repeat(repeats, 1), delays[inputs:].repeat(repeats, 1)))

    def gradients(self, layers: list[Tensor], upstream: list[Tensor]) -> list[Tensor]:
        learned = [*self.weights, *self.thetas.values()]
        finite = [layer.where(layer.isfinite(), layer.new_zeros(())) for layer in layers]
        return list(torch.autograd.grad(finite, learned, [each[0] for each in upstream]))


def upstream_of(spikes: list[Tensor]) -> list[Tensor]:
    random = torch.Generator().manual_seed(3)
    return [torch.randn(layer.shape, generator=random, dtype=layer.dtype) for layer in spikes]


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_spikes_and_derivatives_are_those_of_first_spike_and_autograd(kind: str, repeats: int, tiny: Tiny) -> None:
    config = tiny(f"network.delays={kind}", f"network.input_repeats={repeats}", "network.hidden=[7]", NEURON, FUNCTION)
    times, reference = some_times(), ByHand(config)
    done, layers = in_doubles(config).run(times), reference.spikes(times[0])
    for ours, theirs in zip(done.spikes, layers, strict=True):
        torch.testing.assert_close(ours[0], theirs.detach(), rtol=1e-14, atol=1e-14)
    upstream = upstream_of(done.spikes)
    expected = reference.gradients(layers, upstream)
    for ours, theirs in zip(done.gradients(upstream).tensors, expected, strict=True):
        torch.testing.assert_close(ours[0], theirs, rtol=1e-9, atol=1e-11)
        assert bool(ours.any())


@pytest.mark.parametrize("kind", KINDS[:3])
def test_recorded_spikes_have_the_derivatives_of_observed_spike(kind: str, tiny: Tiny) -> None:
    config = tiny(
        f"network.delays={kind}",
        "network.hidden=[7]",
        NEURON,
        FUNCTION,
        "substrate.v_th.chip_std=0.1",
        "training.backward=observed",
    )
    times, reference = some_times(), ByHand(config)
    done = in_doubles(config).run(times, emulate([config], [True]).during("training"))
    ideal = in_doubles(config)(times)
    assert not all(map(torch.equal, done.spikes, ideal))
    upstream = upstream_of(done.spikes)
    expected = reference.gradients(reference.spikes(times[0], [layer[0] for layer in done.spikes]), upstream)
    for ours, theirs in zip(done.gradients(upstream).tensors, expected, strict=True):
        torch.testing.assert_close(ours[0], theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("chip", [(), ("substrate=brainscales2",)], ids=["ideal", "on a chip"])
@pytest.mark.parametrize("kind", KINDS)
def test_delays_of_zero_leave_the_bits_of_the_plain_network(kind: str, chip: tuple[str, ...], tiny: Tiny) -> None:
    zero = "network.delay_function={name:sigmoid,shift:0,scale:0}"
    configs = [tiny(f"network.delays={each}", "network.input_repeats=2", zero, *chip) for each in (kind, "none")]
    times = some_times(dtype=torch.float32)
    delayed, plain = (
        build([config]).run(times, emulate([config], [bool(chip)]).during("training")) for config in configs
    )
    assert all(map(torch.equal, delayed.spikes, plain.spikes))
    upstream = upstream_of(plain.spikes)
    ours, theirs = delayed.gradients(upstream), plain.gradients(upstream)
    assert all(map(torch.equal, ours.weights, theirs.weights))
    assert not any(bool(theta.any()) for theta in ours.thetas.values())  # no theta changes a delay
    assert theirs.thetas == {}


def test_an_event_arrives_after_the_delay_of_its_source_on_all_its_lines(tiny: Tiny) -> None:
    network = build([tiny("network.delays=[axonal,none]", "network.input_repeats=2", FUNCTION)])
    times = some_times(dtype=torch.float32)
    spikes = network(times)
    first, second = network.arrivals(times, spikes)
    delays = 0.1 + 0.8 * torch.sigmoid(network.thetas[0][0, :, 0].double())
    sent = torch.cat((times[0], times[0], torch.full((12, 2), 0.9)), dim=1)
    expected = sent + torch.cat((delays[:4], delays[:4], delays[4:], delays[4:]))
    torch.testing.assert_close(first[0].double(), expected, rtol=1e-6, atol=0)
    assert torch.equal(second[..., :-1], spikes[0])


def test_a_dendritic_delay_shifts_the_spikes_and_what_they_cause_but_no_silence(tiny: Tiny) -> None:
    settings = ("network.neuron.v_th=1.5", "network.hidden=[20]")
    constant = "network.delay_function={name:sigmoid,shift:0.25,scale:0}"
    plain = build([tiny(*settings)])(some_times(dtype=torch.float32))[0]
    late = build([tiny(*settings, constant, "network.delays=[dendritic,none]")])(some_times(dtype=torch.float32))[0]
    assert torch.equal(late, plain + 0.25)
    assert bool((plain == math.inf).any())


def test_a_spike_whose_delay_ends_after_the_observation_does_not_happen_and_teaches_nothing(tiny: Tiny) -> None:
    settings = ("network.delays=[dendritic,none]", FUNCTION)
    endless = build([tiny(*settings)])(some_times(dtype=torch.float32))[0]
    t_max = float(endless.median())
    done = build([tiny(*settings, f"network.t_max={t_max}")]).run(some_times(dtype=torch.float32))
    in_time = endless <= t_max
    assert torch.equal(done.spikes[0], endless.masked_fill(~in_time, math.inf))
    (by_theta,) = done.gradients([torch.ones(1, 12, 20), torch.zeros(1, 12, 3)]).thetas.values()
    slopes = build([tiny(*settings)]).delays_of(0).slopes  # type: ignore[attr-defined]
    torch.testing.assert_close(by_theta, in_time.sum(1, keepdim=True) * slopes)


def test_what_one_sample_adds_by_a_delay_is_dropped_above_the_limit() -> None:
    values = torch.tensor([[[1.0, -3.0], [-0.5, 2.0], [2.0, 0.25]]])
    assert limited_sum(values, math.inf).tolist() == [[[2.5, -0.75]]]
    assert limited_sum(values, 1.0).tolist() == [[[0.5, 0.25]]]
    assert limited_sum(values, 2.0).tolist() == [[[2.5, 2.25]]]


@pytest.mark.parametrize("lines", [InputLines(3, True, 2), InputLines(3, False, 4), InputLines(2, True, 1)], ids=str)
def test_what_is_gathered_from_lines_is_the_adjoint_of_what_is_spread_to_them(lines: InputLines) -> None:
    random = torch.Generator().manual_seed(0)
    by_source = torch.randint(9, (2, lines.sources, 5), generator=random).double()
    by_line = torch.randint(9, (2, lines.sources * lines.repeats, 5), generator=random).double()
    spread = lines.spread(by_source)
    assert spread.shape == by_line.shape
    assert float((spread * by_line).sum()) == float((by_source * lines.gather(by_line)).sum())


def axonal(function: DelayFunction, *settings: float) -> DelayModel:
    return DelayModel(("axonal",), function, torch.tensor([settings], dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sigmoid_delay_stays_between_its_bounds_and_has_its_derivative(dtype: torch.dtype) -> None:
    theta = torch.tensor([-1000, -30, -2, -0.5, 0, 0.7, 3, 40, 1000], dtype=dtype)[None, :, None]
    delays = axonal(SIGMOID, 2.0, 1.5).of_layer(0, theta, InputLines(9, False))
    exact = theta.double()
    share = torch.sigmoid(exact)
    torch.testing.assert_close(delays.values.double(), 2 + 1.5 * share, rtol=torch.finfo(dtype).eps, atol=0)
    torch.testing.assert_close(delays.slopes.double(), 1.5 * share * (1 - share), rtol=1e-6, atol=1e-15)
    assert float(delays.values.min()) == 2
    assert float(delays.values.max()) == 3.5


def test_a_clipped_delay_is_theta_within_its_bounds() -> None:
    theta = torch.tensor([-1.0, 0.5, 2.0, 7.0])[None, :, None]
    bounded = axonal(CLIPPED, 0.5, 3.0)
    assert bounded.of_layer(0, theta, InputLines(4, False)).values.flatten().tolist() == [0.5, 0.5, 2, 3]
    bounded.constrain(theta)
    assert theta.flatten().tolist() == [0.5, 0.5, 2, 3]
    assert bounded.of_layer(0, theta, InputLines(4, False)).slopes.flatten().tolist() == [1] * 4
    axonal(CLIPPED, 0.0, math.inf).constrain(theta)
    assert theta.flatten().tolist() == [0.5, 0.5, 2, 3]


def test_initial_delays_come_from_the_seed_of_the_weights_and_move_none_of_them(tiny: Tiny) -> None:
    plain = tiny()
    delayed = tiny("network.delays=synaptic", "network.init.delay={mean:1,std:0.25}", "network.hidden=[2000]")
    np.testing.assert_array_equal(initial_weights(tiny("network.delays=synaptic"), 0), initial_weights(plain, 0))
    theta = initial_thetas(delayed, 0)
    assert theta.shape == (5, 2000)
    assert theta.mean() == pytest.approx(1, abs=5 * 0.25 / 100)
    assert theta.std() == pytest.approx(0.25, rel=0.05)
    wide = ("network.delays=synaptic", "network.hidden=[2000]")
    usual, same, other = (
        initial_thetas(tiny(*wide, seed), 0) for seed in ("seed.init=0", "seed.data=3", "seed.init=1")
    )
    np.testing.assert_array_equal(usual, same)
    np.testing.assert_allclose(1 + 0.5 * usual, theta, rtol=0, atol=1e-6)
    assert (usual == other).mean() < 1e-3


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        ("axonal", {0: (5, 1), 1: (21, 1)}),
        ("dendritic", {0: (1, 20), 1: (1, 3)}),
        ("[none,synaptic]", {1: (21, 3)}),
        ("none", {}),
    ],
)
def test_sources_and_bias_neurons_or_synapses_have_delays(
    kind: str, shapes: dict[int, tuple[int, int]], tiny: Tiny
) -> None:
    network = build([tiny(f"network.delays={kind}", "network.input_repeats=3")])
    assert {number: tuple(theta.shape[1:]) for number, theta in network.thetas.items()} == shapes


def test_each_network_has_its_own_bounds_and_some_can_be_chosen(tiny: Tiny) -> None:
    bounds = [(0.0, 1.0), (0.5, 0.25), (2.0, 1.5)]
    configs = [
        tiny("network.delays=axonal", f"network.delay_function={{shift:{shift},scale:{scale}}}", f"seed.init={seed}")
        for seed, (shift, scale) in enumerate(bounds)
    ]
    together, times = build(configs), some_times(dtype=torch.float32)
    for chosen in ([2], [0, 2]):
        part = together.only(chosen)(times)
        for n, p in enumerate(chosen):
            alone = build([configs[p]])(times)
            assert all(torch.equal(layer[n], single[0]) for layer, single in zip(part, alone, strict=True))
