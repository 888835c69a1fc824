"""What training changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Learned:
    """A tensor for each part of P networks that training changes: its values, or the gradients by them.

    weights: of each layer, [P, N, M].
    thetas: of which the delays are a function, for each layer with delays, by its number; [P, S or 1, M or 1] for S
        sources and M neurons.
    """

    weights: tuple[Tensor, ...]
    thetas: dict[int, Tensor] = field(default_factory=dict)

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors, the weights first."""
        return [*self.weights, *self.thetas.values()]

    def with_tensors(self, tensors: Sequence[Tensor]) -> Learned:
        """Return the same parts with other tensors, in the order of `tensors`."""
        n_layers = len(self.weights)
        return Learned(tuple(tensors[:n_layers]), dict(zip(self.thetas, tensors[n_layers:], strict=True)))

    def map(self, change: Callable[[Tensor], Tensor]) -> Learned:
        """Return the same parts with each tensor changed."""
        return self.with_tensors([change(tensor) for tensor in self.tensors])

    def of_network(self, p: int) -> Learned:
        """Return those of one network, as a population of one."""
        return self.map(lambda tensor: tensor[p : p + 1])

    @staticmethod
    def joined(parts: Sequence[Learned]) -> Learned:
        """Return those of several populations as one."""
        return parts[0].with_tensors([torch.cat(same) for same in zip(*(part.tensors for part in parts), strict=True)])
