"""One batch through networks: the spikes of each layer, and their derivatives by all that training changes.

Shapes: P networks of one architecture, B samples, N inputs and M neurons of a layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ttfsrun.network.delays.kinds import NoDelays
from ttfsrun.network.learned import Learned
from ttfsrun.neuron.layer_pass import LayerPass
from ttfsrun.substrate.perturbed import Perturbed


class LayerGradients(NamedTuple):
    """Gradients by what one layer depends on."""

    weight: Tensor  # [P, N, M]
    theta: Tensor | None  # shaped like it; None without delays
    times: Tensor | None  # [P, B, N]: by the inputs as they were sent; None where nobody asked


@dataclass(frozen=True)
class SolvedLayer:
    """The spikes of one layer for one batch, and what their derivatives need.

    spikes: [P, B, M] as they leave the layer; inf for no spike, or for one that was lost or came too late.
    crossings: the solver's spikes and their derivatives.
    delays: of the layer.
    weight, sent: what the substrate did to the weights, and to the spikes that the neurons sent; None: nothing.
    """

    spikes: Tensor
    crossings: LayerPass
    delays: NoDelays
    weight: Perturbed | None = None
    sent: Perturbed | None = None

    def gradients(self, gradient: Tensor, limit: float, with_times: bool) -> LayerGradients:
        """Return the gradients, that by the input times if asked.

        gradient: [P, B, M] by `spikes`; limit: the `gradient_limit` of `first_spike`.
        """
        if self.spikes is not self.crossings.spikes:  # else the kernels skip silent neurons by themselves
            gradient = gradient.masked_fill(self.spikes == math.inf, 0)
        if self.sent is not None:
            gradient = self.sent.backward(gradient)
        backward = self.crossings.backward(gradient)
        found = self.delays.solver_gradients(backward, limit, with_times)
        by_weight = found.weight if self.weight is None else self.weight.backward(found.weight)
        return LayerGradients(by_weight, self.delays.gradient(gradient, found, limit), found.times)


@dataclass(frozen=True)
class NetworkPass:
    """One batch through networks of one kind: the spike times of each layer [P, B, M], and their derivatives."""

    spikes: list[Tensor]
    _solved: list[SolvedLayer]

    def gradients(self, by_spikes: Sequence[Tensor | None], limit: float = math.inf) -> Learned:
        """Return the gradients by the weights and thetas of each layer.

        by_spikes: the gradient by the spike times of each layer [P, B, M]; None for zero, but not for the last layer.
        limit: the `gradient_limit` of `first_spike`.
        """
        weights: list[Tensor] = []
        thetas: dict[int, Tensor] = {}
        by_inputs: Tensor | None = None
        for number in range(len(self.spikes) - 1, -1, -1):
            own, n_neurons = by_spikes[number], self.spikes[number].shape[-1]
            later = None if by_inputs is None else by_inputs[..., :n_neurons]
            gradient = own if later is None else later if own is None else own + later
            assert gradient is not None
            by_weight, by_theta, by_inputs = self._solved[number].gradients(gradient, limit, with_times=number > 0)
            weights.insert(0, by_weight)
            if by_theta is not None:
                thetas[number] = by_theta
        return Learned(tuple(weights), dict(sorted(thetas.items())))


@dataclass(frozen=True)
class MixedPass:
    """One batch through networks of several kinds: a `NetworkPass` for the members of each."""

    spikes: list[Tensor]
    _parts: list[tuple[list[int], NetworkPass]]

    def gradients(self, by_spikes: Sequence[Tensor | None], limit: float = math.inf) -> Learned:
        """Return the gradients by the weights and thetas of each layer; see `NetworkPass.gradients`."""
        parts = [
            part.gradients([None if each is None else each[members] for each in by_spikes], limit)
            for members, part in self._parts
        ]
        members = [members for members, _ in self._parts]
        return parts[0].with_tensors(in_order(members, [part.tensors for part in parts]))


def in_order(members: Sequence[Sequence[int]], parts: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Return the tensors [P, ...] of each layer, from those of the networks of each part."""
    order = np.argsort([p for group in members for p in group]).tolist()
    return [torch.cat(layers)[order] for layers in zip(*parts, strict=True)]
