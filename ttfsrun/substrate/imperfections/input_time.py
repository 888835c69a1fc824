"""Events sent to the chip arrive early or late.

Whatever comes from outside is concerned: the inputs and the bias spikes of all layers, each line by itself.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun import types as kinds
from ttfsrun.substrate.changes import normal_shift
from ttfsrun.substrate.perturbation import Perturbation


class Settings(kinds.Settings):
    """Noise on the times of external events."""

    jitter: Annotated[kinds.NonNegative, Meta(description="std of normal noise, anew for each sample, in tau_syn")]


def perturbations(settings: Settings) -> list[Perturbation]:
    return [normal_shift("input_time", "sample", std=settings.jitter)]
