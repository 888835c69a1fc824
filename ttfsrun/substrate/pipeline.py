"""Perturbations of one quantity, applied in their order to all networks of a population that have them, at once.

Whatever a network's numbers depend on is its own: its strengths, its chip, its key of random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from operator import or_
from typing import Any

import torch
from torch import Tensor

from ttfsrun.neuron.draws import StepNumber, normal, uniform
from ttfsrun.random import key
from ttfsrun.substrate.member import Member
from ttfsrun.substrate.perturbation import Shape, Where
from ttfsrun.substrate.perturbed import Applied, Path

Unit = float | Tensor
DRAWN_AT_ONCE = 2**18  # numbers: they are drawn in float64 and kept in the type of the values, which is smaller


@dataclass(frozen=True)
class Moment:
    """The time at which a batch is computed.

    phase, step: keys of the random numbers that are drawn, for example `training` and the number of the batch.
    writing: the step in which the weights were last written to the chips.
    age: age of the chips, in epochs.
    """

    phase: str
    step: StepNumber
    writing: StepNumber
    age: int


class Draws:
    """Random numbers of networks in one step, each network's from the stream of its key.

    A second call continues the streams.
    """

    def __init__(self, keys: Tensor, step: StepNumber) -> None:
        self._keys, self._step, self._drawn = keys, step, 0

    def standard_normal(self, size: Shape) -> Tensor:
        """Return standard normal numbers [G, *size], float64."""
        return normal(self._keys, self._step, size, first=self._next(size))

    def random(self, size: Shape) -> Tensor:
        """Return numbers [G, *size] uniform in (0, 1), float64."""
        return uniform(self._keys, self._step, size, first=self._next(size))

    def _next(self, size: Shape) -> int:
        first = self._drawn
        self._drawn += prod(size)
        return first


class Distinct:
    """The different ones among what G networks have, so that what depends on nothing else is computed once for each."""

    def __init__(self, of_networks: Sequence[Any], device: torch.device) -> None:
        self.values = list(dict.fromkeys(of_networks))
        number = {value: d for d, value in enumerate(self.values)}
        some = 1 < len(self.values) < len(of_networks)
        self._numbers = torch.tensor([number[value] for value in of_networks], device=device) if some else None

    def to_networks(self, tensor: Tensor) -> Tensor:
        """Return the networks' part, [G, ...] or [1, ...] for all, of a tensor with a row for each different one."""
        return tensor if self._numbers is None else tensor[self._numbers]


class Pipeline:
    """The networks of a population whose values of one quantity go through perturbations of the same forms."""

    def __init__(self, where: Where, members: Sequence[Member], chosen: Sequence[int], device: torch.device) -> None:
        """members: of the whole population; chosen: the indices of the networks, G of them."""
        self.where, self.device = where, device
        self.chosen = None if len(chosen) == len(members) else torch.tensor(chosen, device=device)
        own = [members[p] for p in chosen]
        self.members = Distinct(own, device)
        self.perturbations = own[0].acting[where]
        same = list(zip(*(member.acting[where] for member in own), strict=True))
        seeds = [member.placement.trial_seed for member in own]
        self._draws = [
            Distinct([(seed, p.strengths) for seed, p in zip(seeds, ps, strict=True)], device) for ps in same
        ]
        self._strengths = [self._columns([p.strengths for p in ps]) for ps in same]
        bounds = [(member.largest_weight,) for member in own if member.largest_weight is not None]
        self._bounds = self._columns(bounds)[0] if bounds else None
        self._streams: dict[tuple[int, str, int], tuple[Tensor, tuple[Tensor, ...]]] = {}
        self._patterns: dict[tuple[int, int, torch.dtype], tuple[int, Tensor]] = {}  # with the age of the chips

    @classmethod
    def all_of(cls, where: Where, members: Sequence[Member], device: torch.device) -> list[Pipeline]:
        """Return the pipelines of one quantity; a network that has no perturbation of it is in none."""
        alike: dict[object, list[int]] = {}
        for p, member in enumerate(members):
            if where in member.acting:
                bounded = where == "weight" and member.largest_weight is not None
                alike.setdefault((bounded, *(q.form for q in member.acting[where])), []).append(p)
        return [cls(where, members, chosen, device) for chosen in alike.values()]

    def run(
        self, layer: int, values: Tensor, shape: Sequence[int], moment: Moment, units: Unit = 1.0
    ) -> tuple[Tensor, Path]:
        """Return the perturbed values of the chosen networks, and the way back.

        values: those of the whole population, [P, ...]. shape: of one network's values, with a row per sample.
        units: of the strengths, [P, 1, 1] or [P, 1, M]; weights have their own.
        """
        value = nominal = self.own(values)
        unit = self._largest_weight(value) if self.where == "weight" else self.own(units)
        steps: list[Applied] = []
        for number, (perturbation, strengths) in enumerate(zip(self.perturbations, self._strengths, strict=True)):
            drawn = self.drawn(number, layer, shape, moment, value.dtype)
            change, arguments = perturbation.change, (value, drawn, unit, *strengths)
            value = change(*arguments)
            if change.by_value is not None or change.by_unit is not None:
                steps.append((change, arguments))
        if self.where == "weight" and self._bounds is None:
            return value, Path(self.chosen, tuple(steps), nominal, unit)
        return value, Path(self.chosen, tuple(step for step in steps if step[0].by_value is not None))

    def lost(self, layer: int, shape: Sequence[int], moment: Moment) -> Tensor | None:
        """Return a mask [G, B or 1, M] of the spikes that were removed; None if none can be."""
        masks = [
            self.drawn(number, layer, shape, moment, torch.bool)
            for number, perturbation in enumerate(self.perturbations)
            if perturbation.silences
        ]
        return reduce(or_, masks) if masks else None

    def project(self, weights: Tensor) -> None:
        """Project the weights [P, N, M] of the chosen networks, in place, onto those that their chips can hold."""
        for perturbation, strengths in zip(self.perturbations, self._strengths, strict=True):
            if perturbation.projects:
                own = self.own(weights)
                projected = perturbation.change(own, None, self._largest_weight(own), *strengths)
                if self.chosen is None:
                    weights.copy_(projected)
                else:
                    weights[self.chosen] = projected

    def own(self, values: Any) -> Any:
        """Return the chosen networks' part of a tensor [P, ...]."""
        return values if self.chosen is None or not isinstance(values, Tensor) else values[self.chosen]

    def _columns(self, rows: Sequence[tuple[float, ...]]) -> tuple[Tensor, ...]:
        """Return numbers of networks as tensors, [G, 1, 1], or [1, 1, 1] where all networks have the same."""
        rows = rows[:1] if len(set(rows)) == 1 else rows
        columns = zip(*rows, strict=True)
        return tuple(torch.tensor(c, dtype=torch.float64, device=self.device).reshape(-1, 1, 1) for c in columns)

    def _largest_weight(self, weight: Tensor) -> Tensor:
        """Return the unit of the strengths of weight perturbations [G, 1, 1], for the weights [G, N, M] of a layer."""
        if self._bounds is None:
            return weight.abs().amax(dim=(1, 2), keepdim=True)
        return self._bounds.to(weight.dtype)

    def drawn(self, number: int, layer: int, shape: Sequence[int], moment: Moment, dtype: torch.dtype) -> Tensor | None:
        """Return what a perturbation draws for one layer of the networks; None if it draws nothing.

        dtype: of the result, unless it is a mask.
        """
        perturbation = self.perturbations[number]
        if perturbation.draw is None:
            return None
        if perturbation.when == "chip":
            return self._pattern(number, layer, moment.age, dtype)
        rows = shape[0] if perturbation.when == "sample" or perturbation.where == "weight" else 1
        size, step = (rows, *shape[1:]), moment.writing if perturbation.when == "write" else moment.step
        keys, strengths = self._stream(number, moment.phase, layer)
        parts, few = [], max(1, DRAWN_AT_ONCE // max(1, prod(size)))
        for first in range(0, len(keys), few):
            part = slice(first, first + few)
            own = [strength if len(strength) == 1 else strength[part] for strength in strengths]
            parts.append(_of_type(perturbation.draw(Draws(keys[part], step), size, *own), dtype))
        return self._draws[number].to_networks(parts[0] if len(parts) == 1 else torch.cat(parts))

    def _pattern(self, number: int, layer: int, age: int, dtype: torch.dtype) -> Tensor:
        """Return the fixed pattern of the networks' chips at an age."""
        perturbation = self.perturbations[number]
        known = self._patterns.get((number, layer, dtype))
        if known is None or (perturbation.age is not None and known[0] != age):
            arrays = [member.chip(age).drawn[perturbation.name][layer] for member in self.members.values]
            pattern = torch.stack([_of_type(torch.from_numpy(array), dtype) for array in arrays]).to(self.device)
            known = self._patterns[number, layer, dtype] = age, self.members.to_networks(pattern)
        return known[1]

    def _stream(self, number: int, phase: str, layer: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the keys, and the strengths, of what a perturbation draws: one for each different draw."""
        if (number, phase, layer) not in self._streams:
            perturbation, different = self.perturbations[number], self._draws[number].values
            purpose = f"{perturbation.stream or perturbation.name} in {phase}"
            keys = torch.tensor([key(seed, purpose, layer=layer) for seed, _ in different], device=self.device)
            self._streams[number, phase, layer] = keys, self._columns([strengths for _, strengths in different])
        return self._streams[number, phase, layer]


def _of_type(drawn: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what was drawn as values of a type; a mask as it is."""
    return drawn if drawn.dtype == torch.bool else drawn.to(dtype)
