"""Weight bumping (Goeltz et al. 2021, methods): silent neurons have no gradient, so their weights are raised instead.

In a step in which too many neurons of a layer are silent, a network does not follow the gradient. It adds a small value
to all weights of each neuron of that layer which is silent for some sample. The value doubles while the same layer
keeps triggering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.config.schema import WeightBumping
from ttfsrun.neuron.kernels.compiled import compiled

Array = NDArray[Any]

LARGEST_BUMP = 1e6  # beyond it, the value no longer doubles: a chip may hold weights too small for any spike


@dataclass
class Bumping:
    """Weight bumping of each network: the layer bumped in the last step (-1: none), and by how much [P]."""

    layer: Tensor
    value: Tensor

    @classmethod
    def none(cls, size: int) -> Bumping:
        """Return the state before the first step."""
        return cls(torch.full((size,), -1), torch.zeros(size, dtype=torch.float64))


@compiled
def _count(silent: Array, counts: Array, ever: Array) -> None:
    """Fill in, for masks [P, B, M], how many entries are set [P], and which neurons are for some sample [P, M]."""
    for p in range(silent.shape[0]):
        total = 0
        ever[p] = 0
        for b in range(silent.shape[1]):
            for m in range(silent.shape[2]):
                total += silent[p, b, m]
                ever[p, m] |= silent[p, b, m]
        counts[p] = total


@compiled
def _choose(fractions: Array, allowed: Array, first: float, layer: Array, value: Array) -> None:
    """Update the state of each network from its silent fractions [P, layers]."""
    for p in range(fractions.shape[0]):
        chosen = -1
        for number in range(fractions.shape[1] - 1, -1, -1):
            if fractions[p, number] > allowed[number]:
                chosen = number
        if chosen >= 0:
            value[p] = min(2 * value[p], LARGEST_BUMP) if layer[p] == chosen else first
        layer[p] = chosen


@compiled
def _raise(weight: Array, ever: Array, number: int, layer: Array, value: Array) -> None:
    """Raise the weights [P, N, M] of one layer in the networks in which it was chosen."""
    for p in range(weight.shape[0]):
        if layer[p] == number:
            for i in range(weight.shape[1]):
                for m in range(weight.shape[2]):
                    if ever[p, m]:
                        weight[p, i, m] += value[p]


def count_silent(silent: Array) -> tuple[NDArray[np.float64], Array]:
    """Return the fraction [P] of a mask [P, B, M] that is set, and for which neurons it ever is, [P, M]."""
    counts, ever = np.empty(len(silent), np.int64), np.empty((silent.shape[0], silent.shape[2]), np.uint8)
    _count(silent.view(np.uint8), counts, ever)
    return counts / silent[0].size, ever


def bump(
    weights: Sequence[Tensor], silent: Sequence[tuple[Array, Array]], settings: WeightBumping, state: Bumping
) -> Array:
    """Raise the weights of silent neurons in the first layer that has too many; return the bumped networks, bool [P].

    silent: of each layer, what `count_silent` returns.
    """
    fractions = np.stack([fraction for fraction, _ in silent], axis=1)
    layer, value = state.layer.numpy(), state.value.numpy()
    _choose(fractions, np.array(settings.silent_fraction, np.float64), float(settings.value), layer, value)
    bumped = layer >= 0
    if bumped.any():
        for number, (weight, (_, ever)) in enumerate(zip(weights, silent, strict=True)):
            _raise(weight.numpy(), ever, number, layer, value)
    return bumped
