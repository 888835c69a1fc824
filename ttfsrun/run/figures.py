"""The figures of trained networks: their data as plain arrays, plotted by one or several processes."""

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

from ttfsrun.config.environment import isolate_libraries
from ttfsrun.config.schema import Config, Mnist, YinYang
from ttfsrun.data import encode
from ttfsrun.data.augmentation import is_augmented
from ttfsrun.data.mnist import resize
from ttfsrun.data.samples import Samples
from ttfsrun.evaluation.deployed import DeployedNetworks
from ttfsrun.figures.augmentation import AugmentedImages
from ttfsrun.figures.decision_map import NAMES, Outline
from ttfsrun.figures.histograms import LayerValues
from ttfsrun.figures.raster import Delayed
from ttfsrun.figures.run_figures import ChipPattern, DecisionMapData, RunFigureData, plot_run
from ttfsrun.network.delays.kinds import LayerDelays
from ttfsrun.run.membrane_traces import choose_traces
from ttfsrun.substrate.chip import units
from ttfsrun.training.batches import Batches

GRID_POINTS = 121  # per side of the decision map
RASTER_SAMPLES = 4
AUGMENTED_EPOCHS = 5
MAX_CONDITIONS = 3  # in the figure of the confusion matrices
PHASE = "figures"  # names the random streams of the noise
MAX_SERIAL = 4  # networks whose figures are plotted sooner than another process has started


@torch.no_grad()
def figure_data(
    network: DeployedNetworks,
    samples: Mapping[str, Samples],
    records: Sequence[Mapping[str, Any]],
    curves: pd.DataFrame,
) -> RunFigureData:
    """Return the data of the figures of one network (P = 1).

    samples: by split, with the original images where the network's data are augmented. records: of its conditions, its
    own first.
    """
    test = samples["test"]
    chosen = _first_of_each_class(test.labels)
    times, labels = torch.from_numpy(test.times[chosen]), test.labels[chosen]
    layers = _run(network, times)
    (config,) = network.configs
    yin_yang = config.data if isinstance(config.data, YinYang) else None
    return RunFigureData(
        counts=confusion_counts(records),
        times=[times.numpy(), *(layer[0].numpy() for layer in layers)],
        labels=labels,
        delayed=_delayed(network, times, layers),
        traces=choose_traces(network.network, times, labels, layers, network.during(PHASE)),
        weights=_weights(network),
        delays=_delays(network),
        chip=_chip(network),
        names=list(NAMES) if yin_yang else None,
        curves=curves,
        decision_map=_decision_map(yin_yang, network, test) if yin_yang else None,
        images=_images(config, samples["train"]) if is_augmented(config.data) else None,
    )


def _images(config: Config, train: Samples) -> AugmentedImages:
    """Return some training images as they were in the first epochs."""
    assert isinstance(config.data, Mnist)
    assert train.originals is not None
    chosen = _first_of_each_class(train.labels)
    batches = Batches([config], train, config.training.batch_size)
    epochs = range(min(AUGMENTED_EPOCHS, config.training.epochs))
    return AugmentedImages(
        plain=resize(train.originals[chosen, 1:-1, 1:-1], config.data.size),
        changed=np.stack([batches.images(chosen.tolist(), epoch).numpy() for epoch in epochs], axis=1),
        labels=train.labels[chosen],
    )


def _delayed(network: DeployedNetworks, times: Tensor, layers: Sequence[Tensor]) -> Delayed:
    """Return when the events of delayed layers crossed a threshold, or arrived; see `raster.Delayed`.

    times: [S, N] of the inputs; layers: [1, S, M], the spikes that the network returned for them.
    """
    (config,), operation = network.configs, network.during(PHASE)
    sent = [times[None], *layers]
    delayed: dict[str, list[np.ndarray | None]] = {
        name: [None] * len(sent) for name in ("crossing_time", "arrival_time")
    }
    arrivals = network.network.arrivals(times[None], layers, operation)
    for number, kind in enumerate(config.network.delay_kinds):
        if kind == "axonal":
            delayed["arrival_time"][number] = arrivals[number][0, :, : sent[number].shape[-1]].numpy()
        elif kind == "dendritic":
            delays = network.network.delays_on(number, operation, len(times))
            delayed["crossing_time"][number + 1] = delays.crossings(sent[number + 1])[0].numpy()
    return {name: values for name, values in delayed.items() if any(layer is not None for layer in values)}


def _delays(network: DeployedNetworks) -> dict[int, LayerValues]:
    """Return the delays of the layers that have some, nominal and as they are on the network's substrate."""
    operation, (member,) = network.during(PHASE), network.substrates.members
    settings = network.configs[0].substrate.delay if "delay" in member.acting else None
    layers = {}
    for number in range(len(network.network.weights)):
        delays = network.network.delays_on(number, operation, n_samples=1)
        if isinstance(delays, LayerDelays):
            changed = not torch.equal(delays.acting, delays.nominal)
            layers[number + 1] = LayerValues(
                nominal=delays.nominal[0].numpy(),
                on_chip=delays.acting[0].numpy() if changed else None,
                largest=None if settings is None else settings.longest,
                step=None if settings is None else settings.resolution,
            )
    return layers


def _weights(network: DeployedNetworks) -> dict[int, LayerValues]:
    """Return the weights of each layer, nominal and as they are on the network's substrate."""
    operation, (member,) = network.during(PHASE), network.substrates.members
    settings = network.configs[0].substrate.weight if "weight" in member.acting else None
    layers = {}
    for number, weight in enumerate(network.network.weights):
        on_chip = operation.weight(number, weight).value
        changed = not torch.equal(on_chip, weight)
        step = None if settings is None else settings.step(float(weight.abs().amax()))
        layers[number + 1] = LayerValues(
            nominal=weight[0].numpy(),
            on_chip=on_chip[0].numpy() if changed else None,
            largest=None if settings is None else settings.largest,
            step=step,
        )
    return layers


def _chip(network: DeployedNetworks) -> ChipPattern | None:
    """Return what was drawn for the network's chip at its age; None where nothing was."""
    (member,) = network.substrates.members
    drawn = member.chip(network.during(PHASE).age).drawn
    return ChipPattern(drawn, units(network.configs[0].substrate)) if drawn else None


def confusion_counts(records: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Return the confusion matrices [C, C + 1] of the first few conditions, by title; each on its first chip."""
    first: dict[str, Mapping[str, Any]] = {}
    for record in records:
        first.setdefault(record["condition"], record)
    chosen = list(first.values())[:MAX_CONDITIONS]
    return {_title(record): np.array(record["test"]["confusion"]) for record in chosen}


def _title(record: Mapping[str, Any]) -> str:
    """Return the title of a condition: its name, what distinguishes it from others of that name, and its chip."""
    settings = [f"{key.removeprefix('substrate.')}={value}" for key, value in record["settings"].items()]
    chip = f"chip={Path(str(record['chip'])).name}" if record["perturbed"] else "unperturbed"
    return f"{record['condition']} ({', '.join([*settings, chip])})"


def plot_runs(figures: Sequence[tuple[RunFigureData, Path]], processes: int, vector: bool = False) -> list[Path]:
    """Plot the figures of each network into its folder and return the files. vector: write PDFs also.

    Raises CannotWrite where a file cannot be written.
    """
    if processes == 1 or len(figures) <= MAX_SERIAL:
        return [path for data, folder in figures for path in plot_run(data, folder, vector)]
    # Spawned, not forked: a fork would take along threads' locks.
    with ProcessPoolExecutor(processes, get_context("spawn"), _start_plotting) as pool:
        plots = [pool.submit(plot_run, data, folder, vector) for data, folder in figures]
        return [path for plot in plots for path in plot.result()]


def _start_plotting() -> None:
    """Prepare a process that plots."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # only the parent handles an interrupt
    isolate_libraries()


def _decision_map(data: YinYang, network: DeployedNetworks, test: Samples) -> DecisionMapData:
    side = np.linspace(0, 2 * data.r_big, GRID_POINTS)
    x, y = (axis.ravel().astype(np.float32) for axis in np.meshgrid(side, side))
    points = encode(np.column_stack((x, y, 1 - x, 1 - y)), data.encoding)
    output = _run(network, torch.from_numpy(points))[-1][0].numpy().reshape(GRID_POINTS, GRID_POINTS, -1)
    span = data.encoding.t_late - data.encoding.t_early
    tested = pd.DataFrame((test.times[:, :2] - data.encoding.t_early) / span, columns=["x", "y"])
    (responses,) = network.run_trial("test", test)
    tested = tested.assign(label=test.labels, decided=responses.decision)
    return DecisionMapData(side, output, Outline(data.r_small, data.r_big), tested)


def _first_of_each_class(labels: np.ndarray) -> np.ndarray:
    """Return the number of the first sample of each of the first few classes."""
    classes = np.unique(labels)[:RASTER_SAMPLES]
    return np.array([np.flatnonzero(labels == label)[0] for label in classes])


@torch.no_grad()
def _run(network: DeployedNetworks, times: Tensor) -> list[Tensor]:
    return network.network(times[None], operation=network.during(PHASE))
