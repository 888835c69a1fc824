"""Networks from configurations: initial values of what training changes, neurons, substrates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.network.delays.model import DelayModel
from ttfsrun.network.learned import Learned
from ttfsrun.network.population import Network
from ttfsrun.neuron import Neuron
from ttfsrun.random import stream
from ttfsrun.substrate.emulation import Emulation
from ttfsrun.substrate.member import Placement


def build(configs: Sequence[Config]) -> Network:
    """Return the untrained networks of configurations that share one architecture."""
    settings = configs[0].network

    def stacked(initial: Callable[[Config, int], np.ndarray], layer: int) -> Tensor:
        return torch.from_numpy(np.stack([initial(config, layer) for config in configs]))

    weights = tuple(stacked(initial_weights, layer) for layer in range(settings.n_layers))
    delayed = [layer for layer, kind in enumerate(settings.delay_kinds) if kind != "none"]
    network = with_configured_neurons(configs, Learned(weights, {n: stacked(initial_thetas, n) for n in delayed}))
    network.constrain_delays()
    return network


def with_configured_neurons(configs: Sequence[Config], learned: Learned) -> Network:
    """Return the networks of configurations that share one architecture, with weights and delays that were learned."""
    settings = configs[0].network
    neuron = Neuron(**{key: _per_network(configs, key) for key in ("tau_mem", "tau_syn", "v_th", "v_leak")})
    delays = DelayModel.of(configs) if learned.thetas else None
    return Network(
        learned.weights, neuron, settings.bias_time, settings.t_max, settings.input_repeats, learned.thetas, delays
    )


def emulate(configs: Sequence[Config], perturbed: Sequence[bool], device: torch.device | str = "cpu") -> Emulation:
    """Return the substrates of networks on a device; those of networks that are not perturbed are ideal."""
    return Emulation.of([placement(*each) for each in zip(configs, perturbed, strict=True)], device)


def placement(config: Config, perturbed: bool) -> Placement:
    """Return the substrate of one network, and how it is used."""
    return Placement(config.chip_spec, perturbed, config.seed.trial, config.training.backward)


def initial_weights(config: Config, layer: int) -> np.ndarray:
    """Return the normally distributed initial weights [N, M] of one layer of one network, float32.

    If inputs are repeated, the configured mean and variance are those of the sum over the lines of an input.
    """
    init = config.network.init
    shape = (config.layer_inputs[layer], config.layer_sizes[layer + 1])
    lines = config.network.input_repeats if layer == 0 else 1
    draws = stream(config.seed.init, "initial weights", layer=layer).standard_normal(shape)
    return (init.mean[layer] / lines + init.std[layer] / math.sqrt(lines) * draws).astype(np.float32)


def initial_thetas(config: Config, layer: int) -> np.ndarray:
    """Return the normally distributed initial theta of the delays of one layer of one network, float32."""
    init = config.network.init.delay
    draws = stream(config.seed.init, "initial delays", layer=layer).standard_normal(config.delay_shapes[layer])
    return (init.mean + init.std * draws).astype(np.float32)


def _per_network(configs: Sequence[Config], key: str) -> Tensor:
    values = [getattr(config.network.neuron, key) for config in configs]
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1)
