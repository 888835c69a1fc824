"""The kinds of perturbation that imperfections are made of.

Each kind is a function that takes strengths and returns a `Perturbation`. What they draw, and the changes that they
make, come first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from ttfsrun.substrate.perturbation import Change, Perturbation, Random, Shape, When, Where

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Rounding = Literal["nearest", "floor"]

#: value + drawn, where `drawn` is given in `unit`.
shifted = Change(
    lambda value, drawn, unit, *strengths: value + drawn * unit,
    by_unit=lambda value, drawn, unit, *strengths: drawn,
)

#: value (1 + drawn).
scaled = Change(
    lambda value, drawn, unit, *strengths: value * (1 + drawn),
    by_value=lambda value, drawn, unit, *strengths: 1 + drawn,
    relative=True,
)

#: Spike times, inf where `drawn` is true.
silenced = Change(
    lambda value, drawn, unit, *strengths: value.masked_fill(drawn, math.inf),
    by_value=lambda value, drawn, unit, *strengths: ~drawn,
)


def on_grid(value: Any, step: Any, rounding: Rounding, highest: Any = None) -> Any:
    """Return `value` rounded to a multiple of `step`: the nearest one (ties to even), or the next one below.

    A value that is already a multiple, up to the rounding of its type, is not moved to another one.
    step: a tensor that broadcasts to the value's shape; its type may be wider.
    highest: the largest number of steps on either side of 0, a tensor of the value's type; None for no limit.
    """
    width = step.to(value.dtype)
    steps = (value / width).round() if rounding == "nearest" else _steps_below(value, step)
    return (steps if highest is None else steps.minimum(highest).maximum(-highest)) * width


def _steps_below(value: Any, step: Any) -> Any:
    """Return floor(value / step), exact where `value` is a multiple of `step` rounded to its type."""
    steps = value.double() / step
    nearest = steps.round()
    is_multiple = (nearest * step).to(value.dtype) == value
    return steps.floor().where(~is_multiple, nearest).to(value.dtype)


def _normal(random: Random, shape: Shape, std: Any) -> Any:
    return std * random.standard_normal(shape)


def _normal_around(random: Random, shape: Shape, std: Any, mean: Any) -> Any:
    return mean + std * random.standard_normal(shape)


def _log_normal(random: np.random.Generator, shape: Shape, cv: float, *mix: float) -> NDArray[Any]:
    import numpy as np  # imported here, so that checking settings does not need it

    first, second = random.standard_normal((2, *shape))
    variance = math.log1p(cv * cv)  # of the logarithm
    logarithm = math.sqrt(variance) * (mix[0] * first + mix[1] * second) - variance / 2
    return np.asarray(np.expm1(logarithm))


def _happens(random: Random, shape: Shape, p: Any) -> Any:
    return random.random(shape) < p


def normal_shift(where: Where, when: When, *, std: float, mean: float = 0.0, name: str | None = None) -> Perturbation:
    """Return a perturbation that adds a normal deviation, in the unit of the quantity."""
    return Perturbation(
        name=name or f"{where}.{when}",
        where=where,
        when=when,
        change=shifted,
        draw=_normal_around,
        strengths=(std, mean),
        off=std == 0 and mean == 0,
    )


def normal_gain(where: Where, when: When, *, cv: float, name: str | None = None) -> Perturbation:
    """Return a perturbation that multiplies by 1 + a normal deviation of standard deviation `cv`."""
    name = name or f"{where}.{when}"
    return Perturbation(name=name, where=where, when=when, change=scaled, draw=_normal, strengths=(cv,), off=cv == 0)


def log_normal_gain(where: Where, *, cv: float, stream: str, mix: tuple[float, float]) -> Perturbation:
    """Return a perturbation that multiplies by a chip's log-normal factors of mean 1 and standard deviation `cv`.

    The logarithm of a factor is normal: `mix` gives the shares of two standard normal numbers that the stream draws
    per value. The mixtures of two perturbations with the same stream decide how their logarithms correlate.
    """
    return Perturbation(
        name=f"{where}.chip",
        where=where,
        when="chip",
        change=scaled,
        draw=_log_normal,
        strengths=(cv, *mix),
        off=cv == 0,
        stream=stream,
    )


def lost_spikes(where: Where, when: When, *, p: float, name: str) -> Perturbation:
    """Return a perturbation that removes each spike with probability `p`."""
    return Perturbation(
        name=name, where=where, when=when, change=silenced, draw=_happens, strengths=(p,), off=p == 0, silences=True
    )
