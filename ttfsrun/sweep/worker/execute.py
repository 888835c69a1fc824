"""A population of points in, a record of each out: all that a node computes for a sweep.

What happens to one point (a training that diverges, a chip file that has changed, too little memory) ends in its
record, and the others go on: to the same bits, for no network depends on its company.
"""

from __future__ import annotations

import gc
import hashlib
import resource
import socket
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import torch

from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.schema import Config, Mnist, YinYang
from ttfsrun.errors import CannotWrite, UserError
from ttfsrun.evaluation.trained_network import Subject, record
from ttfsrun.files import sha256
from ttfsrun.results.record import Curves, Execution, Reason, Record
from ttfsrun.results.sweep_folder import SweepPoint, config_of
from ttfsrun.run.train import encoded
from ttfsrun.sweep.worker import checkpoints
from ttfsrun.sweep.worker.messages import Greeting
from ttfsrun.training import checkpoint
from ttfsrun.training.fit import fit
from ttfsrun.training.trainer import SPLITS, Diverged, Samples, State, Trainer, curve_metrics

FRAMES = 3  # of a traceback that a record keeps
NO_MEMORY = ("can't allocate memory", "not enough memory", "Unable to allocate", "std::bad_alloc")


class Listener(Protocol):
    """Is told what happens while points are computed."""

    def epoch(self, done: int, epochs: int, networks: int) -> None:
        """So many epochs of the running population are done."""

    def finished(self, record: Record, curves: Curves | None) -> None:
        """A point has come to its end, one way or the other."""


@dataclass(frozen=True)
class Site:
    """Where and by what points are computed."""

    checkpoints: Path
    threads: int
    host: str
    submission: str
    job: str | None
    package: str  # checksum of the package's files
    made_by: Mapping[str, Any]  # see `results.provenance`

    @classmethod
    def of(cls, greeting: Greeting, threads: int) -> Site:
        """This machine."""
        return cls(
            checkpoints=Path(greeting.checkpoints),
            threads=threads,
            host=socket.gethostname(),
            submission=greeting.submission,
            job=greeting.job,
            package=greeting.package,
            made_by=greeting.made_by,
        )


def execute(points: Sequence[SweepPoint], site: Site, listener: Listener) -> None:
    """Train the points, which have one shape, and evaluate them; what goes wrong is in the records."""
    groups = _Groups(points, site, listener)
    failure = _attempt(groups)
    if failure is None:
        return
    halves = groups.halves()
    if not all(halves):
        groups.fail_all(failure)
        return
    del failure  # and with it what the attempt had in memory
    gc.collect()
    for half in halves:
        execute(half, site, listener)


def _attempt(groups: _Groups) -> Exception | None:
    """What kept the population from its end; whose fault it is, smaller populations will show."""
    try:
        groups.drop_changed_chips()
        if groups.points:
            _train_and_evaluate(groups)
    except (BrokenPipeError, CannotWrite):
        raise  # nobody hears of any point any more
    except Exception as error:  # noqa: BLE001  # whatever it is, it belongs into a record
        return error
    return None


def _train_and_evaluate(groups: _Groups) -> None:
    samples, source = _samples(groups.configs()[0].data)
    members = groups.members(source)
    stored = checkpoints.holding(groups.site.checkpoints, members)
    state = None if stored is None else _part(stored, list(members))
    while groups.points:
        path = checkpoints.path_for(groups.site.checkpoints, groups.points)
        trainer = Trainer(groups.configs(), samples["train"], samples["valid"], state)
        try:
            fit(trainer, path, groups.members(source), _Audience(groups, trainer))
            break
        except Diverged as error:
            state = groups.without(error, trainer.state)
            path.unlink(missing_ok=True)
    else:
        return
    _evaluate(groups, trainer, samples, source)
    path.unlink(missing_ok=True)


def _evaluate(groups: _Groups, trainer: Trainer, samples: dict[str, Samples], source: Mapping[str, str]) -> None:
    best, last, state = trainer.best(), trainer.last(), trainer.state
    for p, (training, points) in enumerate(list(groups.points.items())):
        spent = state.seconds / trainer.network.size / len(points)
        for point in points:
            start = time.perf_counter()
            try:
                config = config_of(point)
                keep = config.training.keep
                chosen = best if keep == "best" else last
                weights = [weight[p : p + 1] for weight in chosen.weights]
                epoch = int(state.best_epoch[p]) if keep == "best" else state.epoch
                result = {"network": keep, "epoch": epoch} | _result(config, weights, samples) | {"data": source}
            except Exception as error:  # noqa: BLE001  # of this point alone
                groups.fail(point, error)
                continue
            seconds = spent + time.perf_counter() - start
            groups.done(point, result, seconds, trainer.network.size, _curves(point, state, p))
        del groups.points[training]


def _result(config: Config, weights: list[torch.Tensor], samples: dict[str, Samples]) -> dict[str, Any]:
    own, *others = conditions_of(config)
    subject = Subject(config, weights)
    return {
        **{split: subject.measured(split, part) for split, part in samples.items()},
        **own.as_record(),
        "conditions": [record(condition, weights, samples) for condition in others],
    }


def _curves(point: SweepPoint, state: State, p: int) -> Curves:
    names = curve_metrics(len(state.weights))
    values = state.curves[:, p].numpy()
    return Curves(
        point=point.point,
        curves={
            split: {name: values[:, s, m].tolist() for m, name in enumerate(names)} for s, split in enumerate(SPLITS)
        },
    )


def _part(path: Path, trainings: Sequence[str]) -> State | None:
    """The state of some of the networks of a checkpoint; None where it cannot be read after all."""
    try:
        state, members = checkpoint.load_state(path)
    except UserError:
        return None
    order = list(members)
    return state.of([order.index(training) for training in trainings])


@lru_cache(maxsize=2)
def _samples(settings: YinYang | Mnist) -> tuple[dict[str, Samples], dict[str, str]]:
    return encoded(settings)


class _Audience:
    """Passes on how far a training is."""

    def __init__(self, groups: _Groups, trainer: Trainer) -> None:
        self._groups, self._trainer = groups, trainer

    def after_batch(self, batch: int) -> None:
        pass

    def after_epoch(self) -> None:
        trainer = self._trainer
        self._groups.listener.epoch(trainer.state.epoch, trainer.settings.epochs, trainer.network.size)


class _Groups:
    """The points that have no record yet, by the training that they share, and how they get one."""

    def __init__(self, points: Sequence[SweepPoint], site: Site, listener: Listener) -> None:
        self.site, self.listener = site, listener
        self.points: dict[str, list[SweepPoint]] = {}
        for point in points:
            self.points.setdefault(point.training, []).append(point)

    def configs(self) -> list[Config]:
        """One for each training."""
        return [config_of(points[0]) for points in self.points.values()]

    def members(self, source: Mapping[str, str]) -> dict[str, str]:
        """For the checkpoint: each training, and what it has to go on with: this code, on these data."""
        data = hashlib.sha256(repr(sorted(source.items())).encode()).hexdigest()[:12]
        return dict.fromkeys(self.points, f"{self.site.package} {data}")

    def halves(self) -> tuple[list[SweepPoint], list[SweepPoint]]:
        """The points that are left in two parts, by trainings; the second is empty where there is one training."""
        groups = list(self.points.values())
        middle = max(1, len(groups) // 2)
        first, second = groups[:middle], groups[middle:]
        return [point for group in first for point in group], [point for group in second for point in group]

    def drop_changed_chips(self) -> None:
        """Points whose chip file is no longer what it was when the sweep was made."""
        for training, points in list(self.points.items()):
            for point in list(points):
                changed = [file for file, checksum in point.files.items() if _checksum(file) != checksum]
                if changed:
                    self.fail(point, UserError(f"{changed[0]} is not what it was when the sweep was made"))
                    points.remove(point)
            if not points:
                del self.points[training]

    def without(self, error: Diverged, state: State) -> State:
        """Give up one network; the state of the others."""
        trainings = list(self.points)
        for point in self.points.pop(trainings[error.network]):
            self.fail(point, error)
        return state.of([n for n in range(len(trainings)) if n != error.network])

    def done(self, point: SweepPoint, result: dict[str, Any], seconds: float, population: int, curves: Curves) -> None:
        execution = self._execution(seconds, population)
        self.listener.finished(_record(point, "done", execution, result=result), curves)

    def fail(self, point: SweepPoint, error: BaseException) -> None:
        told = isinstance(error, UserError)
        self.listener.finished(
            _record(
                point,
                "failed",
                self._execution(0.0, len(self.points)),
                reason=reason(error),
                message=str(error) if told else f"{type(error).__name__}: {error}",
                traceback=None if told else _short(error),
            ),
            None,
        )

    def fail_all(self, error: BaseException) -> None:
        for points in self.points.values():
            for point in points:
                self.fail(point, error)

    def _execution(self, seconds: float, population: int) -> Execution:
        return Execution(
            seconds=seconds,
            memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            population=population,
            threads=self.site.threads,
            host=self.site.host,
            submission=self.site.submission,
            job=self.site.job,
            package=self.site.package,
            made_by=dict(self.site.made_by),
        )


def _record(point: SweepPoint, status: Any, execution: Execution, **parts: Any) -> Record:
    return Record(
        point=point.point, training=point.training, status=status, time=time.time(), execution=execution, **parts
    )


def reason(error: BaseException) -> Reason:
    """The class of a failure."""
    memory = isinstance(error, MemoryError) or any(text in str(error) for text in NO_MEMORY)
    return "out of memory" if memory else "error"


def _short(error: BaseException) -> str:
    """The last frames of a traceback."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return "".join(traceback.format_list(frames)).rstrip()


def _checksum(file: str) -> str | None:
    try:
        return sha256(Path(file))
    except OSError:
        return None
