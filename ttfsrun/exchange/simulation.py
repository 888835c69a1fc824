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
    arriving, layers = network.repeated(external), []
    for layer in network.layers:
        neuron = Neuron(**{name: torch.from_numpy(np.array(getattr(layer, name))) for name in PARAMETERS})
        spikes = first_spike(torch.from_numpy(arriving), torch.from_numpy(np.array(layer.weight)), neuron).numpy()
        if network.t_max is not None:
            spikes[spikes > network.t_max] = np.inf
        layers.append(spikes)
        arriving = np.concatenate([spikes, external[:, network.n_inputs :]], axis=1)
    return layers
