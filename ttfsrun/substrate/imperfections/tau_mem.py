"""Membrane time constants that differ between neurons, by log-normal factors of mean 1."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.kinds import log_normal_gain
from ttfsrun.substrate.perturbation import Perturbation


class Settings(types.Settings):
    """Mismatch of the membrane time constants."""

    chip_cv: Annotated[types.Spread, Meta(description="std over mean, from neuron to neuron of a chip")]


def perturbations(settings: Settings) -> list[Perturbation]:
    return [log_normal_gain("tau_mem", cv=settings.chip_cv, stream="tau", mix=(1, 0))]
