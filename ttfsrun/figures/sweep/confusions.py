"""Confusion matrices of a few conditions, or of a few values of a setting, side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ttfsrun.figures import conditions
from ttfsrun.figures.sweep import labels
from ttfsrun.figures.sweep.drawing import Supplement, SweepFigure
from ttfsrun.figures.sweep.rows import Value, group_by, levels
from ttfsrun.results.table import CONDITION

MOST = 3  # matrices side by side


def confusions(name: str, rows: pd.DataFrame, column: str, beside: Supplement) -> SweepFigure | None:
    """The samples of all rows (see `rows.of`) with the same value of a column, summed. None where no row has any."""
    assert beside.confusion is not None
    counts: dict[str, np.ndarray] = {}
    n: list[int] = []
    shown = _some(levels(list(rows[column])), spread=column != CONDITION)
    for (value,), own in group_by(rows, [column]):
        matrices = [beside.confusion[int(place)] for place in own.index]
        known = [matrix for matrix in matrices if matrix is not None]
        if value in shown and known and len({matrix.shape for matrix in known}) == 1:
            text = labels.text(value)
            counts[text if column == CONDITION else f"{labels.title(column)} {text}"] = np.sum(known, axis=0)
            n.append(len(known))
    if not counts or len({matrix.shape for matrix in counts.values()}) > 1:
        return None
    names = beside.names if beside.names and len(beside.names) == len(next(iter(counts.values()))) else None
    caption = (
        f"Decided class in per cent of the true class, for {', '.join(counts)}: samples of "
        f"{' and '.join(map(str, dict.fromkeys(n)))} evaluations summed."
    )
    return SweepFigure(name, caption, conditions.conditions(counts, names), conditions.table(counts, names))


def _some(values: list[Value], spread: bool) -> list[Value]:
    """The first few; or the first, one in the middle, and the last."""
    if len(values) <= MOST or not spread:
        return values[:MOST]
    return [values[0], values[len(values) // 2], values[-1]]
