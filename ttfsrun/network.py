"""A population of feed-forward networks of first-spike neurons.

Shapes: P networks of one architecture, B samples, N inputs and M neurons of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.neuron import Neuron, first_spike, observed_spike
from ttfsrun.random import stream
from ttfsrun.substrate.backward import carried
from ttfsrun.substrate.emulation import IDEAL, Emulation, Operation, Placement


@dataclass(frozen=True)
class Network:
    """P networks of one architecture, whose neurons spike at most once.

    weights: one tensor [P, N, M] per layer. Rows: the neurons of the previous layer, or in the first layer the inputs,
        all of them `input_repeats` times; then the bias, if any.
    neuron: nominal parameters, numbers or tensors [P, 1, 1].
    bias_time: time of an additional input spike into every layer, in tau_syn; None for no bias.
    t_max: end of the observation, in tau_syn, after which spikes are ignored; None for no end.
    input_repeats: number of input lines that carry each external event into the first layer, bias included.
    """

    weights: tuple[Tensor, ...]
    neuron: Neuron
    bias_time: float | None
    t_max: float | None
    input_repeats: int = 1

    @property
    def size(self) -> int:
        """Number of networks, P."""
        return len(self.weights[0])

    def __call__(self, times: Tensor, gradient_limit: float = math.inf, operation: Operation = IDEAL) -> list[Tensor]:
        """Return the spike times of each layer, [P, B, M], for input times [P or 1, B, N]; inf for no spike.

        times: in tau_syn, as are the results.
        gradient_limit: as for `first_spike`.
        operation: the batch on the networks' substrates; by default, these are ideal.
        """
        if len(operation.kinds) <= 1:
            return self._of_one_kind(times, gradient_limit, operation)
        times = times.expand(self.size, -1, -1)
        parts = [
            self.only(members)._of_one_kind(times[members], gradient_limit, operation.only(members))
            for members in operation.kinds
        ]
        order = torch.tensor([p for members in operation.kinds for p in members])
        return [torch.cat(layers)[order.argsort()] for layers in zip(*parts, strict=True)]

    def _of_one_kind(self, times: Tensor, limit: float, operation: Operation) -> list[Tensor]:
        layers = []
        if operation.members:
            times = times.expand(self.size, -1, -1)
        arriving = seen = times[..., :0]  # from the previous layer
        for number, weight in enumerate(self.weights):
            external = self._external(number, times)
            arriving = _joined(arriving, operation.external(number, external))
            seen = _joined(seen, external)
            emulated = partial(self._emulated, number, weight, limit, operation)
            arriving, seen = operation.rule(emulated, partial(self._nominal, weight, limit), arriving, seen)
            layers.append(carried(arriving, seen))
        return layers

    def arrivals(self, times: Tensor, layers: Sequence[Tensor], operation: Operation = IDEAL) -> list[Tensor]:
        """Return the times of the events that arrive at each layer's synapses, [P or 1, B, N]; inf for no event.

        times: input times [P or 1, B, N].
        layers: the spike times that the networks returned for them.
        operation: that of the same call, which perturbs inputs and bias; by default they arrive as sent.
        """
        if operation.members:
            times = times.expand(self.size, -1, -1)
        sent = [times[..., :0], *layers[:-1]]
        external = [operation.external(number, self._external(number, times)) for number in range(len(sent))]
        return [_joined(*parts) for parts in zip(sent, external, strict=True)]

    def _external(self, number: int, times: Tensor) -> Tensor:
        """Return the external events into a layer [P, B, N]: inputs and bias for the first layer, else the bias."""
        bias = times.new_full((*times.shape[:-1], self.bias_time is not None), self.bias_time or 0.0)
        if number > 0:
            return bias
        return torch.cat((times.repeat(1, 1, self.input_repeats), bias.repeat(1, 1, self.input_repeats)), dim=-1)

    def _nominal(self, weight: Tensor, limit: float, times: Tensor, observed: Tensor | None = None) -> Tensor:
        if observed is not None:
            return observed_spike(times, weight, self.neuron, observed, gradient_limit=limit)
        return self._in_time(first_spike(times, weight, self.neuron, gradient_limit=limit))

    def _emulated(self, number: int, weight: Tensor, limit: float, operation: Operation, times: Tensor) -> Tensor:
        neuron = operation.neuron(number, self.neuron, (times.shape[-2], weight.shape[-1]))
        spikes = first_spike(times, operation.weight(number, weight), neuron, gradient_limit=limit)
        return self._in_time(operation.spikes(number, spikes))

    def _in_time(self, spikes: Tensor) -> Tensor:
        """Return spikes without those after the end of the observation."""
        return spikes if self.t_max is None else spikes.masked_fill(spikes > self.t_max, math.inf)

    def only(self, chosen: Sequence[int]) -> Network:
        """Return some of the networks, by their indices."""
        parameters = {field.name: getattr(self.neuron, field.name) for field in fields(self.neuron)}
        tensors = {name: value[chosen] for name, value in parameters.items() if isinstance(value, Tensor)}
        weights = tuple(weight[chosen] for weight in self.weights)
        return replace(self, weights=weights, neuron=replace(self.neuron, **tensors))

    def with_weights(self, weights: Sequence[Tensor]) -> Network:
        """Return the same networks with other weights."""
        return replace(self, weights=tuple(weights))


def build(configs: Sequence[Config]) -> Network:
    """Return the untrained networks of configurations that share one architecture."""
    settings = configs[0].network
    neuron = Neuron(**{key: _per_network(configs, key) for key in ("tau_mem", "tau_syn", "v_th", "v_leak")})
    weights = [
        torch.from_numpy(np.stack([initial_weights(config, layer) for config in configs]))
        for layer in range(settings.n_layers)
    ]
    return Network(tuple(weights), neuron, settings.bias_time, settings.t_max, settings.input_repeats)


def emulate(configs: Sequence[Config], perturbed: Sequence[bool]) -> Emulation:
    """Return the substrates of networks; those of networks that are not perturbed are ideal."""
    return Emulation.of(
        [
            Placement(config.chip_spec, is_perturbed, config.seed.trial, config.training.backward)
            for config, is_perturbed in zip(configs, perturbed, strict=True)
        ]
    )


def initial_weights(config: Config, layer: int) -> np.ndarray:
    """Return the normally distributed initial weights [N, M] of one layer of one network, float32.

    If inputs are repeated, the configured mean and variance are those of the sum over the lines of an input.
    """
    init = config.network.init
    shape = (config.layer_inputs[layer], config.layer_sizes[layer + 1])
    lines = config.network.input_repeats if layer == 0 else 1
    draws = stream(config.seed.init, "initial weights", layer=layer).standard_normal(shape)
    return (init.mean[layer] / lines + init.std[layer] / math.sqrt(lines) * draws).astype(np.float32)


def _per_network(configs: Sequence[Config], key: str) -> Tensor:
    values = [getattr(config.network.neuron, key) for config in configs]
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1)


def _joined(times: Tensor, external: Tensor) -> Tensor:
    if not external.shape[-1]:
        return times
    lead = np.broadcast_shapes(times.shape[:-1], external.shape[:-1])
    return torch.cat((times.expand(*lead, -1), external.expand(*lead, -1)), dim=-1)
