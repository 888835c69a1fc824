"""The substrate of one network of a population: its chip, and the perturbations that act on each quantity."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from ttfsrun.substrate.chip import Chip
from ttfsrun.substrate.perturbation import Perturbation, When, Where
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

    @property
    def noisy(self) -> bool:
        """Whether random numbers are drawn in each trial."""
        drawn = (p for p in all_perturbations(self.chip.substrate) if p.when in ("write", "batch", "sample") and p.draw)
        return self.perturbed and any(not p.off for p in drawn)


class Member:
    """The substrate of one network of a population: its chip, and the perturbations that act on each quantity."""

    def __init__(self, placement: Placement, drawn: Collection[When] = get_args(When)) -> None:
        """drawn: only the perturbations that are drawn at these times act."""
        self.placement, spec = placement, placement.chip
        self._latest = (
            0,
            Chip.of(spec) if placement.perturbed else Chip({}),
        )  # an age in epochs, and the chip at that age
        self.acting: dict[Where, tuple[Perturbation, ...]] = {}
        for perturbation in all_perturbations(spec.substrate) if placement.perturbed else []:
            if perturbation.when in drawn and (not perturbation.off or perturbation.name in self._latest[1].drawn):
                self.acting[perturbation.where] = (*self.acting.get(perturbation.where, ()), perturbation)
        self.ages = any(p.age is not None for perturbations in self.acting.values() for p in perturbations)

    @cached_property
    def kind(self) -> tuple[str, bool]:
        """The rule of the backward pass, and whether each neuron has its own time constants.

        Networks of one kind are computed together, whatever their strengths. Individual time constants need other
        kernels, which round the last digit differently.
        """
        individual = any(p.draw for where in ("tau_mem", "tau_syn") for p in self.acting.get(where, ()))
        return (self.placement.backward if self.acting else "same_draw", individual)

    @property
    def largest_weight(self) -> float | None:
        """The unit of the strengths of weight perturbations; None: the largest magnitude of each layer."""
        settings = self.placement.chip.substrate.weight
        largest: float | None = settings.largest if settings is not None else None
        return largest

    def chip(self, age: int) -> Chip:
        """Return the chip `age` epochs after its calibration."""
        latest, chip = self._latest
        if self.ages and latest != age:
            if latest > age:
                latest, chip = 0, Chip.of(self.placement.chip)
            for epoch in range(latest + 1, age + 1):
                chip = chip.aged(self.placement.chip, epoch)
            self._latest = age, chip
        return chip
