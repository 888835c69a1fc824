"""Confusion matrices of one network under several conditions, such as in simulation and on a chip, side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ttfsrun.figures import confusion, style
from ttfsrun.figures.decision import class_names

HEIGHT_FEW, HEIGHT_MANY = 1.95, 2.65  # of the figure, in inches
CHARACTERS = {style.COLUMN: 26, style.PAGE: 40}  # of a line above a matrix, by the width of the figure


def conditions(counts: Mapping[str, np.ndarray], names: list[str] | None = None) -> Figure:
    """Plot a confusion matrix for each of two or three conditions, with its accuracy.

    counts[condition] [C, C + 1]: samples by class and decision; the last column: without an output spike.
    The cells are those of `confusion.confusion_matrix`. Raises ValueError where the number of names is wrong.
    """
    n_classes = len(next(iter(counts.values())))
    names = class_names(names, n_classes)
    with_silent = any(matrix[:, -1].any() for matrix in counts.values())
    few_classes = n_classes <= confusion.FEW
    width = style.COLUMN if few_classes and len(counts) <= 2 else style.PAGE
    with style.figure_style():
        figure = style.new_figure(width, HEIGHT_FEW if few_classes else HEIGHT_MANY)
        panels = figure.subplots(1, len(counts), squeeze=False)[0]
        for axes, (condition, matrix) in zip(panels, counts.items(), strict=True):
            confusion.matrix(axes, matrix[:, :-1], matrix[:, -1], names, with_silent)
            axes.tick_params(labelleft=axes is panels[0])
            accuracy = 100 * confusion.accuracy(matrix[:, :-1], matrix[:, -1])
            lines = textwrap.wrap(condition, CHARACTERS[width], max_lines=2, placeholder=" ...")
            axes.set_title("\n".join([*lines, f"accuracy {accuracy:.2f} %"]))
        panels[0].set_ylabel(confusion.TRUE)
        figure.supxlabel(confusion.DECIDED)
    return figure


def table(counts: Mapping[str, np.ndarray], names: list[str] | None = None) -> pd.DataFrame:
    """Return `confusion.table` of every condition, with its name in the column `condition`."""
    tables = [
        confusion.table(matrix[:, :-1], matrix[:, -1], names).assign(condition=condition)
        for condition, matrix in counts.items()
    ]
    return pd.concat(tables, ignore_index=True)[["condition", *confusion.COLUMNS]]
