"""The input lines of a layer: events of one source may arrive on several of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ttfsrun.neuron.parameters import sum_in_pairs


@dataclass(frozen=True)
class InputLines:
    """The order of a layer's N input lines: all inputs, as often as they are repeated, then the bias as often.

    inputs: neurons of the previous layer, or inputs of the network. bias: whether there is one. The S sources are the
    inputs and then the bias.
    """

    inputs: int
    bias: bool
    repeats: int = 1

    @property
    def sources(self) -> int:
        """Number of sources, S."""
        return self.inputs + self.bias

    def spread(self, values: Tensor) -> Tensor:
        """Return values of sources [P, S, K] as those of lines [P, N, K]."""
        if self.repeats == 1:
            return values
        inputs, bias = values[:, : self.inputs], values[:, self.inputs :]
        return torch.cat((inputs.repeat(1, self.repeats, 1), bias.repeat(1, self.repeats, 1)), dim=1)

    def gather(self, values: Tensor) -> Tensor:
        """Return the sums [P, S, K] over the lines of each source, of values of lines [P, N, K]."""
        if self.repeats == 1:
            return values
        parts = values.split((self.inputs * self.repeats, values.shape[1] - self.inputs * self.repeats), dim=1)
        repeated = [part.unflatten(1, (self.repeats, -1)) for part in parts if part.shape[1]]
        return torch.cat([sum_in_pairs(part, 1)[:, 0] for part in repeated], dim=1)
