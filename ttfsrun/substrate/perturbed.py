"""A perturbed quantity of a population, and the way back to the derivatives by its nominal values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ttfsrun.neuron.parameters import sum_in_pairs
from ttfsrun.substrate.perturbation import Change

Applied = tuple[Change, tuple[Any, ...]]  # a change, and its arguments


@dataclass(frozen=True)
class Path:
    """How G networks of a population came from the nominal to the perturbed values.

    members: their indices; None for all networks.
    steps: the changes that have other derivatives than 1, in the order in which they were made.
    nominal, largest: the weights and their largest magnitudes [G, 1, 1], if these are the unit of the strengths; else
        None.
    """

    members: Tensor | None
    steps: tuple[Applied, ...]
    nominal: Tensor | None = None
    largest: Tensor | None = None

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient [G, ...] by the nominal values from that by the perturbed ones."""
        by_largest: Tensor | None = None
        for change, arguments in reversed(self.steps):
            if change.by_unit is not None and self.largest is not None:
                part = sum_in_pairs((gradient * change.by_unit(*arguments)).flatten(1)[:, :, None], 1)
                by_largest = part if by_largest is None else by_largest + part
            if change.by_value is not None:
                gradient = gradient * change.by_value(*arguments)
        if by_largest is None or self.nominal is None or self.largest is None:
            return gradient
        attained = self.nominal.abs() == self.largest
        share = by_largest / attained.sum(dim=(1, 2), keepdim=True)
        return gradient + attained * self.nominal.sign() * share


@dataclass(frozen=True)
class Perturbed:
    """A quantity [P, ...] as it is on the substrates of P networks."""

    value: Tensor
    paths: tuple[Path, ...] = ()  # of the networks whose derivatives are other than 1

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient by the nominal quantity from that by the perturbed one, of the same shape."""
        if len(self.paths) == 1 and self.paths[0].members is None:
            return self.paths[0].backward(gradient)
        result = gradient.clone() if self.paths else gradient
        for path in self.paths:
            result[path.members] = path.backward(gradient[path.members])
        return result
