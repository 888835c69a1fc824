"""The finite resolution of the clock with which events are sent and recorded.

The times of inputs, bias spikes and spikes are rounded to multiples of the step. The derivative is straight-through.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun import types
from ttfsrun.substrate.kinds import Rounding, on_grid
from ttfsrun.substrate.perturbation import Change, Perturbation, Where


class Settings(types.Settings):
    """The grid of times."""

    step: Annotated[types.NonNegative, Meta(description="of the clock, in tau_syn; 0: continuous time")]
    rounding: Rounding


#: By the rounding: times on a grid.
_CHANGES: dict[Rounding, Change] = {
    "nearest": Change(lambda value, drawn, unit, step: on_grid(value, step, "nearest")),
    "floor": Change(lambda value, drawn, unit, step: on_grid(value, step, "floor")),
}


def perturbations(settings: Settings) -> list[Perturbation]:
    return [_grid("input_time", settings), _grid("spike_time", settings)]


def _grid(where: Where, settings: Settings) -> Perturbation:
    return Perturbation(
        name=f"time_resolution.{where}",
        where=where,
        when="always",
        stage="clock",
        change=_CHANGES[settings.rounding],
        strengths=(settings.step,),
        off=settings.step == 0,
    )
