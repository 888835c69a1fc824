"""Synapses that keep one weight whatever is written to them: 0, or the largest weight of either sign.

This is applied after everything that happens to a weight when it is written; only the read noise comes later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.perturbation import Perturbation, Shape

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


def perturbations(settings: Settings) -> list[Perturbation]:
    def draw(random: np.random.Generator, shape: Shape) -> NDArray[Any]:
        """Return the weight of each stuck synapse, in units of the largest weight; NaN for the others."""
        import numpy as np  # imported here, so that checking settings does not need it

        chance, sign = random.random((2, *shape))
        largest = np.where(sign < 0.5, -1.0, 1.0)
        at_max = np.where(chance < settings.p_zero + settings.p_max, largest, np.nan)
        return np.where(chance < settings.p_zero, 0.0, at_max)

    off = settings.p_zero == 0 and settings.p_max == 0
    return [
        Perturbation(
            name="stuck_synapses", where="weight", when="chip", stage="stuck", apply=_stuck, draw=draw, off=off
        )
    ]


def _stuck(value: Any, drawn: Any, unit: Any) -> Any:
    return value.where(drawn.isnan(), drawn.nan_to_num() * unit)
