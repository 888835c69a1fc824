"""Thresholds and weights that drift in the course of a training.

Each deviation follows an Ornstein-Uhlenbeck process in steps of one epoch. It starts at 0 (calibrated) and approaches
the standard deviation `std`. The age of a chip evaluated after a training is the number of epochs of the training.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.kinds import scaled, shifted
from ttfsrun.substrate.perturbation import Change, Perturbation, Shape, Where

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Settings(types.Settings):
    """Drift of thresholds (relative to v_th - v_leak) and weights (relative to each weight)."""

    std: Annotated[types.NonNegative, Meta(description="stationary std of the relative deviations")]
    tau: Annotated[types.Positive, Meta(description="correlation time, in epochs")]


def _calibrated(random: np.random.Generator, shape: Shape) -> NDArray[Any]:
    import numpy as np  # imported here, so that checking settings does not need it

    return np.zeros(shape)


def perturbations(settings: Settings) -> list[Perturbation]:
    decay = math.exp(-1 / settings.tau)
    noise_std = settings.std * math.sqrt(-math.expm1(-2 / settings.tau))
    changes: dict[Where, Change] = {"v_th": shifted, "weight": scaled}

    def one_epoch_later(random: np.random.Generator, drawn: NDArray[Any]) -> NDArray[Any]:
        return decay * drawn + noise_std * random.standard_normal(drawn.shape)

    off = settings.std == 0
    return [
        Perturbation(
            name=f"drift.{where}",
            where=where,
            when="chip",
            change=change,
            draw=_calibrated,
            age=one_epoch_later,
            off=off,
        )
        for where, change in changes.items()
    ]
