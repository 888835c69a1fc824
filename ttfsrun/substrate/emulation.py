"""A population's substrates at work: nominal values in, what chips and chance make of them out.

Each network has its own settings, chip and random streams, so that its numbers depend on nothing else; those of a
perturbation depend on no other. P networks, B samples, N inputs and M neurons of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ttfsrun.neuron import Neuron
from ttfsrun.random import stream
from ttfsrun.substrate.backward import RULES, Rule, carried
from ttfsrun.substrate.chip import Chip
from ttfsrun.substrate.perturbation import Perturbation, Where
from ttfsrun.substrate.schema import ChipSpec, all_perturbations


@dataclass(frozen=True)
class Placement:
    """What decides how one network is perturbed.

    perturbed: False for an ideal substrate. trial_seed: `seed.trial`. backward: what the backward pass sees, a key of
    `backward.RULES`.
    """

    chip: ChipSpec
    perturbed: bool
    trial_seed: int
    backward: str


class Member:
    """The substrate of one network."""

    def __init__(self, placement: Placement) -> None:
        self.placement, spec = placement, placement.chip
        self._latest = 0, Chip.of(spec) if placement.perturbed else Chip({})  # an age in epochs, and the chip then
        self.acting: dict[Where, list[Perturbation]] = {}
        for perturbation in all_perturbations(spec.substrate) if placement.perturbed else []:
            if not perturbation.off or perturbation.name in self._latest[1].drawn:
                self.acting.setdefault(perturbation.where, []).append(perturbation)
        self._ages = any(p.age is not None for changes in self.acting.values() for p in changes)

    @property
    def noisy(self) -> bool:
        """Whether something is drawn for each trial."""
        return any(p.when in ("write", "batch", "sample") and p.draw for each in self.acting.values() for p in each)

    @cached_property
    def kind(self) -> tuple[str, bool]:
        """Networks of one kind are computed together, whatever their strengths: by the same kernels, by one rule.

        Time constants of each neuron's own take other kernels, which round differently in the last digit.
        """
        own = any(p.draw for where in ("tau_mem", "tau_syn") for p in self.acting.get(where, ()))
        return (self.placement.backward if self.acting else "same_draw", own)

    def largest_weight(self, weight: Tensor) -> float | Tensor:
        """The unit of strengths that concern weights [N, M]."""
        settings = self.placement.chip.substrate.weight
        bound: float | None = settings.largest if settings is not None else None
        return weight.abs().amax() if bound is None else bound

    def chip(self, age: int) -> Chip:
        """The chip some epochs after its calibration."""
        then, chip = self._latest
        if self._ages and then != age:
            if then > age:
                then, chip = 0, Chip.of(self.placement.chip)
            for epoch in range(then + 1, age + 1):
                chip = chip.older(self.placement.chip, epoch)
            self._latest = age, chip
        return chip


@dataclass(frozen=True)
class Operation:
    """One batch on the substrates of P networks.

    phase, step: what chance is drawn for; `training` and the number of the batch, for example.
    writing: the last step in which weights were written.
    age: of the chips, in epochs.
    """

    members: tuple[Member, ...]
    phase: str
    step: int
    writing: int
    age: int

    @cached_property
    def kinds(self) -> list[list[int]]:
        """The networks of each kind; one list holds them all where they are of one kind."""
        kinds: dict[tuple[str, bool], list[int]] = {}
        for p, member in enumerate(self.members):
            kinds.setdefault(member.kind, []).append(p)
        return list(kinds.values())

    @property
    def rule(self) -> Rule:
        """What the backward pass sees of networks of one kind; where there is no such pass, the shortest way."""
        return RULES[self.members[0].kind[0] if self.members and torch.is_grad_enabled() else "same_draw"]

    def only(self, chosen: Sequence[int]) -> Operation:
        """The same for some of the networks."""
        return replace(self, members=tuple(self.members[p] for p in chosen))

    def external(self, layer: int, times: Tensor) -> Tensor:
        """Input and bias events [P, B, N] as they arrive."""
        return self._changed("input_time", layer, times, times.shape[-2:])

    def spikes(self, layer: int, times: Tensor) -> Tensor:
        """Spike times [P, B, M] as they arrive and are recorded."""
        return self._changed("spike_time", layer, times, times.shape[-2:])

    def silent_by_itself(self, layer: int, silent: Tensor) -> Tensor:
        """Where the neurons of a layer are silent [P, B, M], but for dead ones and lost spikes."""
        for p, member in enumerate(self.members):
            for perturbation in member.acting.get("spike_time", ()):
                if perturbation.silences:
                    taken = self._drawn(member, perturbation, layer, silent.shape[1:], torch.bool)
                    silent = silent.index_put((torch.tensor(p),), silent[p] & ~torch.as_tensor(taken))
        return silent

    def weight(self, layer: int, weight: Tensor) -> Tensor:
        """Weights [P, N, M] as they are on the chip."""
        return self._changed("weight", layer, weight, weight.shape[-2:])

    def neuron(self, layer: int, neuron: Neuron, shape: tuple[int, int]) -> Neuron:
        """The neurons of a layer as they are on the chip, parameters [P, B or 1, M or 1]; shape: (B, M)."""
        names: tuple[Where, ...] = ("v_th", "v_leak", "tau_mem", "tau_syn")
        if not any(name in member.acting for member in self.members for name in names):
            return neuron
        nominal = {name: self._for_each(getattr(neuron, name)) for name in names}
        theta = nominal["v_th"] - nominal["v_leak"]
        return Neuron(
            v_th=self._changed("v_th", layer, nominal["v_th"], shape, theta),
            v_leak=self._changed("v_leak", layer, nominal["v_leak"], shape, theta),
            tau_mem=self._changed("tau_mem", layer, nominal["tau_mem"], shape),
            tau_syn=self._changed("tau_syn", layer, nominal["tau_syn"], shape),
        )

    def _for_each(self, value: float | Tensor) -> Tensor:
        """A parameter of the neurons as [P, 1, 1], or [P, 1, M] if each has its own."""
        tensor = torch.as_tensor(value, dtype=torch.float64)
        return tensor.expand(len(self.members), *(tensor.shape[-2:] if tensor.ndim > 1 else (1, 1)))

    def _changed(
        self, where: Where, layer: int, values: Tensor, shape: Sequence[int], units: Tensor | None = None
    ) -> Tensor:
        """values [P, ...] of a quantity as perturbed; shape: that of one network, with a row for each sample."""
        if not values.numel() or not any(where in member.acting for member in self.members):
            return values
        changed = []
        for p, member in enumerate(self.members):
            value = values[p]
            unit = member.largest_weight(value) if where == "weight" else 1.0 if units is None else units[p]
            for perturbation in member.acting.get(where, ()):
                drawn = self._drawn(member, perturbation, layer, shape, value.dtype)
                if perturbation.straight_through:
                    value = carried(perturbation.change(value.detach(), drawn, unit), value)
                else:
                    value = perturbation.change(value, drawn, unit)
            changed.append(value)
        alike = len({value.shape for value in changed}) == 1
        return torch.stack(changed if alike else torch.broadcast_tensors(*changed))

    def _drawn(
        self, member: Member, perturbation: Perturbation, layer: int, shape: Sequence[int], dtype: torch.dtype
    ) -> Tensor | None:
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


IDEAL = Operation((), "", 0, 0, 0)  # changes nothing, of any networks


@dataclass(frozen=True)
class Emulation:
    """The substrates of P networks, for as long as these are trained or evaluated."""

    members: tuple[Member, ...]

    @classmethod
    def of(cls, placements: Sequence[Placement]) -> Emulation:
        """Return the substrates of networks, one for each placement."""
        return cls(tuple(map(Member, placements)))

    @property
    def ideal(self) -> bool:
        """Whether nothing is perturbed at all."""
        return not any(member.acting for member in self.members)

    @property
    def noisy(self) -> bool:
        """Whether something is drawn for each trial."""
        return any(member.noisy for member in self.members)

    def during(self, phase: str, step: int = 0, *, writing: int = 0, age: int = 0) -> Operation:
        """One batch; see `Operation`."""
        return Operation(self.members, phase, step, writing, age)

    def project(self, weights: Sequence[Tensor]) -> None:
        """Bring the weights [P, N, M] of each layer, in place, to where the chip can hold them."""
        for p, member in enumerate(self.members):
            for perturbation in member.acting.get("weight", ()):
                if perturbation.projects:
                    for weight in weights:
                        weight[p] = perturbation.change(weight[p], None, member.largest_weight(weight[p]))
