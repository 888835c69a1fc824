"""Confusion matrices of a few conditions, or of a few values of a setting, side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ttfsrun.figures import conditions
from ttfsrun.figures.sweep import labels
from ttfsrun.figures.sweep.drawing import Supplement, SweepFigure
from ttfsrun.figures.sweep.rows import Value, group_by, levels
from ttfsrun.results.table import CONDITION

MAX_MATRICES = 3  # side by side


def confusions(name: str, rows: pd.DataFrame, column: str, supplement: Supplement) -> SweepFigure | None:
    """Plot the summed confusion matrix of the rows with each value of a column.

    rows: see `rows.plain_rows`. supplement: with `confusion`. Return None where no row has a matrix, or the numbers of
    classes differ.
    """
    assert supplement.confusion is not None
    counts: dict[str, np.ndarray] = {}
    n: list[int] = []
    values = _select(levels(list(rows[column])), spaced=column != CONDITION)
    for (value,), group in group_by(rows, [column]):
        stored = [supplement.confusion[int(index)] for index in group.index]
        matrices = [matrix for matrix in stored if matrix is not None]
        if value in values and matrices and len({matrix.shape for matrix in matrices}) == 1:
            text = labels.text(value)
            counts[text if column == CONDITION else f"{labels.title(column)} {text}"] = np.sum(matrices, axis=0)
            n.append(len(matrices))
    if not counts or len({matrix.shape for matrix in counts.values()}) > 1:
        return None
    n_classes = len(next(iter(counts.values())))
    names = supplement.names if supplement.names and len(supplement.names) == n_classes else None
    caption = (
        f"Decided class in per cent of the true class, for {', '.join(counts)}: samples of "
        f"{' and '.join(map(str, dict.fromkeys(n)))} evaluations summed."
    )
    return SweepFigure(name, caption, conditions.conditions(counts, names), conditions.table(counts, names))


def _select(values: list[Value], spaced: bool) -> list[Value]:
    """Return the first few values; of many values with `spaced`, the first, one in the middle, and the last."""
    if len(values) <= MAX_MATRICES or not spaced:
        return values[:MAX_MATRICES]
    return [values[0], values[len(values) // 2], values[-1]]
