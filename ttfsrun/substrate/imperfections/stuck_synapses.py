"""Synapses that hold one weight whatever is written to them: none at all, or the largest of either sign.

Their pattern comes after everything that writing does; only noise of reading is added to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from ttfsrun import types as kinds
from ttfsrun.substrate.perturbation import Perturbation, Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Settings(kinds.Settings):
    """Stuck weights."""

    p_zero: Annotated[kinds.Fraction, Meta(description="probability that a weight is stuck at 0")]
    p_max: Annotated[kinds.Fraction, Meta(description="probability that it is stuck at the largest, of either sign")]

    def __post_init__(self) -> None:
        if self.p_zero + self.p_max > 1:
            raise ValueError(f"p_zero={self.p_zero} and p_max={self.p_max} add up to more than 1")


def perturbations(settings: Settings) -> list[Perturbation]:
    def draw(random: np.random.Generator, shape: Shape) -> NDArray[Any]:
        """The weight of each stuck synapse in units of the largest; NaN for the others."""
        import numpy as np  # here: a mistake in a setting is told without it

        chance, sign = random.random((2, *shape))
        largest = np.where(sign < 0.5, -1.0, 1.0)
        at_max = np.where(chance < settings.p_zero + settings.p_max, largest, np.nan)
        return np.where(chance < settings.p_zero, 0.0, at_max)

    off = settings.p_zero == 0 and settings.p_max == 0
    return [
        Perturbation(name="stuck_synapses", where="weight", when="chip", stage="held", change=_held, draw=draw, off=off)
    ]


def _held(value: Any, drawn: Any, unit: Any) -> Any:
    return value.where(drawn.isnan(), drawn.nan_to_num() * unit)
