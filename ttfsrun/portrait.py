"""The figures of trained networks: what they compute as plain arrays, drawn by as many processes as pay."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ttfsrun.config import YinYang
from ttfsrun.data import encode
from ttfsrun.figures.album import DecisionMap, Portrait, draw
from ttfsrun.figures.decision_map import NAMES, Outline
from ttfsrun.records import Subject
from ttfsrun.training import Samples

GRID = 121  # points a side of the decision map
RASTER_SAMPLES = 4
COMPARED = 3  # conditions
FEW = 4  # networks whose figures are drawn sooner than another process has started


def portrait(subject: Subject, test: Samples, records: Sequence[Mapping[str, Any]], curves: pd.DataFrame) -> Portrait:
    """What the figures of one network show; records: of its conditions, its own first."""
    chosen = _first_of_each_class(test.labels)
    times = torch.from_numpy(test.times[chosen])
    yin_yang = subject.config.data if isinstance(subject.config.data, YinYang) else None
    return Portrait(
        counts=confusions(records),
        times=[times.numpy(), *(layer[0].numpy() for layer in _run(subject, times))],
        labels=test.labels[chosen],
        names=list(NAMES) if yin_yang else None,
        curves=curves,
        decision_map=_decision_map(yin_yang, subject, test) if yin_yang else None,
    )


def confusions(records: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """The test samples [C, C + 1] of the first few conditions, of each on its first chip, by what it is."""
    first: dict[str, Mapping[str, Any]] = {}
    for record in records:
        first.setdefault(record["condition"], record)
    chosen = list(first.values())[:COMPARED]
    return {_title(record): np.array(record["test"]["confusion"]) for record in chosen}


def _title(record: Mapping[str, Any]) -> str:
    """A condition by its name, what tells it from others of that name, and its chip."""
    settings = [f"{key.removeprefix('substrate.')}={value}" for key, value in record["settings"].items()]
    chip = f"chip={Path(str(record['chip'])).name}" if record["perturbed"] else "unperturbed"
    return f"{record['condition']} ({', '.join([*settings, chip])})"


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


def _decision_map(data: YinYang, subject: Subject, test: Samples) -> DecisionMap:
    side = np.linspace(0, 2 * data.r_big, GRID)
    x, y = (axis.ravel().astype(np.float32) for axis in np.meshgrid(side, side))
    points = encode(np.column_stack((x, y, 1 - x, 1 - y)), data.encoding)
    output = _run(subject, torch.from_numpy(points))[-1][0].numpy().reshape(GRID, GRID, -1)
    span = data.encoding.t_late - data.encoding.t_early
    tested = pd.DataFrame((test.times[:, :2] - data.encoding.t_early) / span, columns=["x", "y"])
    tested = tested.assign(label=test.labels, decided=subject.trial("test", test).decision)
    return DecisionMap(side, output, Outline(data.r_small, data.r_big), tested)


def _first_of_each_class(labels: np.ndarray) -> np.ndarray:
    """The first sample of each of the first few classes."""
    classes = np.unique(labels)[:RASTER_SAMPLES]
    return np.array([np.flatnonzero(labels == label)[0] for label in classes])


@torch.no_grad()
def _run(subject: Subject, times: Tensor) -> list[Tensor]:
    return subject.network(times[None], operation=subject.during("figures"))
