"""Synaptic time constants that differ between neurons, like those of `tau_mem` and optionally correlated with them."""

from __future__ import annotations

import math
from typing import Annotated

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.kinds import log_normal_gain
from ttfsrun.substrate.perturbation import Perturbation


class Settings(types.Settings):
    """Mismatch of the synaptic time constants."""

    chip_cv: Annotated[types.Spread, Meta(description="std over mean, from neuron to neuron of a chip")]
    correlation: Annotated[float, Meta(ge=-1, le=1, description="of the logarithms of a neuron's tau_syn and tau_mem")]


def perturbations(settings: Settings) -> list[Perturbation]:
    mix = (settings.correlation, math.sqrt(1 - settings.correlation**2))
    return [log_normal_gain("tau_syn", cv=settings.chip_cv, stream="tau", mix=mix)]
