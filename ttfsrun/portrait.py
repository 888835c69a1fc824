"""The figures of trained networks: what they compute as plain arrays, drawn by as many processes as pay."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ttfsrun.config import Config, YinYang
from ttfsrun.data import encode
from ttfsrun.evaluation import Evaluation
from ttfsrun.figures.album import DecisionMap, Portrait, draw
from ttfsrun.figures.decision_map import NAMES, Outline
from ttfsrun.network import Network
from ttfsrun.training import Samples

GRID = 121  # points a side of the decision map
RASTER_SAMPLES = 4
FEW = 4  # networks whose figures are drawn sooner than another process has started


def portrait(config: Config, network: Network, test: Samples, result: Evaluation, curves: pd.DataFrame) -> Portrait:
    """What the figures of one network (P = 1) show, from its evaluation on the test set."""
    chosen = _first_of_each_class(test.labels)
    times = torch.from_numpy(test.times[chosen])
    yin_yang = config.data if isinstance(config.data, YinYang) else None
    return Portrait(
        counts=result.confusion,
        times=[times.numpy(), *(layer[0].numpy() for layer in _run(network, times))],
        labels=test.labels[chosen],
        names=list(NAMES) if yin_yang else None,
        curves=curves,
        decision_map=_decision_map(yin_yang, network, test, result) if yin_yang else None,
    )


def draw_all(portraits: Sequence[tuple[Portrait, str]], processes: int) -> None:
    """Draw the figures of each network in the folder beside it."""
    if processes == 1 or len(portraits) <= FEW:
        for portrait, folder in portraits:
            draw(portrait, folder)
        return
    # Spawned, not forked: a fork would take along threads' locks. An interrupt is for the parent to handle.
    ignore = (signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(processes, get_context("spawn"), signal.signal, ignore) as pool:
        for done in [pool.submit(draw, portrait, folder) for portrait, folder in portraits]:
            done.result()


def _decision_map(data: YinYang, network: Network, test: Samples, result: Evaluation) -> DecisionMap:
    side = np.linspace(0, 2 * data.r_big, GRID)
    x, y = (axis.ravel().astype(np.float32) for axis in np.meshgrid(side, side))
    points = encode(np.column_stack((x, y, 1 - x, 1 - y)), data.encoding)
    output = _run(network, torch.from_numpy(points))[-1][0].numpy().reshape(GRID, GRID, -1)
    span = data.encoding.t_late - data.encoding.t_early
    tested = pd.DataFrame((test.times[:, :2] - data.encoding.t_early) / span, columns=["x", "y"])
    tested = tested.assign(label=test.labels, decided=result.decision)
    return DecisionMap(side, output, Outline(data.r_small, data.r_big), tested)


def _first_of_each_class(labels: np.ndarray) -> np.ndarray:
    """The first sample of each of the first few classes."""
    classes = np.unique(labels)[:RASTER_SAMPLES]
    return np.array([np.flatnonzero(labels == label)[0] for label in classes])


@torch.no_grad()
def _run(network: Network, times: Tensor) -> list[Tensor]:
    return network(times[None])
