"""The yin-yang dataset (Kriener, Göltz, Petrovici 2022, arXiv 2102.08211): three classes in a circle.

The same points as the published generator: NumPy's legacy `RandomState`, the class drawn before the point.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ttfsrun.config import schema
from ttfsrun.data.dataset import Dataset, Split

# As in the published list of names. The published code's variable `is_yin` is true in the half that it numbers 1.
YIN, YANG, DOT = 0, 1, 2
OUTSIDE = -1  # not a class: no point of the dataset is there


def load(settings: schema.YinYang) -> Dataset:
    """Return the three splits, each from a generator of its own."""
    seeds, samples = settings.generator_seeds, settings.samples
    return Dataset(
        train=generate(seeds.train, samples.train, settings),
        valid=generate(seeds.valid, samples.valid, settings),
        test=generate(seeds.test, samples.test, settings),
        source={
            "dataset": "yin-yang",
            "generator": "numpy.random.RandomState",
            "train_seed": str(seeds.train),
            "valid_seed": str(seeds.valid),
            "test_seed": str(seeds.test),
        },
    )


def generate(seed: int, n: int, settings: schema.YinYang) -> Split:
    """Return `n` points (x, y, 1 - x, 1 - y), float32 [n, 4], and their classes, which are equally likely."""
    random = np.random.RandomState(seed)
    points = np.empty((n, 2))
    labels = np.empty(n, dtype=np.int64)
    for i in range(n):
        label = random.randint(3)
        points[i] = _point_of_class(label, random, settings)
        labels[i] = label
    return Split(np.hstack([points, 1 - points]).astype(np.float32), labels)


def classify(x: ArrayLike, y: ArrayLike, settings: schema.YinYang) -> NDArray[np.int64]:
    """Return the class of every point: YIN, YANG or DOT, and OUTSIDE beyond the big circle.

    x, y [...]: coordinates in [0, 2 r_big]; result [...]: int64.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    in_circle, is_yang, is_dot = _regions(x, y, settings, np.sqrt)
    return np.where(in_circle, np.where(is_dot, DOT, np.where(is_yang, YANG, YIN)), OUTSIDE)


def _point_of_class(label: int, random: np.random.RandomState, settings: schema.YinYang) -> tuple[float, float]:
    """Draw points from the square around the big circle until one is in the circle and has the class `label`."""
    r_big = settings.r_big
    draw = random.random_sample  # one number a call: the same stream as two at once, and faster
    while True:
        x = draw() * 2.0 * r_big
        y = draw() * 2.0 * r_big
        in_circle, is_yang, is_dot = _regions(x, y, settings, math.sqrt)
        if in_circle and label == (DOT if is_dot else YANG if is_yang else YIN):
            return x, y


def _regions(x: Any, y: Any, settings: schema.YinYang, sqrt: Callable[[Any], Any]) -> tuple[Any, Any, Any]:
    """Whether a point is in the big circle, in the yang half (including its dots), in one of the dots.

    For two numbers (`math.sqrt`, fast enough to draw points one by one) and for two arrays (`np.sqrt`).
    """
    r_small, r_big = settings.r_small, settings.r_big
    above = (y - r_big) * (y - r_big)
    from_centre = sqrt((x - r_big) * (x - r_big) + above)
    from_right = sqrt((x - 1.5 * r_big) * (x - 1.5 * r_big) + above)
    from_left = sqrt((x - 0.5 * r_big) * (x - 0.5 * r_big) + above)
    right_dot = from_right <= r_small
    left_ring = (from_left > r_small) & (from_left <= 0.5 * r_big)
    upper_part = (y > r_big) & (from_right > 0.5 * r_big)
    is_yang = right_dot | left_ring | upper_part
    is_dot = (from_right < r_small) | (from_left < r_small)
    return from_centre <= r_big, is_yang, is_dot
