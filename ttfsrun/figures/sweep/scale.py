"""Positions of the values of a setting on an axis: linear, logarithmic, or side by side.

A value without a position among the numbers, such as null (no limit) or zero on a logarithmic axis, is apart from them,
at the end that is nearest in meaning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures.sweep import labels
from ttfsrun.figures.sweep.rows import Value, is_number, levels, numeric

DECADE = 10.0  # factor between values from which on they may have a logarithmic axis
APART = 0.32  # width for each value apart from the numbers, in inches
CHARACTER = 0.058  # width of a character in a tick's label, in inches
UPRIGHT_WIDTH, MAX_CHARACTERS = 0.11, 24  # of an upright label: width in inches, length
EDGE = 0.1  # margin at either end, in inches


@dataclass(frozen=True)
class Scale:
    """Positions of values on an axis.

    positions[value]: in inches. ticks: position and label. joined: values that a line may join.
    """

    positions: dict[Value, float]
    ticks: list[tuple[float, str]]
    joined: list[Value]
    ends: tuple[float, float]
    upright: bool = False  # whether the labels are upright

    def positions_of(self, values: Sequence[Value]) -> np.ndarray:
        """Return the positions of values, in inches."""
        return np.array([self.positions[value] for value in values], dtype=float)

    def apply(self, axes: Axes) -> None:
        """Set the limits and ticks of a horizontal axis, with a gap where values are apart."""
        axes.set_xlim(*self.ends)
        axes.set_xticks([position for position, _ in self.ticks], [text for _, text in self.ticks])
        axes.tick_params(axis="x", labelrotation=90 if self.upright else 0)
        for left, right in pairwise(self.ticks):
            if self.joined and {left[1], right[1]} & self._apart:
                middle = (left[0] + right[0]) / 2
                axes.plot(
                    [middle] * 2,
                    [-0.02, 0.02],
                    transform=axes.get_xaxis_transform(),
                    color="white",
                    linewidth=3,
                    clip_on=False,
                    zorder=5,
                )

    @property
    def _apart(self) -> set[str]:
        return {labels.text(value) for value in self.positions if value not in self.joined}


def scale(values: Sequence[Value], width: float) -> Scale:
    """Return the scale of these values on an axis of `width` inches."""
    different = levels(values)
    if not numeric(different) or not [value for value in different if is_number(value) and math.isfinite(value)]:
        return _side_by_side(different, width)
    return _by_size(different, width)


def _side_by_side(different: list[Value], width: float) -> Scale:
    """Return a scale of equal steps; labels are upright where words are too long, and only some of very many."""
    step = width / max(len(different), 1)
    positions = {value: (number + 0.5) * step for number, value in enumerate(different)}
    characters, texts = int(step / CHARACTER) - 1, [labels.text(value) for value in different]
    upright = max((len(word) for text in texts for word in text.split()), default=0) > characters
    ticks = [
        (position, _shortened(text) if upright else labels.wrapped(text, characters, lines=3))
        for position, text in zip(positions.values(), texts, strict=True)
    ]
    return Scale(positions, ticks[:: math.ceil(UPRIGHT_WIDTH / step)], [], (0.0, width), upright)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 4]} ..."


def _by_size(different: list[Value], width: float) -> Scale:
    numbers = [value for value in different if is_number(value) and math.isfinite(value)]
    logarithmic = _grows_by_factors(numbers)
    left = [value for value in numbers if logarithmic and value == 0]
    left = [value for value in different if value == -math.inf] + left
    right = [value for value in different if value is None or value == math.inf]
    joined = [value for value in numbers if value not in left]
    low, high = EDGE + APART * len(left), width - EDGE - APART * len(right)
    bounds = (math.log10(joined[0]), math.log10(joined[-1])) if logarithmic else (joined[0], joined[-1])
    span = bounds[1] - bounds[0]

    def position(value: float) -> float:
        share = ((math.log10(value) if logarithmic else value) - bounds[0]) / span if span else 0.5
        return low + share * (high - low)

    positions = {value: EDGE + APART * number for number, value in enumerate(left)}
    positions |= {value: position(value) for value in joined}
    positions |= {value: width - EDGE - APART * number for number, value in enumerate(reversed(right))}
    candidates = _tick_candidates(joined, logarithmic)
    tick_values = next((values for values in candidates if _fit(values, position)), candidates[-1])
    ticks = [(positions[value], labels.text(value)) for value in (*left, *right)]
    ticks += [(position(value), labels.text(value)) for value in tick_values]
    return Scale(positions, sorted(ticks), joined, (0.0, width))


def _grows_by_factors(numbers: list[float]) -> bool:
    positive = [value for value in numbers if value > 0]
    if len(positive) < 3 or numbers[0] < 0 or positive[-1] < DECADE * positive[0]:
        return False
    steps, factors = np.diff(positive), np.diff(np.log(positive))
    return bool(np.std(factors) / np.mean(factors) < np.std(steps) / np.mean(steps))


def _tick_candidates(numbers: list[float], logarithmic: bool) -> list[list[float]]:
    """Return sets of ticks in order of preference: every value, round numbers, fewer of them, the two ends."""
    low, high = numbers[0], numbers[-1]
    if low == high:
        return [[low]]
    candidates = [numbers]
    if logarithmic:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            ticks = [float(f"{factor}e{power}") for power in powers for factor in factors]
            candidates.append([tick for tick in ticks if low * 0.999 <= tick <= high * 1.001])
    else:
        for count in (7, 5, 4, 3, 2):
            round_numbers = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
            room = 1e-9 * (high - low)
            candidates.append([float(tick) for tick in round_numbers if low - room <= tick <= high + room])
    return [ticks for ticks in candidates if len(ticks) > 1] + [[low, high]]


def _fit(ticks: list[float], position: Callable[[float], float]) -> bool:
    """Return whether the labels of these ticks have room between them."""
    widths = [(position(tick), CHARACTER * len(labels.text(tick))) for tick in ticks]
    return all(
        right - left >= (left_width + right_width) / 2 + CHARACTER
        for (left, left_width), (right, right_width) in pairwise(widths)
    )
