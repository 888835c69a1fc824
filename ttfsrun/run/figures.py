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

from ttfsrun.config.schema import YinYang
from ttfsrun.data import encode
from ttfsrun.data.samples import Samples
from ttfsrun.evaluation.trained_network import TrainedNetwork
from ttfsrun.figures.decision_map import NAMES, Outline
from ttfsrun.figures.run_figures import ChipPattern, DecisionMapData, RunFigureData, plot_run
from ttfsrun.figures.weights import Weights
from ttfsrun.run.membrane_traces import choose_traces
from ttfsrun.substrate.chip import units

GRID = 121  # points a side of the decision map
RASTER_SAMPLES = 4
COMPARED = 3  # conditions
PHASE = "figures"  # what chance is drawn for
FEW = 4  # networks whose figures are drawn sooner than another process has started


@torch.no_grad()
def figure_data(
    subject: TrainedNetwork, test: Samples, records: Sequence[Mapping[str, Any]], curves: pd.DataFrame
) -> RunFigureData:
    """What the figures of one network show; records: of its conditions, its own first."""
    chosen = _first_of_each_class(test.labels)
    times, labels = torch.from_numpy(test.times[chosen]), test.labels[chosen]
    layers = _run(subject, times)
    yin_yang = subject.config.data if isinstance(subject.config.data, YinYang) else None
    return RunFigureData(
        counts=confusion_counts(records),
        times=[times.numpy(), *(layer[0].numpy() for layer in layers)],
        labels=labels,
        traces=choose_traces(subject.network, times, labels, layers, subject.during(PHASE)),
        weights=_weights(subject),
        chip=_chip(subject),
        names=list(NAMES) if yin_yang else None,
        curves=curves,
        decision_map=_decision_map(yin_yang, subject, test) if yin_yang else None,
    )


def _weights(subject: TrainedNetwork) -> list[Weights]:
    """Of each layer, nominal and as they are on the network's substrate."""
    operation, (member,) = subject.during(PHASE), subject.substrate.members
    settings = subject.config.substrate.weight if "weight" in member.acting else None
    found = []
    for number, weight in enumerate(subject.network.weights):
        on_chip = operation.weight(number, weight)
        changed = not torch.equal(on_chip, weight)
        step = None if settings is None else settings.step(member.largest_weight(weight[0]))
        found.append(
            Weights(
                nominal=weight[0].numpy(),
                on_chip=on_chip[0].numpy() if changed else None,
                clip=None if settings is None else settings.largest,
                step=None if step is None else float(step),
            )
        )
    return found


def _chip(subject: TrainedNetwork) -> ChipPattern | None:
    """What was drawn for the chip that the network is on, at its age."""
    (member,) = subject.substrate.members
    drawn = member.chip(subject.during(PHASE).age).drawn
    return ChipPattern(drawn, units(subject.config.substrate)) if drawn else None


def confusion_counts(records: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
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


def plot_runs(portraits: Sequence[tuple[RunFigureData, Path]], processes: int, vector: bool = False) -> list[Path]:
    """Draw the figures of each network in the folder beside it; returns the files. vector: as PDF, too."""
    if processes == 1 or len(portraits) <= FEW:
        return [path for figure_data, folder in portraits for path in plot_run(figure_data, folder, vector)]
    # Spawned, not forked: a fork would take along threads' locks. An interrupt is for the parent to handle.
    ignore = (signal.SIGINT, signal.SIG_IGN)
    with ProcessPoolExecutor(processes, get_context("spawn"), signal.signal, ignore) as pool:
        drawing = [pool.submit(plot_run, figure_data, folder, vector) for figure_data, folder in portraits]
        return [path for done in drawing for path in done.result()]


def _decision_map(data: YinYang, subject: TrainedNetwork, test: Samples) -> DecisionMapData:
    side = np.linspace(0, 2 * data.r_big, GRID)
    x, y = (axis.ravel().astype(np.float32) for axis in np.meshgrid(side, side))
    points = encode(np.column_stack((x, y, 1 - x, 1 - y)), data.encoding)
    output = _run(subject, torch.from_numpy(points))[-1][0].numpy().reshape(GRID, GRID, -1)
    span = data.encoding.t_late - data.encoding.t_early
    tested = pd.DataFrame((test.times[:, :2] - data.encoding.t_early) / span, columns=["x", "y"])
    tested = tested.assign(label=test.labels, decided=subject.run_trial("test", test).decision)
    return DecisionMapData(side, output, Outline(data.r_small, data.r_big), tested)


def _first_of_each_class(labels: np.ndarray) -> np.ndarray:
    """The first sample of each of the first few classes."""
    classes = np.unique(labels)[:RASTER_SAMPLES]
    return np.array([np.flatnonzero(labels == label)[0] for label in classes])


@torch.no_grad()
def _run(subject: TrainedNetwork, times: Tensor) -> list[Tensor]:
    return subject.network(times[None], operation=subject.during(PHASE))
