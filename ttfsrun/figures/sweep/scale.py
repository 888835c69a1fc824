"""Where the values of a setting stand on an axis: by size, by its logarithm, or side by side.

What has no place among the numbers, such as a limit that there is none (null), or a zero on a logarithmic axis, stands
apart from them at the end that it belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures.sweep import labels
from ttfsrun.figures.sweep.rows import Value, is_number, levels, numeric

DECADE = 10.0  # from here on, values that grow by factors stand on a logarithmic axis
APART = 0.32  # of what stands apart from the numbers, in inches
CHARACTER = 0.058  # width of one in a tick's label, in inches
HIGH, LONGEST = 0.11, 24  # of a label that stands upright: inches, characters
EDGE = 0.1  # room at either end, in inches


@dataclass(frozen=True)
class Scale:
    """places[value]: on the axis, in inches. ticks: place and label. together: values that a line may join."""

    places: dict[Value, float]
    ticks: list[tuple[float, str]]
    together: list[Value]
    ends: tuple[float, float]
    upright: bool = False  # labels

    def of(self, values: Sequence[Value]) -> np.ndarray:
        return np.array([self.places[value] for value in values], dtype=float)

    def apply(self, axes: Axes) -> None:
        axes.set_xlim(*self.ends)
        axes.set_xticks([place for place, _ in self.ticks], [text for _, text in self.ticks])
        axes.tick_params(axis="x", labelrotation=90 if self.upright else 0)
        for left, right in pairwise(self.ticks):
            if self.together and {left[1], right[1]} & self._apart:
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
        return {labels.text(value) for value in self.places if value not in self.together}


def scale(values: Sequence[Value], width: float) -> Scale:
    """For these values on an axis of `width` inches."""
    different = levels(values)
    if not numeric(different) or not [value for value in different if is_number(value) and math.isfinite(value)]:
        return _side_by_side(different, width)
    return _by_size(different, width)


def _side_by_side(different: list[Value], width: float) -> Scale:
    """Labels stand upright where their words are too long; of very many values, some have one."""
    each = width / max(len(different), 1)
    places = {value: (number + 0.5) * each for number, value in enumerate(different)}
    characters, texts = int(each / CHARACTER) - 1, [labels.text(value) for value in different]
    upright = max((len(word) for text in texts for word in text.split()), default=0) > characters
    ticks = [
        (place, _shortened(text) if upright else labels.wrapped(text, characters, lines=3))
        for place, text in zip(places.values(), texts, strict=True)
    ]
    return Scale(places, ticks[:: math.ceil(HIGH / each)], [], (0.0, width), upright)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def _by_size(different: list[Value], width: float) -> Scale:
    numbers = [value for value in different if is_number(value) and math.isfinite(value)]
    logarithmic = _grows_by_factors(numbers)
    left = [value for value in numbers if logarithmic and value == 0]
    left = [value for value in different if value == -math.inf] + left
    right = [value for value in different if value is None or value == math.inf]
    together = [value for value in numbers if value not in left]
    low, high = EDGE + APART * len(left), width - EDGE - APART * len(right)
    bounds = (math.log10(together[0]), math.log10(together[-1])) if logarithmic else (together[0], together[-1])
    span = bounds[1] - bounds[0]

    def place(value: float) -> float:
        share = ((math.log10(value) if logarithmic else value) - bounds[0]) / span if span else 0.5
        return low + share * (high - low)

    places = {value: EDGE + APART * number for number, value in enumerate(left)}
    places |= {value: place(value) for value in together}
    places |= {value: width - EDGE - APART * number for number, value in enumerate(reversed(right))}
    candidates = _candidates(together, logarithmic)
    ticks = next((each for each in candidates if _fit(each, place)), candidates[-1])
    told = [(places[value], labels.text(value)) for value in (*left, *right)]
    return Scale(places, sorted(told + [(place(value), labels.text(value)) for value in ticks]), together, (0.0, width))


def _grows_by_factors(numbers: list[float]) -> bool:
    positive = [value for value in numbers if value > 0]
    if len(positive) < 3 or numbers[0] < 0 or positive[-1] < DECADE * positive[0]:
        return False
    steps, factors = np.diff(positive), np.diff(np.log(positive))
    return bool(np.std(factors) / np.mean(factors) < np.std(steps) / np.mean(steps))


def _candidates(numbers: list[float], logarithmic: bool) -> list[list[float]]:
    """Ticks, the most telling first: every value, round numbers, fewer of them, the two ends."""
    low, high = numbers[0], numbers[-1]
    if low == high:
        return [[low]]
    found = [numbers]
    if logarithmic:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            ticks = [float(f"{factor}e{power}") for power in powers for factor in factors]
            found.append([tick for tick in ticks if low * 0.999 <= tick <= high * 1.001])
    else:
        for count in (7, 5, 4, 3, 2):
            around = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
            room = 1e-9 * (high - low)
            found.append([float(tick) for tick in around if low - room <= tick <= high + room])
    return [ticks for ticks in found if len(ticks) > 1] + [[low, high]]


def _fit(ticks: list[float], place: object) -> bool:
    """Whether the labels of these ticks leave room between each other."""
    assert callable(place)
    spots = [(place(tick), CHARACTER * len(labels.text(tick))) for tick in ticks]
    return all(right - left >= (one + other) / 2 + CHARACTER for (left, one), (right, other) in pairwise(spots))
