"""A layer whose synapses have delays, as P M networks of one neuron: simple, but with an array of size B N M."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ttfsrun.neuron.parameters import Parameters, sum_to_shape


class DelayedPass:
    """A `LayerPass`."""

    def __init__(
        self, kind: Any, inputs: tuple[Tensor, Tensor, Tensor], parameters: Parameters, observed: Tensor | None
    ) -> None:
        times, weight, delays = inputs
        size, n_rows, n_inputs = times.shape
        n_neurons = weight.shape[2]
        self._shape = size, n_rows, n_inputs, n_neurons

        def apart(tensor: Tensor) -> Tensor:
            """[P, B, M] as [P M, B, 1]."""
            return tensor.expand(size, tensor.shape[1], n_neurons).transpose(1, 2).reshape(size * n_neurons, -1, 1)

        arrivals = (times[:, None] + delays.transpose(1, 2)[:, :, None]).reshape(-1, n_rows, n_inputs)
        self._solved = kind(
            arrivals,
            weight.transpose(1, 2).reshape(-1, n_inputs, 1),
            Parameters(*map(apart, parameters)),
            None if observed is None else apart(observed),
        )
        self._apart = apart
        self.spikes = self._solved.spikes.reshape(size, n_neurons, n_rows).transpose(1, 2).contiguous()

    def backward(self, gradient: Tensor) -> DelayedBackward:
        return DelayedBackward(self._solved.backward(self._apart(gradient)), self._shape)


class DelayedBackward:
    """A `BackwardPass`."""

    def __init__(self, backward: Any, shape: Sequence[int]) -> None:
        self._backward, self._shape = backward, shape

    def by_times(self) -> Tensor:
        size, n_rows, n_inputs, n_neurons = self._shape
        return self._backward.by_times().reshape(size, n_neurons, n_rows, n_inputs).sum(1)

    def by_weight(self, limit: float = math.inf) -> Tensor:
        size, _, n_inputs, n_neurons = self._shape
        return self._backward.by_weight(limit).reshape(size, n_neurons, n_inputs).transpose(1, 2).contiguous()

    def by_weight_and_times(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        return self.by_weight(limit), self.by_times()

    def by_delays(self, limit: float = math.inf) -> Tensor:
        size, n_rows, n_inputs, n_neurons = self._shape
        by_times = self._backward.by_times().reshape(size, n_neurons, n_rows, n_inputs)
        return by_times.sum(2).transpose(1, 2).contiguous()

    def by_weight_and_delays(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        return self.by_weight(limit), self.by_delays(limit)

    def by_threshold(self, shape: Sequence[int]) -> Tensor:
        size, n_rows, _, n_neurons = self._shape
        values = self._backward.by_threshold((size * n_neurons, n_rows, 1))
        return sum_to_shape(values.reshape(size, n_neurons, n_rows).transpose(1, 2), shape)

    def by_constants(self, slow: Sequence[int], fast: Sequence[int]) -> tuple[Tensor, Tensor]:
        size, _, _, n_neurons = self._shape
        apart = (size * n_neurons, 1, 1)
        both = self._backward.by_constants(apart, apart)
        by_slow, by_fast = (each.reshape(size, n_neurons, 1).transpose(1, 2) for each in both)
        return sum_to_shape(by_slow, slow), sum_to_shape(by_fast, fast)
