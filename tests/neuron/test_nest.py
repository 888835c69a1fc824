"""A trained network of two layers, no two neurons alike, against NEST: simulator, solver and authors are others.

A network on a chip's fixed pattern is compared in tests/substrate/test_nest_of_a_chip.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from in_nest import BOUND, DURATION, NEEDS_NEST, Array, largest_difference
from torch import Tensor

from ttfsrun.config.compose import compose
from ttfsrun.config.schema import Config
from ttfsrun.data import yin_yang
from ttfsrun.data.encoding import encode
from ttfsrun.exchange.nest_process import spikes_in_nest
from ttfsrun.exchange.network import PARAMETERS
from ttfsrun.neuron import Neuron, first_spike
from ttfsrun.training.loss import judge

pytestmark = NEEDS_NEST

LAYERS = [pytest.param(0, id="hidden"), pytest.param(1, id="output")]

N_HIDDEN, N_CLASSES = 120, 3
N_TRAIN, N_TEST, BATCH, EPOCHS = 1000, 250, 100, 8
BIAS_TIME = 0.9


@dataclass(frozen=True)
class Layer:
    """weight [N + 1, M], the bias last; every parameter of `neuron` is a tensor [M]."""

    weight: Tensor
    neuron: Neuron


@dataclass(frozen=True)
class Samples:
    """times [B, N + 1]: input spikes, the bias last; labels [B]."""

    times: Tensor
    labels: Tensor


def draw_layer(n_inputs: int, n_neurons: int, mean: float, generator: np.random.Generator) -> Layer:
    """A layer whose neurons all differ; two of them are where other solvers divide by tau_mem - tau_syn of 0."""
    tau_mem, tau_syn = generator.lognormal(0, 0.3, (2, n_neurons))
    tau_mem[0] = tau_syn[0]
    tau_mem[1] = tau_syn[1] * (1 + 1e-5)
    v_th, v_leak = 1 + 0.1 * generator.standard_normal(n_neurons), 0.1 * generator.standard_normal(n_neurons)
    weight = generator.normal(mean, 0.8, (n_inputs + 1, n_neurons))
    return Layer(torch.tensor(weight), Neuron(*map(torch.tensor, (tau_mem, tau_syn, v_th, v_leak))))


def draw_samples(seed: int, n: int, config: Config) -> Samples:
    split = yin_yang.generate(seed, n, config.data)
    times = encode(split.values, config.data.encoding).astype(np.float64)
    return Samples(torch.tensor(np.column_stack([times, np.full(n, BIAS_TIME)])), torch.tensor(split.labels))


def run(layers: list[Layer], times: Tensor, gradient_limit: float = float("inf")) -> list[Tensor]:
    """First spikes of each layer, [B, M]."""
    bias, spikes = times[:, -1:], []
    for layer in layers:
        spikes.append(first_spike(times, layer.weight, layer.neuron, gradient_limit=gradient_limit))
        times = torch.cat((spikes[-1], bias), dim=1)
    return spikes


def train(layers: list[Layer], samples: Samples, config: Config, generator: np.random.Generator) -> None:
    """Change the weights in place: Adam on the loss of the recipe `yin_yang`."""
    weights = [layer.weight.requires_grad_() for layer in layers]
    optimizer = torch.optim.Adam(weights, lr=0.01)
    for _ in range(EPOCHS):
        for batch in torch.tensor(generator.permutation(len(samples.labels))).split(BATCH):
            output = run(layers, samples.times[batch], gradient_limit=0.2)[-1]
            judgement = judge(config.training.loss, output[None].detach(), samples.labels[batch][None])
            optimizer.zero_grad()
            output.backward(judgement.gradient[0] / len(batch))
            optimizer.step()
    for weight in weights:
        weight.requires_grad_(False)


@pytest.fixture(scope="module")
def config() -> Config:
    return compose(["experiment=yin_yang"])


@pytest.fixture(scope="module")
def layers(config: Config) -> list[Layer]:
    """The trained network."""
    generator = np.random.default_rng(0)
    layers = [draw_layer(4, N_HIDDEN, 1.2, generator), draw_layer(N_HIDDEN, N_CLASSES, 0.1, generator)]
    train(layers, draw_samples(42, N_TRAIN, config), config, generator)
    return layers


@pytest.fixture(scope="module")
def samples(config: Config) -> Samples:
    """Samples that the network was not trained with."""
    return draw_samples(40, N_TEST, config)


@pytest.fixture(scope="module")
def ours(layers: list[Layer], samples: Samples) -> list[Array]:
    return [spikes.numpy() for spikes in run(layers, samples.times)]


@pytest.fixture(scope="module")
def nests(layers: list[Layer], samples: Samples, tmp_path_factory: pytest.TempPathFactory) -> list[Array]:
    """NEST's spikes for the same inputs and parameters; its output layer receives its own hidden layer's spikes."""
    parameters = [
        {"weight": layer.weight.numpy()} | {name: getattr(layer.neuron, name).numpy() for name in PARAMETERS}
        for layer in layers
    ]
    return spikes_in_nest(tmp_path_factory.mktemp("nest"), samples.times.numpy(), parameters, DURATION)


def test_the_compared_network_has_learned(ours: list[Array], samples: Samples) -> None:
    output = ours[-1]
    right = (output.argmin(axis=1) == samples.labels.numpy()) & (output.min(axis=1) < np.inf)
    assert right.mean() > 0.75  # by chance: 0.33


def test_the_compared_neurons_are_all_different(layers: list[Layer]) -> None:
    for layer in layers:
        values = {name: getattr(layer.neuron, name).numpy() for name in PARAMETERS}
        assert all(len(np.unique(each)) == len(each) for each in values.values())
        ratio = values["tau_mem"] / values["tau_syn"]
        assert (ratio == 1).sum() == 1
        assert (np.abs(ratio - 1) < 2e-5).sum() == 2
    hidden = layers[0].neuron
    assert all(getattr(hidden, name).std() > 0.05 for name in PARAMETERS)
    ratio = hidden.tau_mem / hidden.tau_syn
    assert ratio.min() < 0.6 < 1.7 < ratio.max()


@pytest.mark.parametrize("number", LAYERS)
def test_the_same_neurons_stay_silent_as_in_nest(number: int, ours: list[Array], nests: list[Array]) -> None:
    silent = ours[number] == np.inf
    assert len(silent) >= 200
    assert 0.01 < silent.mean() < 0.5
    assert np.array_equal(silent, nests[number] == np.inf)


@pytest.mark.parametrize("number", LAYERS)
def test_spikes_are_those_of_nest_to_a_picosecond(number: int, ours: list[Array], nests: list[Array]) -> None:
    assert largest_difference(ours[number], nests[number]) < BOUND


@pytest.mark.parametrize("name", PARAMETERS)
def test_nest_would_tell_if_a_parameter_were_off_by_a_millionth(
    name: str, layers: list[Layer], samples: Samples, nests: list[Array]
) -> None:
    hidden = layers[0]
    off = replace(hidden.neuron, **{name: getattr(hidden.neuron, name) * (1 + 1e-6)})
    [spikes] = run([Layer(hidden.weight, off)], samples.times)
    assert largest_difference(spikes.numpy(), nests[0]) > 100 * BOUND
