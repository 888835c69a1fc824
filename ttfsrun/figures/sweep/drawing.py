"""What a figure of a sweep consists of, and what can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

ACCURACY = "test_accuracy"


@dataclass(frozen=True)
class SweepFigure:
    """A figure, what it shows in words, and the numbers behind it."""

    name: str  # of its files, without an ending
    caption: str
    figure: Figure
    numbers: pd.DataFrame
    hover: dict[str, list[str]] = field(default_factory=dict)  # by gid of the artist: the text of each of its markers


@dataclass(frozen=True)
class PlotOptions:
    """The column for the horizontal axis, the metric, and the columns for colour and style; None: chosen."""

    x: str | None = None
    y: str = ACCURACY
    hue: str | None = None
    style: str | None = None


@dataclass(frozen=True)
class Supplement:
    """What is known of a sweep beside its table.

    classes: of the data. names: of these classes.
    confusion: for each row of the table [C, C + 1] test samples by class and decision, the last column without one.
    curves: the learning curves, with the columns of settings, `point`, `split`, `metric`, `epoch`, `value`.
    """

    classes: int | None = None
    names: list[str] | None = None
    confusion: Sequence[np.ndarray | None] | None = None
    curves: pd.DataFrame | None = None
