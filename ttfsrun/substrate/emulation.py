"""The substrates of a population at work: they turn nominal values into perturbed ones.

Each network has its own settings, chip and random streams, so its numbers do not depend on the other networks. The
numbers of one perturbation do not depend on the other perturbations. Shapes: P networks, B samples, N inputs and M
neurons of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ttfsrun.neuron import Neuron
from ttfsrun.random import stream
from ttfsrun.substrate.chip import Chip
from ttfsrun.substrate.perturbation import Perturbation, Where
from ttfsrun.substrate.schema import ChipSpec, all_perturbations


@dataclass(frozen=True)
class Placement:
    """The substrate that one network runs on, and how it is used.

    chip: the settings, seed and size that determine the chip.
    perturbed: False for an ideal substrate.
    trial_seed: `seed.trial`.
    backward: rule of the backward pass, a key of `backward.RULES`.
    """

    chip: ChipSpec
    perturbed: bool
    trial_seed: int
    backward: str


class Member:
    """The substrate of one network of a population: its chip, and the perturbations that act on each quantity."""

    def __init__(self, placement: Placement) -> None:
        self.placement, spec = placement, placement.chip
        self._latest = (
            0,
            Chip.of(spec) if placement.perturbed else Chip({}),
        )  # an age in epochs, and the chip at that age
        self.acting: dict[Where, list[Perturbation]] = {}
        for perturbation in all_perturbations(spec.substrate) if placement.perturbed else []:
            if not perturbation.off or perturbation.name in self._latest[1].drawn:
                self.acting.setdefault(perturbation.where, []).append(perturbation)
        self._ages = any(p.age is not None for p in self._all_acting())

    def _all_acting(self) -> list[Perturbation]:
        return [p for perturbations in self.acting.values() for p in perturbations]

    @property
    def noisy(self) -> bool:
        """Whether random numbers are drawn in each trial."""
        return any(p.when in ("write", "batch", "sample") and p.draw for p in self._all_acting())

    @cached_property
    def kind(self) -> tuple[str, bool]:
        """The rule of the backward pass, and whether each neuron has its own time constants.

        Networks of one kind are computed together, whatever their strengths. Individual time constants need other
        kernels, which round the last digit differently.
        """
        individual = any(p.draw for where in ("tau_mem", "tau_syn") for p in self.acting.get(where, ()))
        return (self.placement.backward if self.acting else "same_draw", individual)

    def largest_weight(self, weight: Tensor) -> float | Tensor:
        """Return the unit of the strengths of weight perturbations, for the weights [N, M] of a layer."""
        settings = self.placement.chip.substrate.weight
        bound: float | None = settings.largest if settings is not None else None
        return weight.abs().amax() if bound is None else bound

    def chip(self, age: int) -> Chip:
        """Return the chip `age` epochs after its calibration."""
        latest, chip = self._latest
        if self._ages and latest != age:
            if latest > age:
                latest, chip = 0, Chip.of(self.placement.chip)
            for epoch in range(latest + 1, age + 1):
                chip = chip.aged(self.placement.chip, epoch)
            self._latest = age, chip
        return chip


@dataclass(frozen=True)
class Perturbed:
    value: Tensor

    def backward(self, gradient: Tensor) -> Tensor:
        return gradient


@dataclass(frozen=True)
class Operation:
    """One batch on the substrates of P networks.

    members: the substrates; empty for ideal ones.
    phase, step: keys of the random numbers that are drawn, for example `training` and the number of the batch.
    writing: the step in which the weights were last written to the chips.
    age: age of the chips, in epochs.
    """

    members: tuple[Member, ...]
    phase: str
    step: int
    writing: int
    age: int

    @cached_property
    def kinds(self) -> list[list[int]]:
        """Indices of the networks of each kind (`Member.kind`)."""
        kinds: dict[tuple[str, bool], list[int]] = {}
        for p, member in enumerate(self.members):
            kinds.setdefault(member.kind, []).append(p)
        return list(kinds.values())

    @property
    def rule(self) -> str:
        """Rule of the backward pass, a key of `RULES`; all networks must be of one kind."""
        return self.members[0].kind[0] if self.members else "same_draw"

    def only(self, chosen: Sequence[int]) -> Operation:
        """Return the operation restricted to some of the networks."""
        return replace(self, members=tuple(self.members[p] for p in chosen))

    def external(self, layer: int, times: Tensor) -> Tensor:
        """Return the times of input and bias events [P, B, N] as they arrive on the chip."""
        return self._perturbed("input_time", layer, times, times.shape[-2:])

    def spikes(self, layer: int, times: Tensor) -> Perturbed:
        """Return spike times [P, B, M] as they arrive at the next layer and are recorded."""
        return Perturbed(self._perturbed("spike_time", layer, times, times.shape[-2:]))

    def silent_by_itself(self, layer: int, silent: Tensor) -> Tensor:
        """Return a copy of the mask `silent` [P, B, M] that is false for dead neurons and where a spike was lost."""
        for p, member in enumerate(self.members):
            for perturbation in member.acting.get("spike_time", ()):
                if perturbation.silences:
                    lost = self._drawn(member, perturbation, layer, silent.shape[1:], torch.bool)
                    silent = silent.index_put((torch.tensor(p),), silent[p] & ~torch.as_tensor(lost))
        return silent

    def weight(self, layer: int, weight: Tensor) -> Perturbed:
        """Return weights [P, N, M] as they are on the chip."""
        return Perturbed(self._perturbed("weight", layer, weight, weight.shape[-2:]))

    def neuron(self, layer: int, neuron: Neuron, shape: tuple[int, int]) -> Neuron:
        """Return the neurons of a layer as they are on the chip, with parameters [P, B or 1, M or 1]; shape: (B, M)."""
        names: tuple[Where, ...] = ("v_th", "v_leak", "tau_mem", "tau_syn")
        if not any(name in member.acting for member in self.members for name in names):
            return neuron
        nominal = {name: self._per_network(getattr(neuron, name)) for name in names}
        theta = nominal["v_th"] - nominal["v_leak"]
        return Neuron(
            v_th=self._perturbed("v_th", layer, nominal["v_th"], shape, theta),
            v_leak=self._perturbed("v_leak", layer, nominal["v_leak"], shape, theta),
            tau_mem=self._perturbed("tau_mem", layer, nominal["tau_mem"], shape),
            tau_syn=self._perturbed("tau_syn", layer, nominal["tau_syn"], shape),
        )

    def _per_network(self, value: float | Tensor) -> Tensor:
        """Return a parameter of the neurons as [P, 1, 1], or as [P, 1, M] if each neuron has its own."""
        tensor = torch.as_tensor(value, dtype=torch.float64)
        return tensor.expand(len(self.members), *(tensor.shape[-2:] if tensor.ndim > 1 else (1, 1)))

    def _perturbed(
        self, where: Where, layer: int, values: Tensor, shape: Sequence[int], units: Tensor | None = None
    ) -> Tensor:
        """Return the values [P, ...] of a quantity as perturbed; shape: of one network's values, one row per sample."""
        if not values.numel() or not any(where in member.acting for member in self.members):
            return values
        perturbed = []
        for p, member in enumerate(self.members):
            value = values[p]
            unit = member.largest_weight(value) if where == "weight" else 1.0 if units is None else units[p]
            for perturbation in member.acting.get(where, ()):
                drawn = self._drawn(member, perturbation, layer, shape, value.dtype)
                value = perturbation.apply(value, drawn, unit)
            perturbed.append(value)
        same_shape = len({value.shape for value in perturbed}) == 1
        return torch.stack(perturbed if same_shape else torch.broadcast_tensors(*perturbed))

    def _drawn(
        self, member: Member, perturbation: Perturbation, layer: int, shape: Sequence[int], dtype: torch.dtype
    ) -> Tensor | None:
        """Return what a perturbation draws for one layer of one network; None if it draws nothing."""
        if perturbation.draw is None:
            return None
        if perturbation.when == "chip":
            array = member.chip(self.age).drawn[perturbation.name][layer]
        else:
            rows = shape[0] if perturbation.when == "sample" or perturbation.where == "weight" else 1
            step = self.writing if perturbation.when == "write" else self.step
            purpose = f"{perturbation.stream or perturbation.name} in {self.phase}"
            random = stream(member.placement.trial_seed, purpose, layer=layer, step=step)
            array = perturbation.draw(random, (rows, *shape[1:]))
        return torch.from_numpy(array) if array.dtype == bool else torch.from_numpy(array).to(dtype)


IDEAL = Operation((), "", 0, 0, 0)  # on ideal substrates, for any number of networks


@dataclass(frozen=True)
class Emulation:
    """The substrates of P networks, for a training or an evaluation."""

    members: tuple[Member, ...]

    @classmethod
    def of(cls, placements: Sequence[Placement]) -> Emulation:
        """Return the substrates of networks, one per placement."""
        return cls(tuple(map(Member, placements)))

    @property
    def ideal(self) -> bool:
        """Whether no network is perturbed."""
        return not any(member.acting for member in self.members)

    @property
    def noisy(self) -> bool:
        """Whether random numbers are drawn in each trial."""
        return any(member.noisy for member in self.members)

    def during(self, phase: str, step: int = 0, *, writing: int = 0, age: int = 0) -> Operation:
        """Return the operation of one batch; for the arguments, see `Operation`."""
        return Operation(self.members, phase, step, writing, age)

    def project(self, weights: Sequence[Tensor]) -> None:
        """Project the weights [P, N, M] of each layer, in place, onto those that the chip can hold."""
        for p, member in enumerate(self.members):
            for perturbation in member.acting.get("weight", ()):
                if perturbation.projects:
                    for weight in weights:
                        weight[p] = perturbation.apply(weight[p], None, member.largest_weight(weight[p]))
