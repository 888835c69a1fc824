"""Substrates of tiny networks, and a noticeable value of every strength."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
import torch
from hypothesis import settings
from torch import Tensor

from ttfsrun.config.compose import compose
from ttfsrun.config.dotted_keys import assign
from ttfsrun.config.schema import Config
from ttfsrun.network import Network, build, emulate
from ttfsrun.substrate.emulation import Operation

#: Yin-yang with few samples and neurons: 4 inputs, 7 hidden neurons, 3 label neurons, a bias into both layers.
TINY = (
    "data.samples={train:60,valid:30,test:30}",
    "network.hidden=[7]",
    "network.init={mean:[1.5,1.0],std:[0.8,0.8]}",
    "training.batch_size=25",
    "training.epochs=2",
    "cluster.threads=1",
)

#: A value of each strength at which everything changes.
STRONG: dict[str, Any] = {
    "input_time.jitter": 0.1,
    "spike_time.jitter": 0.1,
    "spike_time.loss": 0.2,
    "time_resolution.step": 0.1,
    "v_th.chip_mean": 0.1,
    "v_th.chip_std": 0.1,
    "v_th.batch_std": 0.1,
    "v_th.sample_std": 0.1,
    "v_leak.chip_std": 0.1,
    "v_leak.sample_std": 0.1,
    "tau_mem.chip_cv": 0.2,
    "tau_syn.chip_cv": 0.2,
    "tau_ratio_bias": 0.3,
    "weight.bits": 3,
    "weight.lsb": 0.2,
    "weight.clip": 1.4,  # lsb (2^bits - 1)
    "weight.chip_cv": 0.1,
    "weight.chip_std": 0.1,
    "weight.write_std": 0.1,
    "weight.read_std": 0.1,
    "dead_neurons.p": 0.3,
    "stuck_synapses.p_zero": 0.2,
    "stuck_synapses.p_max": 0.2,
    "drift.std": 0.1,
}

#: The same of a network with delays; others cannot have them.
DELAYS: dict[str, Any] = {
    "delay.step": 0.1,
    "delay.largest": 0.5,
    "delay.chip_cv": 0.2,
    "delay.chip_std": 0.2,
    "delay.jitter": 0.1,
}

#: Settings that are no strengths: without one, they change nothing.
MANNERS = {"delay.bits", "time_resolution.rounding", "tau_syn.correlation", "weight.rounding", "drift.tau"}

#: Of property tests: the same examples each time, however long a busy machine takes for one.
FIXED = settings(deadline=None, derandomize=True)


@cache
def _tiny() -> bytes:
    return msgspec.json.encode(compose(TINY))


def configured(substrate: Mapping[str, Any] | None = None, **others: Any) -> Config:
    """Return the tiny configuration with settings of the substrate, by dotted key, and others (`seed__chip=3`)."""
    tree = msgspec.json.decode(_tiny())
    for key, value in (substrate or {}).items():
        assign(tree, f"substrate.{key}", value)
    for key, value in others.items():
        assign(tree, key.replace("__", "."), value)
    return msgspec.convert(tree, Config)


def operating(*configs: Config, step: int = 0, writing: int = 0, age: int = 0, phase: str = "training") -> Operation:
    """Return a batch on the substrates of the configurations, all perturbed."""
    return emulate(configs, [True] * len(configs)).during(phase, step, writing=writing, age=age)


def doubled(network: Network) -> Network:
    """Return the network in float64."""
    return network.with_learned(network.learned.map(Tensor.double))


def some_times(n_samples: int = 20, n_inputs: int = 4, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return input times [1, B, N] like those of yin-yang."""
    generator = torch.Generator().manual_seed(seed)
    return (0.15 + 1.85 * torch.rand(1, n_samples, n_inputs, generator=generator, dtype=torch.float64)).to(dtype)


def outcome(configs: list[Config], times: Tensor, operation: Operation) -> tuple[list[Tensor], list[Tensor]]:
    """Return the spikes of each layer, and the derivatives of sum_n t_n + t_n^2 / 2 over all layers by the weights."""
    done = build(configs).run(times, operation)
    return done.spikes, list(done.gradients([1 + layer for layer in done.spikes]).weights)
