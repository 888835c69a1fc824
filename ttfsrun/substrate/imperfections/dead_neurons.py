"""Neurons that never spike. Weight bumping skips them: on a chip, it is known which they are."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.kinds import lost_spikes
from ttfsrun.substrate.perturbation import Perturbation


class Settings(types.Settings):
    """Silent neurons."""

    p: Annotated[types.Fraction, Meta(description="probability that a neuron of a chip never spikes")]


def perturbations(settings: Settings) -> list[Perturbation]:
    return [lost_spikes("spike_time", "chip", p=settings.p, name="dead_neurons")]
