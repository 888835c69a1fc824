"""The kinds of change that imperfections are made of.

A kind is a function of the strengths that returns a `Perturbation`; the pure functions of (value, drawn, unit)
come first.
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
    """value + drawn, where drawn is in the unit."""
    return value + drawn * unit


def scaled(value: Any, drawn: Any, unit: Any) -> Any:
    """value (1 + drawn)."""
    return value * (1 + drawn)


def silenced(value: Any, drawn: Any, unit: Any) -> Any:
    """Times, where drawn is true none."""
    return value.masked_fill(drawn, math.inf)


def on_grid(value: Any, step: Any, rounding: Rounding, highest: int | None = None) -> Any:
    """The multiple of `step` nearest to the value (of two, the even one), or the next one below.

    A value that is a multiple but for the rounding of its type stays where it is.
    highest: at most so many steps away from 0.
    """
    steps = (value / step).round() if rounding == "nearest" else _steps_below(value, step)
    return (steps if highest is None else steps.clamp(-highest, highest)) * step


def _steps_below(value: Any, step: Any) -> Any:
    """How many whole steps there are up to a value; of a multiple, all of them, whichever way it was rounded."""
    steps = value.double() / step
    nearest = steps.round()
    is_multiple = (nearest * step).to(value.dtype) == value
    return steps.floor().where(~is_multiple, nearest).to(value.dtype)


def normal_shift(where: Where, when: When, *, std: float, mean: float = 0.0, name: str | None = None) -> Perturbation:
    """Adds a normal deviation, in the unit of the quantity."""

    def draw(random: np.random.Generator, shape: Shape) -> NDArray[Any]:
        return mean + std * random.standard_normal(shape)

    off = std == 0 and mean == 0
    return Perturbation(name=name or f"{where}.{when}", where=where, when=when, change=shifted, draw=draw, off=off)


def normal_gain(where: Where, when: When, *, cv: float, name: str | None = None) -> Perturbation:
    """Multiplies by 1 + a normal deviation; cv is its standard deviation."""

    def draw(random: np.random.Generator, shape: Shape) -> NDArray[Any]:
        return cv * random.standard_normal(shape)

    return Perturbation(name=name or f"{where}.{when}", where=where, when=when, change=scaled, draw=draw, off=cv == 0)


def log_normal_gain(where: Where, when: When, *, cv: float, stream: str, mix: tuple[float, float]) -> Perturbation:
    """Multiplies by log-normal factors of mean 1 and standard deviation cv.

    Their logarithms are normal and made of the two numbers of a stream that others may draw as well, `mix` of each,
    so that their correlation with those is what the mixtures have in common.
    """

    def draw(random: np.random.Generator, shape: Shape) -> NDArray[Any]:
        import numpy as np  # here: a mistake in a setting is told without it

        first, second = random.standard_normal((2, *shape))
        variance = math.log1p(cv * cv)  # of the logarithm
        logarithm = math.sqrt(variance) * (mix[0] * first + mix[1] * second) - variance / 2
        return np.asarray(np.expm1(logarithm))

    name = f"{where}.{when}"
    return Perturbation(name=name, where=where, when=when, change=scaled, draw=draw, off=cv == 0, stream=stream)


def loss(where: Where, when: When, *, p: float, name: str) -> Perturbation:
    """Takes spikes away, each with probability p."""

    def draw(random: np.random.Generator, shape: Shape) -> NDArray[Any]:
        return random.random(shape) < p

    return Perturbation(name=name, where=where, when=when, change=silenced, draw=draw, off=p == 0, silences=True)
