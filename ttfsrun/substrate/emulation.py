"""The substrates of a population at work: they turn nominal values into perturbed ones.

Each network has its own settings, chip and random streams, so its numbers do not depend on the other networks. The
numbers of one perturbation do not depend on the other perturbations. Shapes: P networks, B samples, N inputs and M
neurons of a layer. Nothing here is recorded for torch's autograd: `Perturbed` has the derivatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import get_args

import torch
from torch import Tensor

from ttfsrun.neuron import Neuron
from ttfsrun.neuron.draws import StepNumber
from ttfsrun.substrate.member import Member, Placement
from ttfsrun.substrate.perturbation import Where
from ttfsrun.substrate.perturbed import Perturbed
from ttfsrun.substrate.pipeline import Moment, Pipeline, Unit

PARAMETERS: tuple[Where, ...] = ("v_th", "v_leak", "tau_mem", "tau_syn")  # of neurons


@dataclass(frozen=True)
class Emulation:
    """The substrates of P networks, for a training or an evaluation.

    members: the substrates; empty for ideal ones, of any number of networks.
    device: of all tensors that the substrates are given.
    """

    members: tuple[Member, ...]
    device: torch.device
    _parts: dict[tuple[int, ...], Emulation] = field(default_factory=dict, init=False, compare=False)

    @classmethod
    def of(cls, placements: Sequence[Placement], device: str | torch.device = "cpu") -> Emulation:
        """Return the substrates of networks, one per placement."""
        different = {placement: Member(placement) for placement in set(placements)}
        return cls(tuple(different[placement] for placement in placements), torch.device(device))

    @property
    def ideal(self) -> bool:
        """Whether no network is perturbed."""
        return not any(member.acting for member in self.members)

    @property
    def noisy(self) -> bool:
        """Whether random numbers are drawn in each trial."""
        return any(placement.noisy for placement in {member.placement for member in self.members})

    @property
    def ageing(self) -> bool:
        """Whether any chip changes from epoch to epoch."""
        return any(member.ages for member in self.members)

    @cached_property
    def kinds(self) -> list[list[int]]:
        """Indices of the networks of each kind (`Member.kind`)."""
        kinds: dict[tuple[str, bool], list[int]] = {}
        for p, member in enumerate(self.members):
            kinds.setdefault(member.kind, []).append(p)
        return list(kinds.values())

    @cached_property
    def pipelines(self) -> dict[Where, list[Pipeline]]:
        """The perturbations of each quantity that has any."""
        found = {where: Pipeline.all_of(where, self.members, self.device) for where in get_args(Where)}
        return {where: pipelines for where, pipelines in found.items() if pipelines}

    @cached_property
    def loses_spikes(self) -> bool:
        """Whether any spike may be lost, as those of dead neurons are."""
        pipelines = self.pipelines.get("spike_time", ())
        return any(perturbation.silences for pipeline in pipelines for perturbation in pipeline.perturbations)

    def only(self, chosen: Sequence[int]) -> Emulation:
        """Return the substrates of some of the networks, the same object each time."""
        indices = tuple(chosen)
        if indices not in self._parts:
            self._parts[indices] = Emulation(tuple(self.members[p] for p in indices), self.device)
        return self._parts[indices]

    def during(self, phase: str, step: StepNumber = 0, *, writing: StepNumber = 0, age: int = 0) -> Operation:
        """Return the operation of one batch; for the arguments, see `Moment`."""
        return Operation(phase, step, writing, age, self)

    def project(self, weights: Sequence[Tensor]) -> None:
        """Project the weights [P, N, M] of each layer, in place, onto those that the chip can hold."""
        for pipeline in self.pipelines.get("weight", ()):
            for weight in weights:
                pipeline.project(weight)


@dataclass(frozen=True)
class Operation(Moment):
    """One batch on the substrates of P networks."""

    substrates: Emulation

    @property
    def members(self) -> tuple[Member, ...]:
        """The substrate of each network; empty if all are ideal."""
        return self.substrates.members

    @property
    def kinds(self) -> list[list[int]]:
        """Indices of the networks of each kind (`Member.kind`)."""
        return self.substrates.kinds

    @property
    def rule(self) -> str:
        """Rule of the backward pass, a key of `backward.RULES`; all networks must be of one kind."""
        return self.members[0].kind[0] if self.members else "same_draw"

    def only(self, chosen: Sequence[int]) -> Operation:
        """Return the operation restricted to some of the networks."""
        return replace(self, substrates=self.substrates.only(chosen))

    def external(self, layer: int, times: Tensor) -> Tensor:
        """Return the times of input and bias events [P, B, N] as they arrive on the chip."""
        return self._perturbed("input_time", layer, times, times.shape[-2:]).value

    def spikes(self, layer: int, times: Tensor) -> Perturbed:
        """Return spike times [P, B, M] as they arrive at the next layer and are recorded."""
        return self._perturbed("spike_time", layer, times, times.shape[-2:])

    def silent_by_itself(self, layer: int, times: Tensor) -> Tensor:
        """Return spike times [P, B, M] that are inf only for neurons silent by themselves: 0 for dead and lost ones."""
        for pipeline in self.substrates.pipelines.get("spike_time", ()):
            lost = pipeline.lost(layer, times.shape[1:], self)
            if lost is not None:
                own = pipeline.own(times).masked_fill(lost, 0.0)
                times = own if pipeline.chosen is None else times.index_put((pipeline.chosen,), own)
        return times

    def delays(self, layer: int, delays: Tensor, shape: Sequence[int]) -> Perturbed:
        """Return delays [P, 1, S or M], or [P, S, M] of synapses, as they are on the chip; with noise, [P, B, S or M].

        shape: (B, S), (B, M) or (S, M).
        """
        return self._perturbed("delay", layer, delays, shape)

    def weight(self, layer: int, weight: Tensor) -> Perturbed:
        """Return weights [P, N, M] as they are on the chip."""
        return self._perturbed("weight", layer, weight, weight.shape[-2:])

    def neuron(self, layer: int, neuron: Neuron, shape: tuple[int, int]) -> Neuron:
        """Return the neurons of a layer as they are on the chip, with parameters [P, B or 1, M or 1]; shape: (B, M)."""
        acting = [name for name in PARAMETERS if name in self.substrates.pipelines]
        if not acting:
            return neuron
        nominal = {name: self._per_network(getattr(neuron, name)) for name in PARAMETERS}
        theta = nominal["v_th"] - nominal["v_leak"]
        units: dict[Where, Unit] = {"v_th": theta, "v_leak": theta}
        changed = {
            name: self._perturbed(name, layer, nominal[name], shape, units.get(name, 1.0)).value for name in acting
        }
        return Neuron.trusted(**(nominal | changed))

    def _per_network(self, value: float | Tensor) -> Tensor:
        """Return a parameter of the neurons as [P, 1, 1], or as [P, 1, M] if each neuron has its own."""
        tensor = torch.as_tensor(value, dtype=torch.float64, device=self.substrates.device)
        return tensor.expand(len(self.members), *(tensor.shape[-2:] if tensor.ndim > 1 else (1, 1)))

    def _perturbed(
        self, where: Where, layer: int, values: Tensor, shape: Sequence[int], units: Unit = 1.0
    ) -> Perturbed:
        """Return the values [P, ...] of a quantity as perturbed; shape: of one network's values, one row per sample."""
        pipelines = self.substrates.pipelines.get(where, ())
        if not pipelines or not values.numel():
            return Perturbed(values)
        results = [pipeline.run(layer, values, shape, self, units) for pipeline in pipelines]
        paths = tuple(path for _, path in results if path.steps)
        if pipelines[0].chosen is None:
            return Perturbed(results[0][0], paths)
        largest = torch.broadcast_shapes(values.shape[1:], *(value.shape[1:] for value, _ in results))
        perturbed = values.expand(len(values), *largest).clone()
        for pipeline, (value, _) in zip(pipelines, results, strict=True):
            perturbed[pipeline.chosen] = value
        return Perturbed(perturbed, paths)


IDEAL = Emulation((), torch.device("cpu")).during("")  # on ideal substrates, for any number of networks
