"""Points in, run folders out: all that `train` and `evaluate` execute."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from torch import Tensor

from ttfsrun import data
from ttfsrun.config.cluster import Slurm
from ttfsrun.config.compose import Point, revise, revisions
from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.ids import OWN, point_id, shared
from ttfsrun.config.schema import Config, Mnist, YinYang
from ttfsrun.errors import UserError
from ttfsrun.evaluation.trained_network import Subject, chip_files, record
from ttfsrun.files import sha256
from ttfsrun.network import build
from ttfsrun.neuron import keep_freed_memory, set_threads
from ttfsrun.results.provenance import provenance
from ttfsrun.run.folder import PopulationFolder, RunFolder, default_folder, folder_names
from ttfsrun.run.progress import display
from ttfsrun.run.write import report
from ttfsrun.training import checkpoint
from ttfsrun.training.fit import fit
from ttfsrun.training.trainer import Diverged, Samples, State, Trainer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Population:
    """Networks that are trained at once, and the folder of each."""

    configs: list[Config]
    names: list[str]
    folder: PopulationFolder

    def runs(self) -> list[RunFolder]:
        return [self.folder.run(name) for name in self.names]


def train(points: Sequence[Point], *, out: Path | None, overwrite: bool, resume: Path | None) -> list[str]:
    """Train the points as one population, or go on with an interrupted one; returns what to say of the results."""
    if resume is not None:
        population, state = _interrupted(resume)
    else:
        population, state = _new(points, out), None
        population.folder.check(overwrite)
    use_threads(population.configs[0])
    samples, source = load_samples(population.configs[0])
    plans = [conditions_of(config) for config in population.configs]
    files = chip_files([condition for plan in plans for condition in plan])
    origin = {"data": source, "made_by": provenance()}  # now: the source may change while the training runs
    if files:
        origin["chips"] = files
    if resume is None:
        population.folder.prepare()
        for run, config in zip(population.runs(), population.configs, strict=True):
            run.write_config(config)
    trainer = Trainer(population.configs, samples["train"], samples["valid"], state)
    try:
        members = dict(zip(population.names, map(_identity, population.configs), strict=True))
        with display(trainer) as shown:
            fit(trainer, population.folder.checkpoint, members, shown)
        lines = report(trainer, population.folder, population.names, plans, samples, origin)
    except Diverged:
        raise  # it would again
    except BaseException:
        folder = quote(str(population.folder.path))
        log.warning("stopped after epoch %d; go on with: ttfsrun train --resume %s", trainer.state.epoch, folder)
        raise
    population.folder.checkpoint.unlink(missing_ok=True)  # the last: from here on the run is finished
    return lines


def evaluate(run: Path, overrides: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The metrics of the networks stored in a folder, under other settings if there are overrides, and conditions."""
    folder = PopulationFolder(run)
    for name in folder.names():
        member = folder.run(name)
        for config, label in revisions(member.read_settings(), overrides):
            use_threads(config)
            own, *others = conditions_of(config)
            chip_files([own, *others])
            weights = stored_weights(member, config)
            samples, source = load_samples(config)
            about = {"run": str(member.path), "settings": label, "id": point_id(config)}
            metrics: dict[str, Any] = about | {"network": config.training.keep}
            subject = Subject(config, weights)
            for split, part in samples.items():
                start = time.perf_counter()
                metrics[split] = subject.measured(split, part)
                rate = metrics[split]["samples"] / (time.perf_counter() - start)
                metrics[split]["samples_per_second"] = rate
            records = [record(condition, weights, samples) for condition in others]
            yield metrics | {"conditions": records, "data": source}


def stored_weights(run: RunFolder, config: Config) -> list[Tensor]:
    """The weights [1, N, M] of each layer that a run keeps; a UserError where they do not fit its network."""
    weights = [weight[None] for weight in checkpoint.load_network(run.network, config.training.keep)]
    if [weight.shape for weight in weights] != [weight.shape for weight in build([config]).weights]:
        raise UserError(f"{run.network}: the stored weights do not fit the network of {run.config}")
    return weights


def use_threads(config: Config) -> None:
    """As many as the configuration says, else as this process may use."""
    share_cores(config.cluster.threads or len(os.sched_getaffinity(0)))


def share_cores(threads: int) -> None:
    """The kernels use as many threads; torch, with little to do, one."""
    set_threads(threads)
    torch.set_num_threads(1)
    keep_freed_memory()


def load_samples(config: Config) -> tuple[dict[str, Samples], dict[str, str]]:
    """The encoded splits (train, valid, test), and where the data come from."""
    return encoded(config.data)


def encoded(settings: YinYang | Mnist) -> tuple[dict[str, Samples], dict[str, str]]:
    """As `load_samples`, of the `data` settings alone."""
    dataset = data.load(settings)
    splits = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test}
    encoded = {
        name: Samples(data.encode(split.values, settings.encoding), split.labels) for name, split in splits.items()
    }
    return encoded, dataset.source


def _new(points: Sequence[Point], out: Path | None) -> Population:
    configs = [point.config for point in points]
    if isinstance(configs[0].cluster, Slurm):
        raise UserError("cluster=slurm: train runs here and now; ttfsrun sweep submits jobs, of a single point as well")
    common = [shared(config) for config in configs]
    for point, settings in zip(points, common, strict=True):
        for key, value in settings.items():
            if value != common[0][key]:
                raise UserError(
                    f"{key}={value} ({point.label}): the networks of one training differ only in {', '.join(OWN)}; "
                    "train the others by a command of their own"
                )
    if len({point.label for point in points}) < len(points):
        raise UserError(f"{len(points)} points, but some are the same: each has a folder of its own, so name it once")
    folder = PopulationFolder(out or default_folder(configs))
    return Population(configs, folder_names([point.label for point in points]), folder)


def _interrupted(path: Path) -> tuple[Population, State | None]:
    """An interrupted training and its state; None where it was stopped before the first checkpoint."""
    folder = PopulationFolder(path)
    names = folder.names()
    if not folder.checkpoint.exists() and all(folder.run(name).metrics.exists() for name in names):
        raise UserError(f"{path} is finished: there is nothing to go on with")
    if not folder.checkpoint.exists():
        return Population([read(folder.run(name)) for name in names], names, folder), None
    state, members = checkpoint.load_state(folder.checkpoint)
    configs = [read(folder.run(name)) for name in members]
    for run, config, wanted in zip(map(folder.run, members), configs, members.values(), strict=True):
        if _identity(config) != wanted:
            raise UserError(
                f"{run.config}, or the chip that it names, has been changed since {folder.checkpoint} was written: "
                "undo that, or train anew"
            )
    return Population(configs, list(members), folder), state


def _identity(config: Config) -> str:
    """What an unfinished training must still be when it goes on: its point, on the same chip."""
    file = config.substrate.chip.file
    return point_id(config) if file is None else f"{point_id(config)} on {sha256(Path(file))}"


def read(run: RunFolder) -> Config:
    """The configuration of a run, checked."""
    return revise(run.read_settings(), [])
