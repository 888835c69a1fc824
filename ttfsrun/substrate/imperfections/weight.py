"""Weights of a chip: clipped, quantised, different from synapse to synapse, written and read with noise."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.kinds import normal_gain, normal_shift, on_grid
from ttfsrun.substrate.perturbation import Change, Perturbation, Random, Shape


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

    def step(self, largest: float) -> float | None:
        """Return the difference between two levels; None if weights are not quantised.

        largest: the layer's largest magnitude, which sets the scale if no setting does.
        """
        if self.lsb or not self.bits:
            return self.lsb
        return (self.largest or largest) / self.highest

    @property
    def highest(self) -> float:
        """Number of levels of either sign; inf for no limit."""
        if self.bits:
            return float(2**self.bits - 1)
        return math.floor(self.clip / self.lsb * (1 + 1e-6)) if self.clip and self.lsb else math.inf


def _rounded(value: Any, drawn: Any, step: Any, highest: Any) -> Any:
    """Return the nearest level or, with `drawn` uniform in (0, 1), one of the two next to the value, without bias."""
    highest = highest.to(value.dtype)
    if drawn is None:
        return on_grid(value, step, "nearest", highest)
    return on_grid(value + drawn * step.to(value.dtype), step, "floor", highest)


def _rounded_up_to(largest: Any, value: Any, drawn: Any, highest: Any) -> Any:
    """Return levels of which the highest is the largest weight; where all weights are 0, they stay 0."""
    step = (largest + (largest == 0)) / highest
    return _rounded(value, drawn, step.to(value.dtype), highest)


_clipped = Change(
    lambda value, drawn, largest: value.minimum(largest).maximum(-largest),
    by_value=lambda value, drawn, largest: value.abs() <= largest,
)
_on_levels = Change(lambda value, drawn, largest, step, highest: _rounded(value, drawn, step, highest))
_on_levels_up_to_largest = Change(lambda value, drawn, largest, highest: _rounded_up_to(largest, value, drawn, highest))


def _thresholds(random: Random, shape: Shape, *strengths: float) -> Any:
    return random.random(shape)


def _rounding(settings: Settings) -> Perturbation:
    stochastic = settings.rounding == "stochastic"
    step = settings.step(0.0)  # 0 where the largest weight sets it
    return Perturbation(
        name="weight.rounding",
        where="weight",
        when="write" if stochastic else "always",
        stage="always",
        draw=_thresholds if stochastic else None,
        change=_on_levels if step else _on_levels_up_to_largest,
        strengths=(step, settings.highest) if step else (settings.highest,),
        off=step is None,
    )


def perturbations(settings: Settings) -> list[Perturbation]:
    return [
        Perturbation(
            name="weight.clip",
            where="weight",
            when="always",
            change=_clipped,
            off=settings.largest is None,
            projects=True,
        ),
        _rounding(settings),
        normal_gain("weight", "chip", cv=settings.chip_cv, name="weight.chip_gain"),
        normal_shift("weight", "chip", std=settings.chip_std, name="weight.chip_offset"),
        normal_shift("weight", "write", std=settings.write_std),
        normal_shift("weight", "batch", std=settings.read_std, name="weight.read"),
    ]
