"""A population of feed-forward networks of first-spike neurons.

Shapes: P networks of one architecture, B samples, N inputs and M neurons of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ttfsrun.config import Config
from ttfsrun.neuron import Neuron, first_spike
from ttfsrun.random import stream


@dataclass(frozen=True)
class Network:
    """P networks at once; each layer's neurons spike at most once.

    weights: one tensor per layer, [P, N, M]; where there is a bias, its weight is the last of the N.
    neuron: parameters, numbers or tensors [P, 1, 1].
    bias_time: time of one extra input spike into every layer, in tau_syn; None for none.
    t_max: end of the observation, in tau_syn; a later spike does not happen.
    """

    weights: tuple[Tensor, ...]
    neuron: Neuron
    bias_time: float | None
    t_max: float | None

    @property
    def size(self) -> int:
        """P, the number of networks."""
        return len(self.weights[0])

    def __call__(self, times: Tensor, gradient_limit: float = math.inf) -> list[Tensor]:
        """Spike times of each layer, [P, B, M], from input times [P or 1, B, N]; inf for no spike."""
        layers = []
        for weight in self.weights:
            if self.bias_time is not None:
                bias = times.new_full((*times.shape[:-1], 1), self.bias_time)
                times = torch.cat((times, bias), dim=-1)
            times = first_spike(times, weight, self.neuron, gradient_limit=gradient_limit)
            if self.t_max is not None:
                times = times.masked_fill(times > self.t_max, math.inf)
            layers.append(times)
        return layers

    def with_weights(self, weights: Sequence[Tensor]) -> Network:
        """The same networks with other weights."""
        return replace(self, weights=tuple(weights))


def build(configs: Sequence[Config]) -> Network:
    """The untrained networks of configurations that share one architecture."""
    settings = configs[0].network
    neuron = Neuron(**{key: _per_network(configs, key) for key in ("tau_mem", "tau_syn", "v_th", "v_leak")})
    weights = [
        torch.from_numpy(np.stack([initial_weights(config, layer) for config in configs]))
        for layer in range(settings.n_layers)
    ]
    return Network(tuple(weights), neuron, settings.bias_time, settings.t_max)


def initial_weights(config: Config, layer: int) -> np.ndarray:
    """Normally distributed weights [N, M] of one layer of one network, float32."""
    n_inputs, n_neurons = config.layer_sizes[layer : layer + 2]
    shape = (n_inputs + (config.network.bias_time is not None), n_neurons)
    init = config.network.init
    draws = stream(config.seed.init, "initial weights", layer=layer).standard_normal(shape)
    return (init.mean[layer] + init.std[layer] * draws).astype(np.float32)


def _per_network(configs: Sequence[Config], key: str) -> Tensor:
    return torch.tensor([getattr(config.network.neuron, key) for config in configs]).reshape(-1, 1, 1)
