"""Events sent to the chip that arrive early or late.

All external events are affected: the inputs, and the bias spikes of all layers. Each line has its own noise.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.kinds import normal_shift
from ttfsrun.substrate.perturbation import Perturbation


class Settings(types.Settings):
    """Noise on the times of external events."""

    jitter: Annotated[types.NonNegative, Meta(description="std of normal noise, drawn for each sample, in tau_syn")]


def perturbations(settings: Settings) -> list[Perturbation]:
    return [normal_shift("input_time", "sample", std=settings.jitter)]
