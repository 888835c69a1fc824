"""The neurons of a layer as the solver takes them, and sums of derivatives by what neurons share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

INVALID_TIME = "a spike time is NaN or -inf; inf means no spike"
EVENTS_PER_SPIKE = 60  # cost of finding a spike, in synaptic events


@dataclass(frozen=True, eq=False)
class Parameters:
    """Neurons of a layer, float64: v_th - v_leak, and the larger and the smaller time constant. They never change."""

    theta: Tensor  # [P, B or 1, M or 1]
    slow: Tensor  # [P, 1, M or 1]
    fast: Tensor  # [P, 1, M or 1]
    _arranged: dict[Any, Any] = field(default_factory=dict, init=False)

    def arranged(self, n_neurons: int, arrange: Callable[[Parameters, int], Any]) -> Any:
        """Return arrange(self, n_neurons), computed once for each number of neurons."""
        key = arrange, n_neurons
        if key not in self._arranged:
            self._arranged[key] = arrange(self, n_neurons)
        return self._arranged[key]


def sum_to_shape(values: Tensor, shape: Sequence[int]) -> Tensor:
    """Return values [P, B, M] summed to [P, B or 1, M or 1], in float64."""
    values = values.double()
    for axis in (1, 2):
        if shape[axis] == 1:
            values = sum_in_pairs(values, axis)
    return values


def sum_in_pairs(values: Tensor, axis: int) -> Tensor:
    """Return the sum over one axis, which is kept with length 1, in an order that depends on its length alone.

    The second half is added to the first one until one value is left, so that every device rounds alike.
    """
    if values.shape[axis] == 0:
        return values.new_zeros([1 if n == axis else size for n, size in enumerate(values.shape)])
    while values.shape[axis] > 1:
        middle = (values.shape[axis] + 1) // 2
        first, second = values.split((middle, values.shape[axis] - middle), axis)
        paired, rest = first.split((second.shape[axis], middle - second.shape[axis]), axis)
        values = torch.cat((paired + second, rest), axis)
    return values
