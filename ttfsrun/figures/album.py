"""All figures of one run, from plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ttfsrun.figures import conditions, confusion, curves, decision_map, raster, style


@dataclass(frozen=True)
class DecisionMap:
    """What a network decides in the plane of the yin-yang data; see `decision_map.decision_map`."""

    side: np.ndarray  # [G]: coordinates of the grid
    output: np.ndarray  # [G, G, 3]: spike times of the label neurons, tau_syn
    outline: decision_map.Outline
    tested: pd.DataFrame


@dataclass(frozen=True)
class Portrait:
    """What the figures of one network show."""

    # By condition, the network's own first, [C, C + 1]: test samples by class and decision, the last column without one
    counts: dict[str, np.ndarray]
    times: list[np.ndarray]  # per layer from the inputs on [S, N]: spike times of some samples, tau_syn
    labels: np.ndarray  # [S]
    names: list[str] | None  # of the classes; None: their numbers
    curves: pd.DataFrame  # epoch, split, metric, value
    decision_map: DecisionMap | None


def draw(portrait: Portrait, folder: str | Path) -> None:
    """All that there is to show: of several conditions their comparison, for yin-yang the decision map, in `folder`."""
    folder = Path(folder)
    own = next(iter(portrait.counts.values()))
    counts, silent = own[:, :-1], own[:, -1]
    figure = confusion.confusion_matrix(counts, silent, portrait.names)
    style.save(figure, folder / "confusion", confusion.table(counts, silent, portrait.names))

    if len(portrait.counts) > 1:
        figure = conditions.conditions(portrait.counts, portrait.names)
        style.save(figure, folder / "conditions", conditions.table(portrait.counts, portrait.names))

    figure = raster.raster(portrait.times, portrait.labels, portrait.names)
    style.save(figure, folder / "raster", raster.table(portrait.times, portrait.labels))

    style.save(curves.learning_curves(portrait.curves), folder / "curves")  # the numbers are the run's curves.csv

    if portrait.decision_map is not None:
        shown = portrait.decision_map
        figure = decision_map.decision_map(shown.side, shown.side, shown.output, shown.outline, shown.tested)
        numbers = decision_map.table(shown.side, shown.side, shown.output, shown.outline)
        style.save(figure, folder / "decision_map", numbers)
