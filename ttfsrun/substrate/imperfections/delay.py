"""Delays of a chip: within its range, in steps of its clock, different from place to place, with noise.

They act on the delays of the network, which the lines of one source share. A delay is never negative, whatever is
added to it. Range and clock are straight-through: a delay that is held at the end of the range can come back.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.kinds import normal_gain, normal_shift, on_grid, scaled, shifted
from ttfsrun.substrate.perturbation import Change, Perturbation

if TYPE_CHECKING:
    from ttfsrun.substrate.schema import NetworkSize


class Settings(types.Settings):
    """Range, resolution, mismatch and noise of delays; of `bits`, `step` and `largest`, two determine the third."""

    bits: Annotated[Annotated[int, Meta(ge=1, le=24)] | None, Meta(description="of a delay; null: any number of steps")]
    step: Annotated[types.Positive | None, Meta(description="of the clock, in tau_syn; null: largest / (2^bits - 1)")]
    largest: Annotated[types.Positive | None, Meta(description="in tau_syn; null: step (2^bits - 1), or any")]
    chip_cv: Annotated[types.NonNegative, Meta(description="std of the gains of a chip's delays")]
    chip_std: Annotated[types.NonNegative, Meta(description="std of the offsets of a chip's delays, in tau_syn")]
    jitter: Annotated[types.NonNegative, Meta(description="std of normal noise, drawn for each sample, in tau_syn")]

    def __post_init__(self) -> None:
        if self.bits and not (self.step or self.largest):
            raise ValueError(f"bits={self.bits} has no scale: set step or largest, too")
        if self.bits and self.step and self.largest:
            longest = self.step * (2**self.bits - 1)
            if abs(longest - self.largest) > 1e-6 * self.largest:
                raise ValueError(
                    f"largest={self.largest} is not step (2^bits - 1) = {longest:g}: "
                    "leave one of bits, step and largest null"
                )

    @property
    def longest(self) -> float | None:
        """The longest delay that can be set, in tau_syn; None for no limit."""
        if self.largest is None and self.bits and self.step:
            return float(self.step * (2**self.bits - 1))
        return self.largest

    @property
    def resolution(self) -> float | None:
        """The difference between two delays that can be set, in tau_syn; None for any."""
        if self.step is None and self.bits and self.largest:
            return float(self.largest / (2**self.bits - 1))
        return self.step

    @property
    def highest(self) -> float:
        """The longest delay in steps of the resolution; inf for no limit."""
        if self.longest is None or self.resolution is None:
            return math.inf
        return math.floor(self.longest / self.resolution * (1 + 1e-6))


def mistake(settings: Settings, size: NetworkSize) -> str | None:
    """Return what is wrong with the settings for a network of this size; None if nothing is."""
    named = (("bits", None), ("step", None), ("largest", None), ("chip_cv", 0), ("chip_std", 0), ("jitter", 0))
    on = [f"{name}={getattr(settings, name)}" for name, off in named if getattr(settings, name) != off]
    if on and not set(size.delays) - {"none"}:
        return f"{on[0]}: the network has no delays; set network.delays=axonal, or leave substrate.delay as it is"
    if settings.jitter and "synaptic" in size.delays:
        layer = size.delays.index("synaptic") + 1
        return (
            f"jitter={settings.jitter}: the delays of layer {layer} are synaptic, and noise of each of them in each "
            "sample is unavailable; set jitter to 0, or network.delays to axonal or dendritic"
        )
    return None


def _from_zero(change: Change) -> Change:
    """Return a change after which negative delays are 0; there, the derivative is 0, too."""

    def function(*arguments: Any) -> Any:
        changed = change(*arguments)
        return changed.masked_fill(changed < 0, 0)

    def by_value(*arguments: Any) -> Any:
        kept = ~(change(*arguments) < 0)
        return kept if change.by_value is None else kept * change.by_value(*arguments)

    return Change(function, by_value, relative=change.relative)


_FROM_ZERO = {change: _from_zero(change) for change in (scaled, shifted)}
_in_range = Change(lambda value, drawn, unit, longest: value.minimum(longest.to(value.dtype)))
_on_clock = Change(lambda value, drawn, unit, step, highest: on_grid(value, step, "nearest", highest.to(value.dtype)))


def perturbations(settings: Settings) -> list[Perturbation]:
    longest, resolution = settings.longest, settings.resolution
    noise = [
        normal_gain("delay", "chip", cv=settings.chip_cv, name="delay.chip_gain"),
        normal_shift("delay", "chip", std=settings.chip_std, name="delay.chip_offset"),
        normal_shift("delay", "sample", std=settings.jitter, name="delay.jitter"),
    ]
    return [
        Perturbation(
            name="delay.range",
            where="delay",
            when="always",
            change=_in_range,
            strengths=(longest or 0.0,),
            off=longest is None,
        ),
        Perturbation(
            name="delay.resolution",
            where="delay",
            when="always",
            change=_on_clock,
            strengths=(resolution or 0.0, settings.highest),
            off=resolution is None,
        ),
        *(replace(perturbation, change=_FROM_ZERO[perturbation.change]) for perturbation in noise),
    ]
