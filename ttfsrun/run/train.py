"""The verb `train`: points in, run folders out."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from shlex import quote

import msgspec

from ttfsrun.config.cluster import Slurm
from ttfsrun.config.compose import Point, expand
from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.ids import PER_NETWORK, point_id, shared_settings
from ttfsrun.config.paths import checksums, named_files, with_absolute_paths
from ttfsrun.config.schema import Config
from ttfsrun.data.augmentation import is_augmented
from ttfsrun.data.samples import load_samples
from ttfsrun.errors import UserError
from ttfsrun.evaluation.trained_network import chip_checksums
from ttfsrun.results.claim import claimed_folder
from ttfsrun.results.provenance import provenance
from ttfsrun.run.devices import explained_shortage, training_device
from ttfsrun.run.folder import PopulationFolder, RunFolder, claimed_for_runs, folder_names
from ttfsrun.run.inputs import require_stored_chips, stored_samples, warn_of_other_code, write_inputs
from ttfsrun.run.progress import training_display
from ttfsrun.run.signals import on_signals, raise_terminated
from ttfsrun.run.stored import read_config, use_configured_threads
from ttfsrun.run.write import write_results
from ttfsrun.training import checkpoint
from ttfsrun.training.fit import fit
from ttfsrun.training.network_file import require_fitting_start
from ttfsrun.training.state import TrainingState
from ttfsrun.training.trainer import Diverged, Trainer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunPopulation:
    """Networks that are trained at once, and the folder of each."""

    configs: list[Config]
    names: list[str]
    folder: PopulationFolder

    def runs(self) -> list[RunFolder]:
        """Return the folder of each network."""
        return [self.folder.run(name) for name in self.names]


def train(overrides: Sequence[str], out: str | PathLike[str] | None = None, overwrite: bool = False) -> Path:
    """Train the networks that overrides describe, like `ttfsrun train`, and return the folder of the results.

    out: by default a new folder below `results/runs`. overwrite: replace existing results. Raises ConfigError for
    overrides that the schema does not allow, and what `train_points` raises.
    """
    folder, _ = train_points(expand(overrides), out=None if out is None else Path(out), overwrite=overwrite)
    return folder


def train_points(
    points: Sequence[Point], *, out: Path | None = None, overwrite: bool = False, resume: Path | None = None
) -> tuple[Path, list[str]]:
    """Train the points as one population, or resume an interrupted training.

    Returns the folder of the results, and the lines that summarise them. Raises UserError where the folder cannot take
    the results, another process writes to it, the points cannot share a population, or the training diverges
    (Diverged); Terminated on SIGTERM, after saving a checkpoint.
    """
    if resume is not None:
        PopulationFolder(resume).names()  # raises where it is none of runs, before anything is written
        with claimed_folder(resume, "train again with --out"):
            unmade = PopulationFolder(resume).being_made()
            if unmade:
                return _train(RunPopulation([*unmade.values()], [*unmade], PopulationFolder(resume)), None, is_new=True)
            return _train(*_interrupted(resume))
    configs = _require_one_population(points)
    with claimed_for_runs(out, configs, overwrite) as folder:
        names = folder_names([point.label for point in points])
        return _train(RunPopulation(configs, names, folder), None, is_new=True)


def _train(population: RunPopulation, state: TrainingState | None, is_new: bool = False) -> tuple[Path, list[str]]:
    """Train in a folder that this process has claimed; see `train_points`."""
    first = population.configs[0]
    use_configured_threads(first)
    device, device_name = training_device(first.cluster.device)
    augmented = any(is_augmented(config.data) for config in population.configs)
    samples, data = (
        load_samples(first.data, augmented) if is_new else stored_samples(population.runs()[0], first, augmented)
    )
    conditions = [conditions_of(config) for config in population.configs]
    chips = chip_checksums([condition for network in conditions for condition in network])
    starts = {config.training.start: "training.start" for config in population.configs if config.training.start}
    named = chips | checksums(starts)
    for config in population.configs if is_new else ():
        require_fitting_start(config)
    origin = {
        "data": data.source,
        "made_by": provenance(),
        "device": device_name,
    }  # before training: the source may change meanwhile
    if chips:
        origin["chips"] = chips
    configs = dict(zip(population.names, population.configs, strict=True))
    with population.folder.made(configs) if is_new else nullcontext():
        for run, config in zip(population.runs(), population.configs, strict=True):
            if not run.inputs.exists():
                write_inputs(run, data, {file: named[file] for file in named_files(msgspec.to_builtins(config))})
    with explained_shortage(len(configs)):
        trainer = Trainer(population.configs, samples["train"], samples["valid"], state, device)
    members = {name: point_id(config) for name, config in configs.items()}
    try:
        with on_signals(raise_terminated, signal.SIGTERM), explained_shortage(len(configs)):
            with training_display(trainer) as show:
                fit(trainer, population.folder.checkpoint, members, show)
            lines = write_results(trainer, population.folder, population.names, conditions, samples, origin)
    except Diverged:
        raise  # resuming would diverge again
    except BaseException:
        folder = quote(str(population.folder.path))
        log.warning("stopped after epoch %d; resume with: ttfsrun train --resume %s", trainer.state.epoch, folder)
        raise
    population.folder.checkpoint.unlink(missing_ok=True)  # last: a run without a checkpoint is finished
    return population.folder.path, lines


def _require_one_population(points: Sequence[Point]) -> list[Config]:
    """Return the configurations of the points. Raises UserError where they cannot be trained together."""
    configs = [_with_absolute_paths(point.config) for point in points]
    if isinstance(configs[0].cluster, Slurm):
        raise UserError("cluster=slurm: train runs here and now; ttfsrun sweep submits jobs, also of a single point")
    common = [shared_settings(config) for config in configs]
    for point, settings in zip(points, common, strict=True):
        for key, value in settings.items():
            if value != common[0][key]:
                raise UserError(
                    f"{key}={value} ({point.label}): the networks of one training differ only in "
                    f"{', '.join(PER_NETWORK)}; train the others with a command of their own"
                )
    if len(set(map(repr, configs))) < len(points):  # 0.1 and 0.10 are the same
        raise UserError(f"{len(points)} points, but some are the same: name each only once")
    return configs


def _interrupted(path: Path) -> tuple[RunPopulation, TrainingState | None]:
    """Return an interrupted training and its state; None where it was stopped before the first checkpoint.

    Raises UserError where there is nothing to resume, or the training has been changed since.
    """
    folder = PopulationFolder(path)
    names = folder.names()
    warn_of_other_code(folder.run(names[0]))
    if not folder.checkpoint.exists() and all(folder.run(name).metrics.exists() for name in names):
        raise UserError(f"{path} is finished: there is nothing to resume")
    if not folder.checkpoint.exists():
        return RunPopulation([_stored_config(folder.run(name)) for name in names], names, folder), None
    state, members = checkpoint.load_state(folder.checkpoint)
    configs = [_stored_config(folder.run(name)) for name in members]
    for run, config, identity in zip(map(folder.run, members), configs, members.values(), strict=True):
        if point_id(config) != identity:
            raise UserError(
                f"{run.config} has been changed since {folder.checkpoint} was written: undo that, or train again"
            )
    return RunPopulation(configs, list(members), folder), state


def _with_absolute_paths(config: Config) -> Config:
    return msgspec.convert(with_absolute_paths(msgspec.to_builtins(config)), Config)


def _stored_config(run: RunFolder) -> Config:
    config = read_config(run)
    require_stored_chips(run, config)
    return config
