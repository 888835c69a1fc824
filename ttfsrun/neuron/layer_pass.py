"""One layer of P networks and one batch: the spikes, and their derivatives by whatever they depend on.

`first_spike` makes this a differentiable function for users of torch; the training uses it directly.

Shapes: P networks of B samples, N inputs, M neurons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from ttfsrun.neuron.device import device_of
from ttfsrun.neuron.lane_pass import LanePass
from ttfsrun.neuron.parameters import Parameters
from ttfsrun.neuron.vector_pass import VectorPass


class BackwardPass(Protocol):
    """Gradients by times, weights and parameters, from a gradient [P, B, M] by the spikes."""

    def by_times(self) -> Tensor:
        """Return the gradient by the input times, [P, B, N]."""

    def by_weight(self, limit: float = math.inf) -> Tensor:
        """Return the gradient by the weights, [P, N, M]; limit: the `gradient_limit` of `first_spike`."""

    def by_weight_and_times(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        """Return both of the above, in less time."""

    def by_delays(self, limit: float = math.inf) -> Tensor:
        """Return the gradient by the delays, [P, N, M], of the samples that count in that by the neuron's weights.

        The gradient of a neuron by its delays is large where that by its weights is, as V'(T) divides both.
        """

    def by_weight_and_delays(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        """Return the gradients by the weights and by the delays, in less time."""

    def by_threshold(self, shape: Sequence[int]) -> Tensor:
        """Return the gradient by theta, of this shape, float64."""

    def by_constants(self, slow: Sequence[int], fast: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the gradients by the slower and by the faster time constant, of these shapes, float64."""


class LayerPass(Protocol):
    """First spikes of a layer, or spikes that were observed elsewhere, and their derivatives.

    spikes: [P, B, M], inf for no spike.
    """

    spikes: Tensor

    def backward(self, gradient: Tensor) -> BackwardPass:
        """Return the backward pass from a gradient [P, B, M] by the spikes."""


def solve(
    times: Tensor,
    weight: Tensor,
    parameters: Parameters,
    observed: Tensor | None = None,
    delays: Tensor | None = None,
) -> LayerPass:
    """Return the pass of a layer.

    times [P, B, N], weight [P, N, M], both float32 or both float64; observed [P, B, M] of the same type: spikes that
    are taken as they are, with the derivatives that the neurons have there; delays [P, N, M] of the same type, finite
    and >= 0: input i reaches neuron j so much later. All are on one device. Only a pass with delays has gradients by
    them.

    Raises ValueError for times that are NaN or -inf, and for weights that are not finite; on a device other than the
    CPU, such a network has no spikes, or spikes at NaN.
    """
    kind = VectorPass if device_of(times).lanes > 1 else LanePass
    return kind(times, weight, parameters, observed, delays)
