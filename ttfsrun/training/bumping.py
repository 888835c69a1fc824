"""Weight bumping (Goeltz et al. 2021, methods): silent neurons have no gradient, so their weights are raised instead.

In a step in which too many neurons of a layer are silent, a network does not follow the gradient. It adds a small value
to all weights of each neuron of that layer which is silent for some sample. The value doubles while the same layer
keeps triggering. What is added may follow the schedule of the learning rate, so that it ends as the learning does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ttfsrun.neuron.kernels.compiled import compiled

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


class BumpingLimits(NamedTuple):
    """Settings of weight bumping."""

    allowed: Any  # [layers], float64: silent fraction
    first: float  # bump


@compiled
def choose_layer(p, fractions, limits, layer, value):
    """Set which layer of network p is bumped, and by how much; fractions [layers]: silent, by itself, in this step."""
    chosen = -1
    for number in range(len(fractions) - 1, -1, -1):
        if fractions[number] > limits.allowed[number]:
            chosen = number
    if chosen >= 0:
        value[p] = max(limits.first, min(2 * value[p], LARGEST_BUMP)) if layer[p] == chosen else limits.first
    layer[p] = chosen
