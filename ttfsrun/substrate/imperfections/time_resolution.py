"""The finite resolution of the clock with which events are sent and recorded.

The times of inputs, bias spikes and spikes are rounded to multiples of the step. The derivative is straight-through.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.kinds import Rounding, on_grid
from ttfsrun.substrate.perturbation import Perturbation, Where


class Settings(types.Settings):
    """The grid of times."""

    step: Annotated[types.NonNegative, Meta(description="of the clock, in tau_syn; 0: continuous time")]
    rounding: Rounding


def perturbations(settings: Settings) -> list[Perturbation]:
    return [_grid("input_time", settings), _grid("spike_time", settings)]


def _grid(where: Where, settings: Settings) -> Perturbation:
    return Perturbation(
        name=f"time_resolution.{where}",
        where=where,
        when="always",
        stage="clock",
        apply=partial(_rounded, settings=settings),
        off=settings.step == 0,
        straight_through=True,
    )


def _rounded(value: Any, drawn: None, unit: float, settings: Settings) -> Any:
    return on_grid(value, settings.step, settings.rounding)
