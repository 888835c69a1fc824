"""Neurons that never spike. Weight bumping leaves them alone: on a chip, they are known."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun import types as kinds
from ttfsrun.substrate.changes import loss
from ttfsrun.substrate.perturbation import Perturbation


class Settings(kinds.Settings):
    """Silent neurons."""

    p: Annotated[kinds.Fraction, Meta(description="probability that a neuron of a chip never spikes")]


def perturbations(settings: Settings) -> list[Perturbation]:
    return [loss("spike_time", "chip", p=settings.p, name="dead_neurons")]
