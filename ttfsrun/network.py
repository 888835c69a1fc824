"""A population of feed-forward networks of first-spike neurons.

Shapes: P networks of one architecture, B samples, N inputs and M neurons of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.neuron import Neuron
from ttfsrun.neuron.layer_pass import LayerPass, solve
from ttfsrun.neuron.parameters import Parameters
from ttfsrun.random import stream
from ttfsrun.substrate.backward import RULES
from ttfsrun.substrate.emulation import IDEAL, Emulation, Operation
from ttfsrun.substrate.member import Placement
from ttfsrun.substrate.perturbed import Perturbed


@dataclass(frozen=True)
class SolvedLayer:
    """The spikes of one layer for one batch, and what their derivatives need.

    spikes: [P, B, M] as they leave the layer; inf for no spike, or for one that was lost or came too late.
    crossings: the solver's spikes and their derivatives.
    weight, sent: what the substrate did to the weights, and to the spikes that the solver found; None: nothing.
    """

    spikes: Tensor
    crossings: LayerPass
    weight: Perturbed | None = None
    sent: Perturbed | None = None

    def gradients(self, gradient: Tensor, limit: float, with_times: bool) -> tuple[Tensor, Tensor | None]:
        """Return the gradients by the weights [P, N, M] and, if asked, by the input times [P, B, N].

        gradient: [P, B, M] by `spikes`; limit: the `gradient_limit` of `first_spike`.
        """
        gradient = gradient.masked_fill(self.spikes == math.inf, 0)
        if self.sent is not None:
            gradient = self.sent.backward(gradient)
        backward = self.crossings.backward(gradient)
        by_weight, by_times = backward.by_weight_and_times(limit) if with_times else (backward.by_weight(limit), None)
        if self.weight is not None:
            by_weight = self.weight.backward(by_weight)
        return by_weight, by_times


@dataclass(frozen=True)
class NetworkPass:
    """One batch through networks of one kind: the spike times of each layer [P, B, M], and their derivatives."""

    spikes: list[Tensor]
    _solved: list[SolvedLayer]

    def gradients(self, by_spikes: Sequence[Tensor | None], limit: float = math.inf) -> list[Tensor]:
        """Return the gradient by the weights of each layer, [P, N, M].

        by_spikes: the gradient by the spike times of each layer [P, B, M]; None for zero, but not for the last layer.
        limit: the `gradient_limit` of `first_spike`.
        """
        found: list[Tensor] = []
        by_inputs: Tensor | None = None
        for number in range(len(self.spikes) - 1, -1, -1):
            own, n_neurons = by_spikes[number], self.spikes[number].shape[-1]
            later = None if by_inputs is None else by_inputs[..., :n_neurons]
            gradient = own if later is None else later if own is None else own + later
            assert gradient is not None
            by_weight, by_inputs = self._solved[number].gradients(gradient, limit, with_times=number > 0)
            found.insert(0, by_weight)
        return found


@dataclass(frozen=True)
class MixedPass:
    """One batch through networks of several kinds: a `NetworkPass` for the members of each."""

    spikes: list[Tensor]
    _parts: list[tuple[list[int], NetworkPass]]

    def gradients(self, by_spikes: Sequence[Tensor | None], limit: float = math.inf) -> list[Tensor]:
        """Return the gradient by the weights of each layer; see `NetworkPass.gradients`."""
        parts = [
            part.gradients([None if each is None else each[members] for each in by_spikes], limit)
            for members, part in self._parts
        ]
        return _in_order([members for members, _ in self._parts], parts)


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

    def __call__(self, times: Tensor, operation: Operation = IDEAL) -> list[Tensor]:
        """Return the spike times of each layer, [P, B, M], for input times [P or 1, B, N]; inf for no spike.

        times: in tau_syn, as are the results.
        operation: the batch on the networks' substrates; by default, these are ideal.
        """
        return self.run(times, operation, rule="same_draw").spikes  # the cheapest: no nominal layer is computed

    def run(self, times: Tensor, operation: Operation = IDEAL, rule: str | None = None) -> NetworkPass | MixedPass:
        """Return the pass of a batch, with the derivatives that training needs; arguments as for a call.

        rule: of the backward pass, a key of `RULES`; by default that of each network's substrate.
        """
        times = times.expand(self.size, -1, -1)
        if len(operation.kinds) <= 1:
            return self._of_one_kind(times, operation, rule or operation.rule)
        parts = []
        for members in operation.kinds:
            part = operation.only(members)
            parts.append((members, self.only(members)._of_one_kind(times[members], part, rule or part.rule)))
        spikes = _in_order([members for members, _ in parts], [part.spikes for _, part in parts])
        return MixedPass(spikes, parts)

    def _of_one_kind(self, times: Tensor, operation: Operation, rule: str) -> NetworkPass:
        recorded, solved = [], []
        arriving = seen = times[..., :0]  # from the previous layer: at its synapses, and as the backward pass sees it
        for number in range(len(self.weights)):
            external = self._external(number, times)
            arriving = _joined(arriving, operation.external(number, external))
            seen = _joined(seen, external)
            emulated, nominal = partial(self._emulated, number, operation), partial(self._nominal, number)
            arriving, layer = RULES[rule](emulated, nominal, arriving, seen)
            seen = layer.spikes
            recorded.append(arriving)
            solved.append(layer)
        return NetworkPass(recorded, solved)

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
        if number == 0 and self.bias_time is None and self.input_repeats == 1:
            return times
        bias = times.new_full((*times.shape[:-1], self.bias_time is not None), self.bias_time or 0.0)
        if number > 0:
            return bias
        return torch.cat((times.repeat(1, 1, self.input_repeats), bias.repeat(1, 1, self.input_repeats)), dim=-1)

    def _nominal(self, number: int, times: Tensor, observed: Tensor | None = None) -> SolvedLayer:
        """Return a layer of nominal weights and neurons, or its derivatives at observed spikes."""
        crossings = solve(times, self.weights[number], self._parameters, observed)
        spikes = crossings.spikes if observed is None else observed
        return SolvedLayer(self._in_time(spikes), crossings)

    def _emulated(self, number: int, operation: Operation, times: Tensor) -> SolvedLayer:
        """Return a layer on the substrate."""
        if not operation.members:
            return self._nominal(number, times)
        weight = operation.weight(number, self.weights[number])
        neuron = operation.neuron(number, self.neuron, (times.shape[-2], self.weights[number].shape[-1]))
        parameters = self._parameters if neuron is self.neuron else neuron.parameters(self.size)
        crossings = solve(times, weight.value, parameters)
        sent = operation.spikes(number, crossings.spikes)
        return SolvedLayer(self._in_time(sent.value), crossings, weight, sent)

    @cached_property
    def _parameters(self) -> Parameters:
        return self.neuron.parameters(self.size)

    def _in_time(self, spikes: Tensor) -> Tensor:
        """Return spikes without those after the end of the observation."""
        return spikes if self.t_max is None else spikes.masked_fill(spikes > self.t_max, math.inf)

    def only(self, chosen: Sequence[int]) -> Network:
        """Return some of the networks, by their indices."""
        parameters = {field.name: getattr(self.neuron, field.name) for field in fields(self.neuron)}
        tensors = {name: value[chosen] for name, value in parameters.items() if isinstance(value, Tensor)}
        weights = tuple(weight[chosen] for weight in self.weights)
        return replace(self, weights=weights, neuron=replace(self.neuron, **tensors))

    def to(self, device: torch.device | str) -> Network:
        """Return the same networks with all tensors on a device."""
        parameters = {field.name: getattr(self.neuron, field.name) for field in fields(self.neuron)}
        moved = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in parameters.items()}
        weights = tuple(weight.to(device) for weight in self.weights)
        return replace(self, weights=weights, neuron=Neuron.trusted(**moved))

    def with_weights(self, weights: Sequence[Tensor]) -> Network:
        """Return the same networks with other weights."""
        return replace(self, weights=tuple(weights))


def build(configs: Sequence[Config]) -> Network:
    """Return the untrained networks of configurations that share one architecture."""
    weights = [
        torch.from_numpy(np.stack([initial_weights(config, layer) for config in configs]))
        for layer in range(configs[0].network.n_layers)
    ]
    return with_configured_neurons(configs, weights)


def with_configured_neurons(configs: Sequence[Config], weights: Sequence[Tensor]) -> Network:
    """Return the networks of configurations that share one architecture, with weights [P, N, M] for each layer."""
    settings = configs[0].network
    neuron = Neuron(**{key: _per_network(configs, key) for key in ("tau_mem", "tau_syn", "v_th", "v_leak")})
    return Network(tuple(weights), neuron, settings.bias_time, settings.t_max, settings.input_repeats)


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


def _per_network(configs: Sequence[Config], key: str) -> Tensor:
    values = [getattr(config.network.neuron, key) for config in configs]
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1)


def _joined(times: Tensor, external: Tensor) -> Tensor:
    if not external.shape[-1]:
        return times
    if not times.shape[-1]:
        return external
    lead = np.broadcast_shapes(times.shape[:-1], external.shape[:-1])
    return torch.cat((times.expand(*lead, -1), external.expand(*lead, -1)), dim=-1)


def _in_order(members: Sequence[Sequence[int]], parts: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Return the tensors [P, ...] of each layer, from those of the networks of each part."""
    order = np.argsort([p for group in members for p in group]).tolist()
    return [torch.cat(layers)[order] for layers in zip(*parts, strict=True)]
