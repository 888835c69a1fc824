"""The clock that events are sent and recorded with has a finite resolution.

Times of inputs, bias spikes and spikes become multiples of the step. The derivative is straight-through.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from msgspec import Meta

from ttfsrun import types as kinds
from ttfsrun.substrate.changes import Rounding, on_grid
from ttfsrun.substrate.perturbation import Perturbation, Where


class Settings(kinds.Settings):
    """The grid of times."""

    step: Annotated[kinds.NonNegative, Meta(description="of the clock, in tau_syn; 0: continuous time")]
    rounding: Rounding


def perturbations(settings: Settings) -> list[Perturbation]:
    return [_grid("input_time", settings), _grid("spike_time", settings)]


def _grid(where: Where, settings: Settings) -> Perturbation:
    return Perturbation(
        name=f"time_resolution.{where}",
        where=where,
        when="always",
        stage="clock",
        change=partial(_rounded, settings=settings),
        off=settings.step == 0,
        straight_through=True,
    )


def _rounded(value: Any, drawn: None, unit: float, settings: Settings) -> Any:
    return on_grid(value, settings.step, settings.rounding)
