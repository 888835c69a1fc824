"""Leak potentials that differ between neurons and samples. For neurons that spike without input, see `v_th`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.kinds import normal_shift
from ttfsrun.substrate.perturbation import Perturbation


class Settings(types.Settings):
    """Normal deviations of the leak potential, relative to v_th - v_leak."""

    chip_std: Annotated[types.NonNegative, Meta(description="std from neuron to neuron of a chip")]
    sample_std: Annotated[types.NonNegative, Meta(description="std from sample to sample, of each neuron")]


def perturbations(settings: Settings) -> list[Perturbation]:
    return [
        normal_shift("v_leak", "chip", std=settings.chip_std),
        normal_shift("v_leak", "sample", std=settings.sample_std),
    ]
