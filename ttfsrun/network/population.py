"""A population of feed-forward networks of first-spike neurons.

Shapes: P networks of one architecture, B samples, N inputs and M neurons of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from ttfsrun.network.delays.input_lines import InputLines
from ttfsrun.network.delays.kinds import NoDelays
from ttfsrun.network.delays.model import DelayModel
from ttfsrun.network.learned import Learned
from ttfsrun.network.passes import MixedPass, NetworkPass, SolvedLayer, in_order
from ttfsrun.neuron import Neuron
from ttfsrun.neuron.layer_pass import solve
from ttfsrun.neuron.parameters import Parameters
from ttfsrun.substrate.backward import RULES
from ttfsrun.substrate.emulation import IDEAL, Operation


@dataclass(frozen=True)
class Network:
    """P networks of one architecture, whose neurons spike at most once.

    weights: one tensor [P, N, M] per layer. Rows: the neurons of the previous layer, or in the first layer the inputs,
        all of them `input_repeats` times; then the bias, if any.
    neuron: nominal parameters, numbers or tensors [P, 1, 1].
    bias_time: time of an additional input spike into every layer, in tau_syn; None for no bias.
    t_max: end of the observation, in tau_syn, after which spikes are ignored; None for no end.
    input_repeats: number of input lines that carry each external event into the first layer, bias included.
    thetas, delays: of the layers with delays, see `Learned`; and what their delays are, None where no layer has any.
    """

    weights: tuple[Tensor, ...]
    neuron: Neuron
    bias_time: float | None
    t_max: float | None
    input_repeats: int = 1
    thetas: dict[int, Tensor] = field(default_factory=dict)
    delays: DelayModel | None = None

    @property
    def learned(self) -> Learned:
        """What training changes, not a copy."""
        return Learned(self.weights, self.thetas)

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
        spikes = in_order([members for members, _ in parts], [part.spikes for _, part in parts])
        return MixedPass(spikes, parts)

    def _of_one_kind(self, times: Tensor, operation: Operation, rule: str) -> NetworkPass:
        recorded, solved = [], []
        arriving = seen = times[..., :0]  # from the previous layer: at its synapses, and as the backward pass sees it
        for number in range(len(self.weights)):
            external = self._external(number, times)
            arriving = _joined(arriving, operation.external(number, external))
            seen = _joined(seen, external)
            delays = self.delays_of(number)
            emulated = partial(self._emulated, number, operation, delays)
            nominal = partial(self._nominal, number, delays)
            arriving, layer = RULES[rule](emulated, nominal, arriving, seen)
            seen = layer.spikes
            recorded.append(arriving)
            solved.append(layer)
        return NetworkPass(recorded, solved)

    def arrivals(self, times: Tensor, layers: Sequence[Tensor], operation: Operation = IDEAL) -> list[Tensor]:
        """Return the times of the events that arrive at each layer's synapses, [P or 1, B, N]; inf for no event.

        Where synapses have delays of their own, `synaptic_delays`, these must be added.

        times: input times [P or 1, B, N].
        layers: the spike times that the networks returned for them.
        operation: that of the same call, which perturbs inputs, bias and delays; by default they are nominal.
        """
        if operation.members:
            times = times.expand(self.size, -1, -1)
        sent = [times[..., :0], *layers[:-1]]
        external = [operation.external(number, self._external(number, times)) for number in range(len(sent))]
        joined = [_joined(*parts) for parts in zip(sent, external, strict=True)]
        return [self.delays_on(number, operation, times.shape[-2]).arriving(each) for number, each in enumerate(joined)]

    def delays_of(self, number: int) -> NoDelays:
        """Return the nominal delays of a layer."""
        if self.delays is None or number not in self.thetas:
            return NoDelays()
        repeats = self.input_repeats if number == 0 else 1
        bias = self.bias_time is not None
        lines = InputLines(self.weights[number].shape[-2] // repeats - bias, bias, repeats)
        return self.delays.of_layer(number, self.thetas[number], lines)

    def delays_on(self, number: int, operation: Operation, n_samples: int) -> NoDelays:
        """Return the delays of a layer on the substrate, for a batch of samples."""
        return self.delays_of(number).on_substrate(number, operation, n_samples)

    def constrain_delays(self) -> None:
        """Change theta of all layers, in place, to what the function of the delays allows."""
        if self.delays is not None:
            for theta in self.thetas.values():
                self.delays.constrain(theta)

    def _external(self, number: int, times: Tensor) -> Tensor:
        """Return the external events into a layer [P, B, N]: inputs and bias for the first layer, else the bias."""
        if number == 0 and self.bias_time is None and self.input_repeats == 1:
            return times
        bias = times.new_full((*times.shape[:-1], self.bias_time is not None), self.bias_time or 0.0)
        if number > 0:
            return bias
        return torch.cat([times] * self.input_repeats + [bias] * self.input_repeats, dim=-1)

    def _nominal(self, number: int, delays: NoDelays, times: Tensor, observed: Tensor | None = None) -> SolvedLayer:
        """Return a layer of nominal weights and neurons, or its derivatives at observed spikes."""
        crossed = None if observed is None else delays.crossings(observed)
        crossings = solve(delays.arriving(times), self.weights[number], self._parameters, crossed, delays.in_solver())
        spikes = delays.leaving(crossings.spikes) if observed is None else observed
        return SolvedLayer(self._in_time(spikes), crossings, delays)

    def _emulated(self, number: int, operation: Operation, delays: NoDelays, times: Tensor) -> SolvedLayer:
        """Return a layer on the substrate."""
        if not operation.members:
            return self._nominal(number, delays, times)
        delays = delays.on_substrate(number, operation, times.shape[-2])
        weight = operation.weight(number, self.weights[number])
        neuron = operation.neuron(number, self.neuron, (times.shape[-2], self.weights[number].shape[-1]))
        parameters = self._parameters if neuron is self.neuron else neuron.parameters(self.size)
        crossings = solve(delays.arriving(times), weight.value, parameters, delays=delays.in_solver())
        sent = operation.spikes(number, delays.leaving(crossings.spikes))
        return SolvedLayer(self._in_time(sent.value), crossings, delays, weight, sent)

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
        return replace(
            self.with_learned(self.learned.map(lambda tensor: tensor[chosen])),
            neuron=replace(self.neuron, **tensors),
            delays=self.delays and self.delays.only(chosen),
        )

    def to(self, device: torch.device | str) -> Network:
        """Return the same networks with all tensors on a device."""
        parameters = {field.name: getattr(self.neuron, field.name) for field in fields(self.neuron)}
        moved = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in parameters.items()}
        return replace(
            self.with_learned(self.learned.map(lambda tensor: tensor.to(device))),
            neuron=Neuron.trusted(**moved),
            delays=self.delays and self.delays.to(device),
        )

    def with_learned(self, learned: Learned) -> Network:
        """Return the same networks with other weights and delays."""
        return replace(self, weights=learned.weights, thetas=learned.thetas)


def _joined(times: Tensor, external: Tensor) -> Tensor:
    if not external.shape[-1]:
        return times
    if not times.shape[-1]:
        return external
    if len(times) != len(external):  # one for all networks
        lead = np.broadcast_shapes(times.shape[:-1], external.shape[:-1])
        times, external = times.expand(*lead, -1), external.expand(*lead, -1)
    return torch.cat((times, external), dim=-1)
