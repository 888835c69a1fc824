"""Synapses that keep one weight whatever is written to them: 0, or the largest weight of either sign.

This is applied after everything that happens to a weight when it is written; only the read noise comes later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.perturbation import Change, Perturbation, Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Settings(types.Settings):
    """Stuck weights."""

    p_zero: Annotated[types.Fraction, Meta(description="probability that a weight is stuck at 0")]
    p_max: Annotated[types.Fraction, Meta(description="probability that it is stuck at the largest, of either sign")]

    def __post_init__(self) -> None:
        if self.p_zero + self.p_max > 1:
            raise ValueError(f"p_zero={self.p_zero} and p_max={self.p_max} add up to more than 1")


#: The value, or where `drawn` is a number, that number in `unit`.
_stuck = Change(
    lambda value, drawn, unit, *strengths: value.where(drawn.isnan(), drawn.nan_to_num() * unit),
    by_value=lambda value, drawn, unit, *strengths: drawn.isnan(),
    by_unit=lambda value, drawn, unit, *strengths: drawn.nan_to_num(),
)


def _draw(random: np.random.Generator, shape: Shape, p_zero: float, p_max: float) -> NDArray[Any]:
    """Return the weight of each stuck synapse, in units of the largest weight; NaN for the others."""
    import numpy as np  # imported here, so that checking settings does not need it

    chance, sign = random.random((2, *shape))
    largest = np.where(sign < 0.5, -1.0, 1.0)
    at_max = np.where(chance < p_zero + p_max, largest, np.nan)
    return np.where(chance < p_zero, 0.0, at_max)


def perturbations(settings: Settings) -> list[Perturbation]:
    return [
        Perturbation(
            name="stuck_synapses",
            where="weight",
            when="chip",
            stage="stuck",
            change=_stuck,
            draw=_draw,
            strengths=(settings.p_zero, settings.p_max),
            off=settings.p_zero == 0 and settings.p_max == 0,
        )
    ]
