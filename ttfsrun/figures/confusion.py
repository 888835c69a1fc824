"""Confusion matrix: the decided class against the true class."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ttfsrun.figures import style
from ttfsrun.figures.decision import NO_SPIKE, class_names

FEW = 5  # the most classes whose cells have room for the common font size
HEIGHT_FEW, HEIGHT_MANY = 2.0, 3.0  # of the figure, in inches
DECIDED, TRUE = "decided class, in % of the true class", "true class"
COLUMNS = ["true", "decided", "samples"]
GAP = 0.2  # between the classes and the column of silent samples, in cells


def confusion_matrix(counts: np.ndarray, silent: np.ndarray, names: list[str] | None = None) -> Figure:
    """Plot the percentage of the samples of each true class that were decided for each class.

    counts [C, C]: samples of the true class (row) decided for a class (column).
    silent [C]: samples of each class without any output spike; they have a separate column if there are any.
    names: of the classes, by default their numbers.
    The tint of a cell follows the square root of its fraction, so that rare confusions are visible.
    Raises ValueError where the shapes or the number of names do not fit.
    """
    names = _checked_names(counts, silent, names)
    with style.figure_style():
        figure = style.new_figure(style.COLUMN, HEIGHT_FEW if len(names) <= FEW else HEIGHT_MANY)
        axes = figure.add_subplot()
        matrix(axes, counts, silent, names, with_silent=bool(silent.any()))
        axes.set_xlabel(DECIDED)
        axes.set_ylabel(TRUE)
        axes.set_title(_title(counts, silent))
    return figure


def matrix(axes: Axes, counts: np.ndarray, silent: np.ndarray, names: list[str], with_silent: bool) -> None:
    """Plot the cells of a confusion matrix and the names of the classes, optionally with a column of silent samples."""
    n_classes = len(names)
    percent = _row_percent(counts, silent)
    for row in range(n_classes):
        for column in range(n_classes):
            _cell(axes, row, column, percent[row, column], style.RIGHT if row == column else style.WRONG)
        if with_silent:
            _cell(axes, row, n_classes + GAP, percent[row, n_classes], style.GREY)
    _label(axes, names, with_silent)


def accuracy(counts: np.ndarray, silent: np.ndarray) -> float:
    """Return the fraction of right decisions; no output spike is a wrong decision. NaN without samples."""
    total = counts.sum() + silent.sum()
    return float(np.trace(counts) / total) if total else float("nan")


def table(counts: np.ndarray, silent: np.ndarray, names: list[str] | None = None) -> pd.DataFrame:
    """Return one row for each pair of `true` and `decided` class ("none": no output spike), with its `samples`.

    Raises ValueError where the shapes or the number of names do not fit.
    """
    names = _checked_names(counts, silent, names)
    rows = [
        (true, decided, int(samples))
        for true, decided_counts, undecided in zip(names, counts, silent, strict=True)
        for decided, samples in zip([*names, NO_SPIKE], [*decided_counts, undecided], strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _checked_names(counts: np.ndarray, silent: np.ndarray, names: list[str] | None) -> list[str]:
    n_classes = len(silent)
    if counts.shape != (n_classes, n_classes):
        raise ValueError(f"counts has the shape {counts.shape}; {n_classes} classes need {(n_classes, n_classes)}")
    return class_names(names, n_classes)


def _row_percent(counts: np.ndarray, silent: np.ndarray) -> np.ndarray:
    """Return the percentages [C, C + 1], the last column for silent samples; zeros for a class without samples."""
    samples = np.column_stack([counts, silent]).astype(float)
    total = samples.sum(axis=1, keepdims=True)
    return 100 * samples / np.where(total > 0, total, 1)


def _cell(axes: Axes, row: int, column: float, percent: float, colour: str) -> None:
    """Plot a tinted square with its number; an exact zero stays blank."""
    tint = np.sqrt(percent / 100)
    axes.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, facecolor="#F6F6F6", linewidth=0))
    axes.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, facecolor=colour, alpha=tint, linewidth=0))
    if percent > 0:
        text = "100" if percent == 100 else f"{min(percent, 99.9):.1f}" if percent >= 0.05 else "<0.1"
        axes.text(column, row, text, ha="center", va="center", color="white" if tint > 0.7 else style.INK)


def _label(axes: Axes, names: list[str], with_silent: bool) -> None:
    n_classes = len(names)
    columns = [*range(n_classes), n_classes + GAP] if with_silent else list(range(n_classes))
    axes.set_xlim(-0.5, columns[-1] + 0.5)
    axes.set_ylim(n_classes - 0.5, -0.5)
    axes.set_xticks(columns, [*names, NO_SPIKE] if with_silent else names)
    axes.set_yticks(range(n_classes), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if n_classes > FEW:
        for text in axes.texts:
            text.set_fontsize(style.SMALL)


def _title(counts: np.ndarray, silent: np.ndarray) -> str:
    samples = int(counts.sum() + silent.sum())
    title = f"accuracy {100 * accuracy(counts, silent):.2f} % of {samples:,} samples"
    return f"{title}, {int(silent.sum()):,} undecided" if silent.any() else title
