"""Populations of networks: initial weights, layers, bias and the end of the observation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.network import Network, build, initial_weights
from ttfsrun.neuron import Neuron, first_spike

Tiny = Callable[..., Config]
INF = math.inf


def test_initial_weights_have_the_mean_and_the_spread_of_their_layer(tiny: Tiny) -> None:
    config = tiny("network.hidden=[2000]", "network.init={mean:[1.5,0.5],std:[0.8,0.3]}")
    for layer, (mean, std) in enumerate([(1.5, 0.8), (0.5, 0.3)]):
        weights = initial_weights(config, layer).astype(np.float64)
        error = std / math.sqrt(weights.size)
        assert weights.mean() == pytest.approx(mean, abs=5 * error)
        assert weights.std() == pytest.approx(std, abs=5 * error)


def test_the_bias_has_a_weight_of_its_own_in_every_layer(tiny: Tiny) -> None:
    with_bias, without = build([tiny()]), build([tiny("network.bias_time=null")])
    assert [tuple(weight.shape) for weight in with_bias.weights] == [(1, 5, 20), (1, 21, 3)]
    assert [tuple(weight.shape) for weight in without.weights] == [(1, 4, 20), (1, 20, 3)]


def test_initial_weights_come_from_the_seed_for_them_alone(tiny: Tiny) -> None:
    base = initial_weights(tiny(), 0)
    np.testing.assert_array_equal(base, initial_weights(tiny("seed.data=7", "seed.chip=7", "seed.trial=7"), 0))
    assert not np.isin(initial_weights(tiny("seed.init=1"), 0), base).any()
    alike = tiny("network.init={mean:[1.5,1.5],std:[0.8,0.8]}")
    assert not np.isin(initial_weights(alike, 1), base).any()


def test_another_layer_does_not_shift_the_draws_of_the_first(tiny: Tiny) -> None:
    deep = tiny(
        "network.hidden=[20,9]",
        "network.init={mean:[1.5,0.5,0.5],std:[0.8,0.8,0.8]}",
        "training.bumping.silent_fraction=[0,0,0]",
    )
    np.testing.assert_array_equal(initial_weights(deep, 0), initial_weights(tiny(), 0))


def test_mean_and_spread_do_not_change_the_draws(tiny: Tiny) -> None:
    usual, wide = tiny("network.init={mean:[0,0],std:[1,1]}"), tiny("network.init={mean:[0,2],std:[4,1]}")
    np.testing.assert_array_equal(initial_weights(wide, 0), 4 * initial_weights(usual, 0))
    # 2 + w is rounded once more
    np.testing.assert_allclose(initial_weights(wide, 1), 2 + initial_weights(usual, 1), rtol=0, atol=5e-7)


def test_each_layer_is_first_spike_of_the_one_before_and_the_bias(tiny: Tiny, samples: dict[str, Samples]) -> None:
    network = build([tiny("network.bias_time=0.7")])
    times = torch.from_numpy(samples["test"].times)
    hidden, output = network(times[None])
    expected = times
    for weight, layer in zip(network.weights, (hidden, output), strict=True):
        bias = torch.full((len(times), 1), 0.7)
        expected = first_spike(torch.cat((expected, bias), dim=1), weight[0], Neuron())
        assert torch.equal(layer[0], expected)


def test_a_bias_alone_makes_neurons_spike() -> None:
    network = Network((torch.tensor([[[0.0], [4.0]]]),), Neuron(), bias_time=0.5, t_max=None)
    (spikes,) = network(torch.full((1, 1, 1), INF))
    delay = float(spikes) - 0.5
    assert 4 * delay * math.exp(-delay) == pytest.approx(1, rel=1e-5)  # the membrane is at threshold


def test_a_spike_after_the_end_of_the_observation_does_not_happen() -> None:
    weights = (torch.tensor([[[3.0, 30.0]]]), torch.tensor([[[9.0], [9.0]]]))
    times = torch.zeros(1, 1, 1)
    endless = Network(weights, Neuron(), bias_time=None, t_max=None)
    late, early = endless(times)[0].flatten().tolist()
    ended = endless.__class__(weights, Neuron(), bias_time=None, t_max=(late + early) / 2)
    assert ended(times)[0].flatten().tolist() == [INF, early]
    exactly = endless.__class__(weights, Neuron(), bias_time=None, t_max=late)
    assert exactly(times)[0].flatten().tolist() == [late, early]


def test_what_happens_after_the_end_of_the_observation_teaches_nothing() -> None:
    network = Network((torch.tensor([[[3.0, 30.0]]]),), Neuron(), bias_time=None, t_max=0.3)
    done = network.run(torch.zeros(1, 1, 1))
    (by_weight,) = done.gradients([torch.ones(1, 1, 2)]).weights
    assert by_weight[0, 0, 0] == 0
    assert by_weight[0, 0, 1] < 0  # more weight, earlier spike


def test_each_network_has_its_own_neurons(tiny: Tiny, samples: dict[str, Samples]) -> None:
    own = ["network.neuron={tau_mem:2,tau_syn:0.5,v_th:0.8,v_leak:0.1}", "network.neuron.v_th=1.3", "seed.init=4"]
    configs = [tiny(), *(tiny(override) for override in own)]
    times = torch.from_numpy(samples["test"].times)[None]
    together = build(configs)(times)
    for p, config in enumerate(configs):
        alone = build([config])(times)
        assert all(torch.equal(layer[p], single[0]) for layer, single in zip(together, alone, strict=True))
    assert not torch.equal(together[0][0], together[0][1])
    assert bool((together[0][2] >= together[0][0]).all())  # a higher threshold is reached later


def test_networks_of_a_population_share_inputs_or_have_their_own(tiny: Tiny, samples: dict[str, Samples]) -> None:
    network = build([tiny("seed.init=1"), tiny("seed.init=2")])
    times = torch.from_numpy(samples["test"].times)
    shared, own = network(times[None]), network(torch.stack((times, times)))
    assert all(torch.equal(one, other) for one, other in zip(shared, own, strict=True))
