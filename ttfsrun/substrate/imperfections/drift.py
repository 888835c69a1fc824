"""Thresholds and weights that wander in the course of a training.

Each follows an Ornstein-Uhlenbeck process in steps of an epoch, which starts at 0 (calibrated) and in the end
deviates by `std`. A chip evaluated after a training is as old as the training was long.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from ttfsrun import types as kinds
from ttfsrun.substrate.changes import scaled, shifted
from ttfsrun.substrate.perturbation import Change, Perturbation, Shape, Where

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Settings(kinds.Settings):
    """Drift of thresholds (relative to v_th - v_leak) and weights (relative to each)."""

    std: Annotated[kinds.NonNegative, Meta(description="stationary std of the relative deviations")]
    tau: Annotated[kinds.Positive, Meta(description="correlation time, in epochs")]


def perturbations(settings: Settings) -> list[Perturbation]:
    kept = math.exp(-1 / settings.tau)
    added = settings.std * math.sqrt(-math.expm1(-2 / settings.tau))
    acts: dict[Where, Change] = {"v_th": shifted, "weight": scaled}

    def calibrated(random: np.random.Generator, shape: Shape) -> NDArray[Any]:
        import numpy as np  # here: a mistake in a setting is told without it

        return np.zeros(shape)

    def an_epoch_later(random: np.random.Generator, drawn: NDArray[Any]) -> NDArray[Any]:
        return kept * drawn + added * random.standard_normal(drawn.shape)

    off = settings.std == 0
    return [
        Perturbation(
            name=f"drift.{where}", where=where, when="chip", change=change, draw=calibrated, age=an_epoch_later, off=off
        )
        for where, change in acts.items()
    ]
