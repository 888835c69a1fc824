"""The figures of one trained network: what it computes, handed to `ttfsrun.figures` as plain arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ttfsrun.config import Config, YinYang
from ttfsrun.data import encode
from ttfsrun.evaluation import Evaluation
from ttfsrun.figures import confusion, curves, decision_map, raster, style
from ttfsrun.network import Network
from ttfsrun.results.folder import RunFolder
from ttfsrun.training import Samples

GRID = 121  # points a side of the decision map
RASTER_SAMPLES = 4


def draw(folder: RunFolder, config: Config, network: Network, test: Samples, result: Evaluation) -> None:
    """Confusion matrix, raster and, for yin-yang, the decision map, of one network (P = 1) on the test set."""
    counts, silent = result.confusion[:, :-1], result.confusion[:, -1]
    names = list(decision_map.NAMES) if isinstance(config.data, YinYang) else None
    matrix = confusion.confusion_matrix(counts, silent, names)
    style.save(matrix, folder.figures / "confusion", confusion.table(counts, silent, names))

    chosen = _first_of_each_class(test.labels)
    times = torch.from_numpy(test.times[chosen])
    layers = [times.numpy(), *(layer[0].numpy() for layer in _run(network, times))]
    figure = raster.raster(layers, test.labels[chosen], names)
    style.save(figure, folder.figures / "raster", raster.table(layers, test.labels[chosen]))

    if isinstance(config.data, YinYang):
        _draw_decision_map(folder, config.data, network, test, result)


def draw_curves(folder: RunFolder, table: pd.DataFrame) -> None:
    """Loss and error over the epochs; the numbers are the run's curves.csv."""
    style.save(curves.learning_curves(table), folder.figures / "curves")


def _draw_decision_map(folder: RunFolder, data: YinYang, network: Network, test: Samples, result: Evaluation) -> None:
    outline = decision_map.Outline(data.r_small, data.r_big)
    side = np.linspace(0, 2 * data.r_big, GRID)
    x, y = (axis.ravel().astype(np.float32) for axis in np.meshgrid(side, side))
    points = encode(np.column_stack((x, y, 1 - x, 1 - y)), data.encoding)
    output = _run(network, torch.from_numpy(points))[-1][0].numpy().reshape(GRID, GRID, -1)
    span = data.encoding.t_late - data.encoding.t_early
    tested = pd.DataFrame((test.times[:, :2] - data.encoding.t_early) / span, columns=["x", "y"])
    tested = tested.assign(label=test.labels, decided=result.decision)
    figure = decision_map.decision_map(side, side, output, outline, tested)
    style.save(figure, folder.figures / "decision_map", decision_map.table(side, side, output, outline))


def _first_of_each_class(labels: np.ndarray) -> np.ndarray:
    """The first sample of each of the first few classes."""
    classes = np.unique(labels)[:RASTER_SAMPLES]
    return np.array([np.flatnonzero(labels == label)[0] for label in classes])


@torch.no_grad()
def _run(network: Network, times: Tensor) -> list[Tensor]:
    return network(times[None])
