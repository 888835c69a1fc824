"""Networks that the tests of this folder share."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from ttfsrun.exchange.convention import Convention
from ttfsrun.exchange.network import Array, PortableLayer, PortableNetwork

BSS2 = Convention.of(6.0, None, "s")
BIAS_TIME = 0.9


def heterogeneous(sizes: tuple[int, ...] = (4, 30, 3), bias_time: float | None = BIAS_TIME) -> PortableNetwork:
    """Return a network in which no two neurons are alike."""
    random = np.random.default_rng(0)
    n_bias = int(bias_time is not None)

    def layer(n: int, m: int, mean: float) -> PortableLayer:
        tau_mem, tau_syn = random.lognormal(0, 0.3, (2, m))
        v_th, v_leak = 1 + 0.1 * random.standard_normal(m), 0.1 * random.standard_normal(m)
        return PortableLayer(random.normal(mean, 0.8, (n + n_bias, m)), tau_mem, tau_syn, v_th, v_leak)

    layers = [layer(n, m, 1.2 if k == 0 else 0.1) for k, (n, m) in enumerate(itertools.pairwise(sizes))]
    return PortableNetwork(tuple(layers), bias_time)


def homogeneous(tau_mem: float = 1.0, bias_time: float | None = None) -> PortableNetwork:
    """Return a network of equal neurons."""
    network = heterogeneous(bias_time=bias_time)
    layers = []
    for layer in network.layers:
        ones = np.ones_like(layer.v_th)
        layers.append(replace(layer, tau_mem=tau_mem * ones, tau_syn=ones, v_th=ones, v_leak=0 * ones))
    return replace(network, layers=tuple(layers))


def delayed() -> PortableNetwork:
    """Return a network in which every spike is late, no two of them alike."""
    random, network = np.random.default_rng(2), heterogeneous()
    layers = [replace(layer, delays=random.uniform(0, 1, len(layer.weight))) for layer in network.layers]
    return replace(network, layers=tuple(layers), output_delays=random.uniform(0, 1, network.sizes[-1]))


def inputs(samples: int = 60, n: int = 4) -> Array:
    """Return input spike times [B, N]."""
    return np.random.default_rng(1).uniform(0.15, 2.0, (samples, n))
