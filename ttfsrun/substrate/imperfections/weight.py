"""Weights of a chip: clipped, in steps, different from synapse to synapse, written and read with noise."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from ttfsrun import types as kinds
from ttfsrun.substrate.changes import normal_gain, normal_shift, on_grid
from ttfsrun.substrate.perturbation import Perturbation, Shape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Settings(kinds.Settings):
    """Strengths are fractions, or in units of the largest weight: `clip`, else the layer's largest magnitude."""

    bits: Annotated[Annotated[int, Meta(ge=1, le=24)] | None, Meta(description="besides the sign; null: float")]
    lsb: Annotated[kinds.Positive | None, Meta(description="step of the levels; null: largest / (2^bits - 1)")]
    clip: Annotated[kinds.Positive | None, Meta(description="largest magnitude; null: lsb (2^bits - 1), or none")]
    rounding: Literal["nearest", "stochastic"]
    chip_cv: Annotated[kinds.NonNegative, Meta(description="std of the gains of a chip's synapses")]
    chip_std: Annotated[kinds.NonNegative, Meta(description="std of the offsets of a chip's synapses")]
    write_std: Annotated[kinds.NonNegative, Meta(description="std of noise anew whenever weights are written")]
    read_std: Annotated[kinds.NonNegative, Meta(description="std of noise anew in each batch")]

    def __post_init__(self) -> None:
        if self.bits and self.lsb and self.clip:
            largest = self.lsb * (2**self.bits - 1)
            if abs(largest - self.clip) > 1e-6 * self.clip:
                raise ValueError(
                    f"clip={self.clip} is not lsb (2^bits - 1) = {largest:g}: leave one of bits, lsb and clip null"
                )

    @property
    def largest(self) -> float | None:
        """The largest magnitude that can be written, in units of the weights; None: any."""
        if self.clip is None and self.bits and self.lsb:
            return float(self.lsb * (2**self.bits - 1))
        return self.clip

    def step(self, largest: Any) -> Any:
        """Between two levels; `largest` is the layer's magnitude where nothing else sets the scale."""
        if self.lsb:
            return self.lsb
        scale = self.largest or largest + (largest == 0)  # zeros are their own levels
        return scale / (2**self.bits - 1) if self.bits else None

    @property
    def highest(self) -> int | None:
        """The number of levels of either sign; None: any."""
        if self.bits:
            return int(2**self.bits - 1)
        return math.floor(self.clip / self.lsb * (1 + 1e-6)) if self.clip and self.lsb else None


def perturbations(settings: Settings) -> list[Perturbation]:
    in_steps = settings.bits is not None or settings.lsb is not None
    return [
        Perturbation(
            name="weight.clip",
            where="weight",
            when="always",
            change=_clipped,
            off=settings.largest is None,
            projects=True,
        ),
        Perturbation(
            name="weight.rounding",
            where="weight",
            when="write" if settings.rounding == "stochastic" else "always",
            stage="always",
            draw=_thresholds if settings.rounding == "stochastic" else None,
            change=partial(_rounded, settings=settings),
            off=not in_steps,
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
    """The nearest level; with drawn numbers in [0, 1), one of the two next to the value, whose mean is the value."""
    step = settings.step(unit)
    if drawn is None:
        return on_grid(value, step, "nearest", settings.highest)
    return on_grid(value + drawn * step, step, "floor", settings.highest)
