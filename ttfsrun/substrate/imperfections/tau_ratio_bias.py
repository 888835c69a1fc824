"""A calibration error shared by all neurons of all chips: tau_mem becomes tau_mem (1 + bias)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun.substrate.perturbation import Change, Perturbation
from ttfsrun.types import LARGEST

Settings = Annotated[float, Meta(gt=-1, le=LARGEST, description="relative error of tau_mem / tau_syn")]


#: value (1 + bias).
_biased = Change(
    lambda value, drawn, unit, bias: value * (1 + bias), by_value=lambda value, drawn, unit, bias: 1 + bias
)


def perturbations(settings: float) -> list[Perturbation]:
    return [
        Perturbation(
            name="tau_ratio_bias",
            where="tau_mem",
            when="always",
            change=_biased,
            strengths=(settings,),
            off=settings == 0,
        )
    ]
