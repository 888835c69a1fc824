"""The settings of a substrate: one group per file in `imperfections`, and the size of the chip."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from ttfsrun.substrate import imperfections
from ttfsrun.substrate.perturbation import Perturbation, Shape
from ttfsrun.types import Count, Settings

IMPERFECTIONS = {
    name: import_module(f"{imperfections.__name__}.{name}")
    for name in sorted(module.name for module in pkgutil.iter_modules(imperfections.__path__))
}


@dataclass(frozen=True)
class NetworkSize:
    """Number of input lines (bias and repeated lines included), of their sources and of neurons, by layer.

    delays: kind of the delays of each layer, as in `network.delays`.
    """

    inputs: tuple[int, ...]
    neurons: tuple[int, ...]
    sources: tuple[int, ...]
    delays: tuple[str, ...]

    def delay_shape(self, layer: int) -> Shape:
        """Return the shape of the delays of a layer on a chip, with a row for each sample where they have noise.

        [1, S] for sources, [1, M] for neurons, [S, M] for synapses, [0, 0] for none.
        """
        sources, neurons = self.sources[layer], self.neurons[layer]
        of_kinds = {"axonal": (1, sources), "dendritic": (1, neurons), "synaptic": (sources, neurons)}
        return of_kinds.get(self.delays[layer], (0, 0))


class ChipSettings(Settings):
    """The chip apart from its imperfections: its file and its size."""

    file: Annotated[str | None, Meta(description="a saved chip, used instead of one drawn from seed.chip; null: none")]
    inputs_per_neuron: Annotated[Count | None, Meta(description="synapses that a neuron has; null: any number")]
    neurons: Annotated[Count | None, Meta(description="neurons of the chip; null: any number")]

    def excess(self, size: NetworkSize) -> str | None:
        """Return a message that says by how much a network is too large; None if it fits."""
        largest, neurons, messages = max(size.inputs), sum(size.neurons), []
        if self.inputs_per_neuron is not None and largest > self.inputs_per_neuron:
            layer = size.inputs.index(largest) + 1
            messages.append(
                f"layer {layer} needs {largest} inputs per neuron (bias and repeated lines included), "
                f"{largest - self.inputs_per_neuron} more than the chip's {self.inputs_per_neuron}"
            )
        if self.neurons is not None and neurons > self.neurons:
            messages.append(f"it has {neurons} neurons, {neurons - self.neurons} more than the chip's {self.neurons}")
        return " and ".join(messages) or None


if TYPE_CHECKING:

    class Substrate(Settings):
        chip: ChipSettings

        def __getattr__(self, name: str) -> Any: ...
else:
    Substrate = msgspec.defstruct(
        "Substrate",
        [("chip", ChipSettings), *((name, module.Settings | None, None) for name, module in IMPERFECTIONS.items())],
        bases=(Settings,),
        module=__name__,
        frozen=True,
        forbid_unknown_fields=True,
        kw_only=True,
    )


@dataclass(frozen=True)
class ChipSpec:
    """All that the fixed pattern of a chip depends on.

    seed: `seed.chip`.
    """

    substrate: Substrate
    seed: int
    size: NetworkSize


def misfit(substrate: Substrate, size: NetworkSize) -> str | None:
    """Return a message that says why a network of this size cannot be on a substrate; None if it can."""
    excess = substrate.chip.excess(size)
    if excess is not None:
        return f"substrate.chip: the network does not fit: {excess}"
    for name, module in IMPERFECTIONS.items():
        if hasattr(module, "mistake") and getattr(substrate, name) is not None:
            mistake = module.mistake(getattr(substrate, name), size)
            if mistake is not None:
                return f"substrate.{name}.{mistake}"
    return None


def all_perturbations(substrate: Substrate) -> list[Perturbation]:
    """Return all perturbations of a substrate, also those that are off, in the order in which they are applied."""
    perturbations = [
        perturbation
        for name, module in IMPERFECTIONS.items()
        if getattr(substrate, name) is not None
        for perturbation in module.perturbations(getattr(substrate, name))
    ]
    return sorted(perturbations, key=lambda perturbation: perturbation.order)
