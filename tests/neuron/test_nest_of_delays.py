"""A network of two layers with synaptic delays, no two neurons alike, against NEST."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from in_nest import BOUND, DURATION, NEEDS_NEST, Array, largest_difference

from ttfsrun.exchange.nest_process import spikes_in_nest
from ttfsrun.exchange.network import PARAMETERS
from ttfsrun.neuron import Neuron, first_spike

pytestmark = NEEDS_NEST

B, SIZES = 60, (9, 40, 5)
GRID = 2.0**-7  # of NEST's delays, in ms
LAYERS = [pytest.param(0, id="hidden"), pytest.param(1, id="output")]


@pytest.fixture(scope="module")
def inputs() -> Array:
    """Input spikes and, last, the bias, which goes into both layers."""
    random = np.random.default_rng(0)
    return np.column_stack([random.uniform(0.15, 2, (B, SIZES[0])), np.full(B, 0.9)])


@pytest.fixture(scope="module")
def layers() -> list[dict[str, Array]]:
    random = np.random.default_rng(1)
    found = []
    for n_inputs, n_neurons, mean in zip(SIZES[:-1], SIZES[1:], (0.6, 0.15), strict=True):
        layer = {name: random.lognormal(0, 0.2, n_neurons) for name in ("tau_mem", "tau_syn", "v_th")}
        layer["v_leak"] = 0.1 * random.standard_normal(n_neurons)
        layer["weight"] = random.normal(mean, 0.5, (n_inputs + 1, n_neurons))
        layer["delays"] = GRID * random.integers(0, 1 / GRID, layer["weight"].shape)
        found.append(layer)
    return found


def run(inputs: Array, layers: list[dict[str, Array]]) -> list[Array]:
    times, spikes = torch.tensor(inputs), []
    for layer in layers:
        tensors = {name: torch.tensor(array) for name, array in layer.items()}
        neuron = Neuron(*(tensors[name] for name in PARAMETERS))
        spikes.append(first_spike(times, tensors["weight"], neuron, tensors["delays"]))
        times = torch.cat((spikes[-1], torch.tensor(inputs[:, -1:])), dim=1)
    return [each.numpy() for each in spikes]


@pytest.fixture(scope="module")
def ours(inputs: Array, layers: list[dict[str, Array]]) -> list[Array]:
    return run(inputs, layers)


@pytest.fixture(scope="module")
def nests(inputs: Array, layers: list[dict[str, Array]], tmp_path_factory: pytest.TempPathFactory) -> list[Array]:
    return spikes_in_nest(tmp_path_factory.mktemp("nest"), inputs, layers, DURATION)


@pytest.mark.parametrize("number", LAYERS)
def test_the_same_neurons_stay_silent_as_in_nest(number: int, ours: list[Array], nests: list[Array]) -> None:
    silent = ours[number] == np.inf
    assert 0.01 < silent.mean() < 0.9
    assert np.array_equal(silent, nests[number] == np.inf)


@pytest.mark.parametrize("number", LAYERS)
def test_spikes_are_those_of_nest_to_a_picosecond(number: int, ours: list[Array], nests: list[Array]) -> None:
    assert largest_difference(ours[number], nests[number]) < BOUND


def test_nest_would_tell_if_a_delay_were_off_by_a_millionth(
    inputs: Array, layers: list[dict[str, Array]], nests: list[Array]
) -> None:
    off = {**layers[0], "delays": layers[0]["delays"] * (1 + 1e-6)}
    assert largest_difference(run(inputs, [off])[0], nests[0]) > 100 * BOUND
