"""The figures of a run, plotted again from the files in its folder: nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.schema import Config, Mnist, YinYang
from ttfsrun.data.augmentation import is_augmented, plain
from ttfsrun.errors import UserError
from ttfsrun.evaluation.deployed import DeployedNetworks
from ttfsrun.evaluation.trained_network import chip_checksums, stored_records
from ttfsrun.figures.run_figures import RunFigureData
from ttfsrun.neuron import get_threads
from ttfsrun.results.claim import claimed_folder
from ttfsrun.run.figures import figure_data, plot_runs
from ttfsrun.run.folder import PopulationFolder, RunFolder
from ttfsrun.run.inputs import require_stored_chips, stored_samples
from ttfsrun.run.stored import read_config, read_learned, use_configured_threads


def redraw(run: Path, out: Path | None = None) -> list[Path]:
    """Plot the figures of a run, or of each network of a population, as PNG and PDF, and write their tables.

    They replace those in the folder of the run, or go to `out`, where each network of a population gets a folder.
    The confusion matrices come from metrics.json; the rest is computed again. Returns the files.
    Raises UserError where the run is not finished or a file is damaged; then nothing is plotted. Raises CannotWrite
    where a file cannot be written.
    """
    folder = PopulationFolder(run)
    names = folder.names()  # raises where it is none of runs, before anything is written
    with claimed_folder(run if out is None else out):  # with --out, the run need not be writable
        return _redraw(folder, names, out)


def _redraw(folder: PopulationFolder, names: Sequence[str], out: Path | None) -> list[Path]:
    plots: list[tuple[RunFigureData, Path]] = []
    data: YinYang | Mnist | None = None
    members = [folder.run(name) for name in names]
    configs = [read_config(member) for member in members]
    originals = any(is_augmented(config.data) for config in configs)
    for name, member, config in zip(names, members, configs, strict=True):
        use_configured_threads(config)
        network = _deployed(member, config)
        records, curves = _records(member, config), member.read_curves()
        if plain(config.data) != data:  # the networks of a population share it
            data, samples = plain(config.data), stored_samples(member, config, originals)[0]
        figures = member.figures if out is None else out / name
        plots.append((figure_data(network, samples, records, curves), figures))
    return plot_runs(plots, get_threads(), vector=True)


def _deployed(run: RunFolder, config: Config) -> DeployedNetworks:
    learned = read_learned(run, config)
    require_stored_chips(run, config)
    chip_checksums(conditions_of(config))
    return DeployedNetworks([config], learned)


def _records(run: RunFolder, config: Config) -> list[dict[str, Any]]:
    """Return the records in the metrics of a run. Raises UserError where they lack what a figure shows."""
    metrics = run.read_metrics()
    try:
        records = stored_records(metrics, conditions_of(config)[0])
        shapes = [[len(row) for row in record["test"]["confusion"]] for record in records]
        complete = all(record.keys() >= {"condition", "settings", "perturbed", "chip"} for record in records)
    except (AttributeError, KeyError, TypeError):
        complete = False
    classes = config.data.n_classes
    if not complete or any(shape != [classes + 1] * classes for shape in shapes):
        raise UserError(
            f"{run.metrics} lacks the confusion matrix of the test samples, {classes} x {classes + 1}, of a condition: "
            "it is damaged or was written by another version; train again"
        )
    return records
