"""Weights of a chip: clipped, quantised, different from synapse to synapse, written and read with noise."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.kinds import normal_gain, normal_shift, on_grid
from ttfsrun.substrate.perturbation import Perturbation, Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Settings(types.Settings):
    """Strengths are fractions, or in units of the largest weight: `clip`, else the layer's largest magnitude."""

    bits: Annotated[Annotated[int, Meta(ge=1, le=24)] | None, Meta(description="besides the sign; null: float")]
    lsb: Annotated[types.Positive | None, Meta(description="step of the levels; null: largest / (2^bits - 1)")]
    clip: Annotated[types.Positive | None, Meta(description="largest magnitude; null: lsb (2^bits - 1), or none")]
    rounding: Literal["nearest", "stochastic"]
    chip_cv: Annotated[types.NonNegative, Meta(description="std of the gains of a chip's synapses")]
    chip_std: Annotated[types.NonNegative, Meta(description="std of the offsets of a chip's synapses")]
    write_std: Annotated[types.NonNegative, Meta(description="std of noise, drawn again whenever weights are written")]
    read_std: Annotated[types.NonNegative, Meta(description="std of noise, drawn again in each batch")]

    def __post_init__(self) -> None:
        if self.bits and self.lsb and self.clip:
            largest = self.lsb * (2**self.bits - 1)
            if abs(largest - self.clip) > 1e-6 * self.clip:
                raise ValueError(
                    f"clip={self.clip} is not lsb (2^bits - 1) = {largest:g}: leave one of bits, lsb and clip null"
                )

    @property
    def largest(self) -> float | None:
        """Largest magnitude that can be written, in the units of the weights; None for no limit."""
        if self.clip is None and self.bits and self.lsb:
            return float(self.lsb * (2**self.bits - 1))
        return self.clip

    def step(self, largest: Any) -> Any:
        """Return the difference between two levels; None if weights are not quantised.

        largest: the layer's largest magnitude, which sets the scale if no setting does.
        """
        if self.lsb:
            return self.lsb
        scale = self.largest or largest + (largest == 0)  # 1 where all weights are 0: they stay 0
        return scale / (2**self.bits - 1) if self.bits else None

    @property
    def highest(self) -> int | None:
        """Number of levels of either sign; None for no limit."""
        if self.bits:
            return int(2**self.bits - 1)
        return math.floor(self.clip / self.lsb * (1 + 1e-6)) if self.clip and self.lsb else None


def perturbations(settings: Settings) -> list[Perturbation]:
    quantised = settings.bits is not None or settings.lsb is not None
    return [
        Perturbation(
            name="weight.clip",
            where="weight",
            when="always",
            apply=_clipped,
            off=settings.largest is None,
            projects=True,
        ),
        Perturbation(
            name="weight.rounding",
            where="weight",
            when="write" if settings.rounding == "stochastic" else "always",
            stage="always",
            draw=_thresholds if settings.rounding == "stochastic" else None,
            apply=partial(_rounded, settings=settings),
            off=not quantised,
            straight_through=True,
        ),
        normal_gain("weight", "chip", cv=settings.chip_cv, name="weight.chip_gain"),
        normal_shift("weight", "chip", std=settings.chip_std, name="weight.chip_offset"),
        normal_shift("weight", "write", std=settings.write_std),
        normal_shift("weight", "batch", std=settings.read_std, name="weight.read"),
    ]


def _clipped(value: Any, drawn: None, largest: Any) -> Any:
    return value.clamp(-largest, largest)


def _thresholds(random: np.random.Generator, shape: Shape) -> NDArray[Any]:
    return random.random(shape)


def _rounded(value: Any, drawn: Any, unit: Any, settings: Settings) -> Any:
    """Return the nearest level or, with `drawn` uniform in [0, 1), one of the two next to the value, without bias."""
    step = settings.step(unit)
    if drawn is None:
        return on_grid(value, step, "nearest", settings.highest)
    return on_grid(value + drawn * step, step, "floor", settings.highest)
