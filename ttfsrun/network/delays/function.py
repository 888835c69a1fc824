"""What delays are a function of: theta, a number without bounds that training changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class Evaluated(NamedTuple):
    """Delays, and their derivatives by theta; shaped like theta."""

    delays: Tensor
    slopes: Tensor


@dataclass(frozen=True)
class DelayFunction:
    """A function of theta [P, S or 1, M or 1] and of the settings [P, K] of each network, float64.

    settings: their names; null is infinity.
    evaluate: returns delays and derivatives. constrain: changes theta in place, after each step.
    """

    settings: tuple[str, ...]
    evaluate: Callable[[Tensor, Tensor], Evaluated]
    constrain: Callable[[Tensor, Tensor], None]
