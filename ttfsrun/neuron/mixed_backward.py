"""Gradients of a population in which some networks have delays that are all 0: theirs are the bits of none."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ttfsrun.neuron.backward_pass import BackwardPass


def has_delay(delays: Tensor) -> Tensor:
    """Return whether a network has a delay [P, N, M] that is not 0: [P]."""
    return (delays != 0).flatten(1).any(1)


class MixedBackward:
    """A `BackwardPass` of networks of which some are solved as if they had no delays.

    With delays, gradients are computed in another way, and so have other last bits.
    """

    def __init__(self, plain: BackwardPass, delayed: BackwardPass, delays_used: Tensor) -> None:
        self._plain, self._delayed = plain, delayed
        self._used = delays_used[:, None, None]

    def _chosen(self, delayed: Tensor, plain: Tensor) -> Tensor:
        return torch.where(self._used, delayed, plain)

    def by_times(self) -> Tensor:
        return self._chosen(self._delayed.by_times(), self._plain.by_times())

    def by_weight(self, limit: float = math.inf) -> Tensor:
        return self._chosen(self._delayed.by_weight(limit), self._plain.by_weight(limit))

    def by_weight_and_times(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        by_weight, by_times = self._plain.by_weight_and_times(limit)
        return self._chosen(self._delayed.by_weight(limit), by_weight), self._chosen(self._delayed.by_times(), by_times)

    def by_delays(self, limit: float = math.inf) -> Tensor:
        return self._delayed.by_delays(limit)

    def by_weight_and_delays(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        by_weight, by_delays = self._delayed.by_weight_and_delays(limit)
        return self._chosen(by_weight, self._plain.by_weight(limit)), by_delays

    def by_threshold(self, shape: Sequence[int]) -> Tensor:
        return self._delayed.by_threshold(shape)

    def by_constants(self, slow: Sequence[int], fast: Sequence[int]) -> tuple[Tensor, Tensor]:
        of_both = zip(self._delayed.by_constants(slow, fast), self._plain.by_constants(slow, fast), strict=True)
        by_slow, by_fast = (self._chosen(*each) for each in of_both)
        return by_slow, by_fast
