"""What the backward pass of a layer offers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


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
