"""The kinds of perturbation that imperfections are made of.

Each kind is a function that takes strengths and returns a `Perturbation`. The pure functions (value, drawn, unit) ->
value that they apply come first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from ttfsrun.substrate.perturbation import Perturbation, Shape, When, Where

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Rounding = Literal["nearest", "floor"]


def shifted(value: Any, drawn: Any, unit: Any) -> Any:
    """Return value + drawn, where `drawn` is given in `unit`."""
    return value + drawn * unit


def scaled(value: Any, drawn: Any, unit: Any) -> Any:
    """Return value (1 + drawn)."""
    return value * (1 + drawn)


def silenced(value: Any, drawn: Any, unit: Any) -> Any:
    """Return spike times, inf where `drawn` is true."""
    return value.masked_fill(drawn, math.inf)


def on_grid(value: Any, step: Any, rounding: Rounding, highest: int | None = None) -> Any:
    """Return `value` rounded to a multiple of `step`: the nearest one (ties to even), or the next one below.

    A value that is already a multiple, up to the rounding of its type, is not moved to another one.
    highest: the largest number of steps on either side of 0; None for no limit.
    """
    steps = (value / step).round() if rounding == "nearest" else _steps_below(value, step)
    return (steps if highest is None else steps.clamp(-highest, highest)) * step


def _steps_below(value: Any, step: Any) -> Any:
    """Return floor(value / step), exact where `value` is a multiple of `step` rounded to its type."""
    steps = value.double() / step
    nearest = steps.round()
    is_multiple = (nearest * step).to(value.dtype) == value
    return steps.floor().where(~is_multiple, nearest).to(value.dtype)


def normal_shift(where: Where, when: When, *, std: float, mean: float = 0.0, name: str | None = None) -> Perturbation:
    """Return a perturbation that adds a normal deviation, in the unit of the quantity."""

    def draw(random: np.random.Generator, shape: Shape) -> NDArray[Any]:
        return mean + std * random.standard_normal(shape)

    off = std == 0 and mean == 0
    return Perturbation(name=name or f"{where}.{when}", where=where, when=when, apply=shifted, draw=draw, off=off)


def normal_gain(where: Where, when: When, *, cv: float, name: str | None = None) -> Perturbation:
    """Return a perturbation that multiplies by 1 + a normal deviation of standard deviation `cv`."""

    def draw(random: np.random.Generator, shape: Shape) -> NDArray[Any]:
        return cv * random.standard_normal(shape)

    return Perturbation(name=name or f"{where}.{when}", where=where, when=when, apply=scaled, draw=draw, off=cv == 0)


def log_normal_gain(where: Where, when: When, *, cv: float, stream: str, mix: tuple[float, float]) -> Perturbation:
    """Return a perturbation that multiplies by log-normal factors of mean 1 and standard deviation `cv`.

    The logarithm of a factor is normal: `mix` gives the shares of two standard normal numbers that the stream draws
    per value. The mixtures of two perturbations with the same stream decide how their logarithms correlate.
    """

    def draw(random: np.random.Generator, shape: Shape) -> NDArray[Any]:
        import numpy as np  # imported here, so that checking settings does not need it

        first, second = random.standard_normal((2, *shape))
        variance = math.log1p(cv * cv)  # of the logarithm
        logarithm = math.sqrt(variance) * (mix[0] * first + mix[1] * second) - variance / 2
        return np.asarray(np.expm1(logarithm))

    name = f"{where}.{when}"
    return Perturbation(name=name, where=where, when=when, apply=scaled, draw=draw, off=cv == 0, stream=stream)


def lost_spikes(where: Where, when: When, *, p: float, name: str) -> Perturbation:
    """Return a perturbation that removes each spike with probability `p`."""

    def draw(random: np.random.Generator, shape: Shape) -> NDArray[Any]:
        return random.random(shape) < p

    return Perturbation(name=name, where=where, when=when, apply=silenced, draw=draw, off=p == 0, silences=True)
