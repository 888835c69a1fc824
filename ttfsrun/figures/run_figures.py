"""All figures of one run, from plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ttfsrun.figures import chip, conditions, confusion, curves, decision_map, membrane, raster, style, weights


@dataclass(frozen=True)
class DecisionMapData:
    """What a network decides in the plane of the yin-yang data; see `decision_map.decision_map`."""

    side: np.ndarray  # [G]: coordinates of the grid
    output: np.ndarray  # [G, G, 3]: spike times of the label neurons, tau_syn
    outline: decision_map.Outline
    tested: pd.DataFrame


@dataclass(frozen=True)
class ChipPattern:
    """What is fixed on the chip that a network is on; see `chip.chip`."""

    drawn: Mapping[str, Sequence[np.ndarray]]
    units: Mapping[str, str]


@dataclass(frozen=True)
class RunFigureData:
    """What the figures of one network show."""

    # By condition, the network's own first, [C, C + 1]: test samples by class and decision, the last column without one
    counts: dict[str, np.ndarray]
    times: list[np.ndarray]  # per layer from the inputs on [S, N]: spike times of some samples, tau_syn
    labels: np.ndarray  # [S]
    traces: list[membrane.Trace]  # of some neurons in some of these samples
    weights: list[weights.Weights]  # per layer
    chip: ChipPattern | None  # None where nothing is drawn for a chip
    names: list[str] | None  # of the classes; None: their numbers
    curves: pd.DataFrame  # epoch, split, metric, value
    decision_map: DecisionMapData | None


def plot_run(portrait: RunFigureData, folder: str | Path, vector: bool = False) -> list[Path]:
    """All that there is to show, in `folder`, as PNG and table, with `vector` as PDF as well; returns the files.

    Of several conditions there is a comparison, for yin-yang a decision map, and a chip's picture where it has one.
    """
    folder, names = Path(folder), portrait.names
    own = next(iter(portrait.counts.values()))
    counts, silent = own[:, :-1], own[:, -1]
    shown: dict[str, tuple[Figure, pd.DataFrame | None]] = {
        "confusion": (confusion.confusion_matrix(counts, silent, names), confusion.table(counts, silent, names)),
        "raster": (
            raster.raster(portrait.times, portrait.labels, names),
            raster.table(portrait.times, portrait.labels),
        ),
        "membrane": (membrane.membrane(portrait.traces, names), membrane.table(portrait.traces)),
        "weights": (weights.weights(portrait.weights), weights.table(portrait.weights)),
        "curves": (curves.learning_curves(portrait.curves), None),  # the numbers are the run's curves.csv
    }
    if len(portrait.counts) > 1:
        figure = conditions.conditions(portrait.counts, names)
        shown["conditions"] = figure, conditions.table(portrait.counts, names)
    if portrait.chip is not None:
        figure = chip.chip(portrait.chip.drawn, portrait.chip.units)
        shown["chip"] = figure, chip.table(portrait.chip.drawn)
    if portrait.decision_map is not None:
        plane = portrait.decision_map
        figure = decision_map.decision_map(plane.side, plane.side, plane.output, plane.outline, plane.tested)
        shown["decision_map"] = figure, decision_map.table(plane.side, plane.side, plane.output, plane.outline)
    return [
        path for name, (figure, numbers) in shown.items() for path in style.save(figure, folder / name, numbers, vector)
    ]
