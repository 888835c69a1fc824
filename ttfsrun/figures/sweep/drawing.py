"""Figures of a sweep as values, the options of a plot, and the data that a table of a sweep lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

ACCURACY = "test_accuracy"


@dataclass(frozen=True)
class SweepFigure:
    """A figure, its caption, and the numbers behind it."""

    name: str  # of its files, without an ending
    caption: str
    figure: Figure
    numbers: pd.DataFrame
    hover: dict[str, list[str]] = field(default_factory=dict)  # by gid of an artist: the text of each of its markers


@dataclass(frozen=True)
class PlotOptions:
    """The column on the horizontal axis, the metric, and the columns for colour and style; None: automatic."""

    x: str | None = None
    y: str = ACCURACY
    hue: str | None = None
    style: str | None = None


@dataclass(frozen=True)
class Supplement:
    """Data of a sweep that its table lacks.

    classes: the number of classes. names: of these classes.
    confusion: for each row of the table [C, C + 1] test samples by class and decision; the last column: no decision.
    curves: a row for each learning curve, with the columns of settings, `point`, `split`, and `accuracy`, an array [E]
    over the epochs with NaN where there is none.
    """

    classes: int | None = None
    names: list[str] | None = None
    confusion: Sequence[np.ndarray | None] | None = None
    curves: pd.DataFrame | None = None
