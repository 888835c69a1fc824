"""The spikes of a network as files hold it, by our solver, in float64."""

from __future__ import annotations

import numpy as np
import torch

from ttfsrun.exchange.network import PARAMETERS, Array, PortableNetwork
from ttfsrun.neuron import Neuron, first_spike


@torch.no_grad()
def exact_spikes(network: PortableNetwork, times: Array) -> list[Array]:
    """Return the spike times of each layer [B, M], for input times [B, inputs]; inf for no spike."""
    external = network.with_bias(times)
    layers: list[Array] = []
    for number, layer in enumerate(network.layers):
        arriving = network.arriving(number, layers[-1] if layers else external, external)
        neuron = Neuron(**{name: torch.from_numpy(np.array(getattr(layer, name))) for name in PARAMETERS})
        crossings = first_spike(torch.from_numpy(arriving), torch.from_numpy(np.array(layer.weight)), neuron).numpy()
        layers.append(network.leaving(number, crossings))
    return layers
