"""A calibration error shared by all neurons of all chips: tau_mem becomes tau_mem (1 + bias)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun.substrate.kinds import scaled
from ttfsrun.substrate.perturbation import Perturbation
from ttfsrun.types import LARGEST

Settings = Annotated[float, Meta(gt=-1, le=LARGEST, description="relative error of tau_mem / tau_syn")]


def perturbations(settings: float) -> list[Perturbation]:
    def biased(value: object, drawn: None, unit: float) -> object:
        return scaled(value, settings, unit)

    return [Perturbation(name="tau_ratio_bias", where="tau_mem", when="always", apply=biased, off=settings == 0)]
