"""All figures of one run, from plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ttfsrun.figures import (
    augmentation,
    chip,
    conditions,
    confusion,
    curves,
    decision_map,
    histograms,
    membrane,
    raster,
    style,
)


@dataclass(frozen=True)
class DecisionMapData:
    """The decisions of a network over the plane of the yin-yang data; see `decision_map.decision_map`."""

    side: np.ndarray  # [G]: coordinates of the grid
    output: np.ndarray  # [G, G, 3]: spike times of the label neurons, tau_syn
    outline: decision_map.Outline
    tested: pd.DataFrame


@dataclass(frozen=True)
class ChipPattern:
    """The fixed quantities of the chip that a network is on; see `chip.chip`."""

    drawn: Mapping[str, Sequence[np.ndarray]]
    units: Mapping[str, str]


@dataclass(frozen=True)
class RunFigureData:
    """The data that the figures of one network show."""

    # By condition, the own one first, [C, C + 1]: test samples by class and decision; the last column: no decision
    counts: dict[str, np.ndarray]
    times: list[np.ndarray]  # per layer, the inputs first, [S, N]: spike times of some samples, tau_syn
    labels: np.ndarray  # [S]
    delayed: raster.Delayed  # other times of these events
    traces: list[membrane.Trace]  # of some neurons in some of these samples
    weights: dict[int, histograms.LayerValues]  # by the number of the layer
    delays: dict[int, histograms.LayerValues]  # of the layers that have some
    chip: ChipPattern | None  # None where no quantity is drawn for a chip
    names: list[str] | None  # of the classes; None: their numbers
    curves: pd.DataFrame  # epoch, split, metric, value
    decision_map: DecisionMapData | None
    images: augmentation.AugmentedImages | None  # None where training images are not augmented


def plot_run(data: RunFigureData, folder: str | Path, vector: bool = False) -> list[Path]:
    """Write the figures of a network to `folder` as PNG and CSV, with `vector` also as PDF; return the files.

    Several conditions also have a comparison, yin-yang data a decision map, a chip with drawn quantities a figure, and
    so have delays and augmented images.
    Raises CannotWrite where a file cannot be written.
    """
    folder, names = Path(folder), data.names
    first_condition = next(iter(data.counts.values()))
    counts, silent = first_condition[:, :-1], first_condition[:, -1]
    figures: dict[str, tuple[Figure, pd.DataFrame | None]] = {
        "confusion": (confusion.confusion_matrix(counts, silent, names), confusion.table(counts, silent, names)),
        "raster": (
            raster.raster(data.times, data.labels, names, data.delayed),
            raster.table(data.times, data.labels, data.delayed),
        ),
        "membrane": (membrane.membrane(data.traces, names), membrane.table(data.traces)),
        "weights": _histograms(histograms.WEIGHTS, data.weights),
        "curves": (curves.learning_curves(data.curves), None),  # the numbers are the run's curves.csv
    }
    if len(data.counts) > 1:
        figure = conditions.conditions(data.counts, names)
        figures["conditions"] = figure, conditions.table(data.counts, names)
    if data.delays:
        figures["delays"] = _histograms(histograms.DELAYS, data.delays)
    if data.chip is not None:
        figure = chip.chip(data.chip.drawn, data.chip.units)
        figures["chip"] = figure, chip.table(data.chip.drawn)
    if data.decision_map is not None:
        plane = data.decision_map
        figure = decision_map.decision_map(plane.side, plane.side, plane.output, plane.outline, plane.tested)
        figures["decision_map"] = figure, decision_map.table(plane.side, plane.side, plane.output, plane.outline)
    if data.images is not None:
        figures["augmentation"] = augmentation.augmentation(data.images), augmentation.table(data.images)
    return [
        path
        for name, (figure, numbers) in figures.items()
        for path in style.save(figure, folder / name, numbers, vector)
    ]


def _histograms(
    quantity: histograms.Quantity, layers: Mapping[int, histograms.LayerValues]
) -> tuple[Figure, pd.DataFrame]:
    return histograms.histograms(quantity, layers), histograms.table(quantity, layers)
