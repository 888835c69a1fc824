"""Training and evaluation of a population of points, with a record of each.

The failure of one point (a training that diverges, a chip file that has changed, too little memory) becomes its
record, and the others continue. Their results stay the same to the bit: no network depends on the others of its
population.
"""

from __future__ import annotations

import hashlib
import os
import time
import traceback
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.schema import Config
from ttfsrun.data.augmentation import is_augmented, plain
from ttfsrun.data.samples import Samples, load_samples
from ttfsrun.errors import CannotSave, Reason, UserError, as_user_error
from ttfsrun.evaluation.trained_network import Evaluation, TrainedNetwork, evaluate
from ttfsrun.files import require_unchanged
from ttfsrun.results.record import CPU, Curves
from ttfsrun.results.sweep_folder import SweepPoint, point_config
from ttfsrun.run.devices import explained_shortage, free_memory, gpu_works
from ttfsrun.sweep.worker import checkpoints
from ttfsrun.sweep.worker.frozen_data import on_frozen_data, require_frozen
from ttfsrun.sweep.worker.messages import Observer
from ttfsrun.sweep.worker.site import Failure, Site
from ttfsrun.training import checkpoint
from ttfsrun.training.fit import fit
from ttfsrun.training.progress import Progress
from ttfsrun.training.state import SPLITS, TrainingState, curve_metrics
from ttfsrun.training.trainer import Diverged, Trainer

SWEEP_MADE = "the sweep was made"  # the event since which chip files must not change
MAX_FRAMES = 3  # of a traceback in a record
#: In messages of torch, numpy, the C++ library, CUDA, the dynamic linker, and threads.
NO_MEMORY_TEXTS = (
    *("can't allocate memory", "not enough memory", "Unable to allocate", "std::bad_alloc", "out of memory"),
    *("Cannot allocate memory", "cannot allocate memory"),
)


def execute(points: Sequence[SweepPoint], site: Site, observer: Observer) -> None:
    """Train and evaluate points of one shape; failures become their records.

    Raises CannotSave or BrokenPipeError where the observer cannot take a record, and any error after which this process
    cannot use its GPU any more.
    """
    groups = _Groups(on_frozen_data(points, site.data), site, observer)
    failure = _attempt(groups)
    if failure is None:
        return
    if site.device != CPU and not gpu_works():
        raise failure  # the process ends, and another one continues from the checkpoint
    halves = groups.halves()
    if not all(halves):
        groups.fail_all(failure)
        return
    del failure  # and with it the memory that its frames hold
    free_memory()
    for half in halves:
        execute(half, site, observer)


def _attempt(groups: _Groups) -> Exception | None:
    """Compute the population; return the error that stopped it, if any.

    The error may be due to any of the points; smaller populations show which.
    """
    try:
        groups.drop_changed_chips()
        if groups.points:
            with explained_shortage(len(groups.points)):
                _train_and_evaluate(groups)
    except (BrokenPipeError, CannotSave):
        raise  # records can no longer be written
    except Exception as error:  # noqa: BLE001  # it becomes a record
        return error
    return None


def _train_and_evaluate(groups: _Groups) -> None:
    data = [config.data for config in groups.configs()]
    settings = plain(data[0])
    samples, origin = _load_samples(settings, any(map(is_augmented, data)))
    require_frozen(settings, origin, groups.site.data)
    members = groups.members(origin.source)
    stored = checkpoints.find_checkpoint(groups.site.checkpoints, members)
    state = None if stored is None else _restore(stored, list(members))
    while groups.points:
        path = checkpoints.checkpoint_path(groups.site.checkpoints, groups.points)
        trainer = Trainer(groups.configs(), samples["train"], samples["valid"], state, groups.site.torch_device)
        try:
            fit(trainer, path, groups.members(origin.source), groups.report)
            break
        except Diverged as error:
            state = groups.without(error, trainer.state)
            path.unlink(missing_ok=True)
    else:
        return
    _evaluate(groups, trainer, samples, origin.source)
    path.unlink(missing_ok=True)


def _evaluate(groups: _Groups, trainer: Trainer, samples: dict[str, Samples], source: Mapping[str, str]) -> None:
    start, state, size = time.perf_counter(), trainer.state, trainer.network.size
    trained = [(p, point) for p, points in enumerate(groups.points.values()) for point in points]
    evaluations = iter(_evaluations(trained, trainer, samples))
    share = (time.perf_counter() - start) / len(trained)
    for p, (training, points) in enumerate(list(groups.points.items())):
        seconds = state.seconds / size / len(points) + share
        for point in points:
            evaluation = next(evaluations)
            if isinstance(evaluation, Failure):
                groups.fail(point, evaluation)
                continue
            keep = point_config(point).training.keep
            epoch = int(state.best_epoch[p]) if keep == "best" else state.epoch
            first, *others = evaluation.records
            result = {"network": keep, "epoch": epoch, **first, "conditions": others, "data": source}
            groups.done(point, result, seconds, size, _curves(point, state, p))
        del groups.points[training]


def _evaluations(
    trained: Sequence[tuple[int, SweepPoint]], trainer: Trainer, samples: Mapping[str, Samples]
) -> list[Evaluation | Failure]:
    """Return the evaluation of each point, which follows the number of its network, or why there is none.

    An error may be due to any of the points that are evaluated at once; fewer at once show which.
    """
    try:
        with explained_shortage(len(trained)):
            evaluations = evaluate([_trained_network(trainer, *each) for each in trained], samples, trainer.device)
        for _, point in trained:
            require_unchanged(point.files, SWEEP_MADE)
        return [*evaluations]
    except Exception as error:  # it concerns some points only
        if trainer.device.type == "cuda" and not gpu_works():
            raise
        if len(trained) == 1:
            return [failure_of(error)]
    free_memory()
    middle = len(trained) // 2
    return [result for half in (trained[:middle], trained[middle:]) for result in _evaluations(half, trainer, samples)]


def _trained_network(trainer: Trainer, p: int, point: SweepPoint) -> TrainedNetwork:
    """Return network p of a training, as a point evaluates it."""
    config = point_config(point)
    chosen = trainer.best() if config.training.keep == "best" else trainer.last()
    return TrainedNetwork(chosen.learned.of_network(p), conditions_of(config))


def _curves(point: SweepPoint, state: TrainingState, p: int) -> Curves:
    names = curve_metrics(len(state.learned.weights))
    values = state.curves[:, p].numpy()
    return Curves(
        point=point.point,
        curves={
            split: {name: values[:, s, m].tolist() for m, name in enumerate(names)} for s, split in enumerate(SPLITS)
        },
    )


def _restore(path: Path, trainings: Sequence[str]) -> TrainingState | None:
    """Return the state of some networks of a checkpoint; None where its tensors cannot be read."""
    try:
        state, members = checkpoint.load_state(path)
    except UserError:
        return None
    order = list(members)
    return state.select([order.index(training) for training in trainings])


_load_samples = lru_cache(maxsize=2)(load_samples)  # populations of a sweep often share their data


class _Groups:
    """The points that have no record yet, by the training that they share; reports records to the observer."""

    def __init__(self, points: Sequence[SweepPoint], site: Site, observer: Observer) -> None:
        self.site, self.observer = site, observer
        self.points: dict[str, list[SweepPoint]] = {}
        for point in points:
            self.points.setdefault(point.training, []).append(point)

    def configs(self) -> list[Config]:
        """Return the configuration of each training."""
        return [point_config(points[0]) for points in self.points.values()]

    def members(self, source: Mapping[str, str]) -> dict[str, str]:
        """Return the members of a checkpoint: each training with the checksums of code and data."""
        data = hashlib.sha256(repr(sorted(source.items())).encode()).hexdigest()[:12]
        return dict.fromkeys(self.points, f"{self.site.package} {data}")

    def halves(self) -> tuple[list[SweepPoint], list[SweepPoint]]:
        """Split the remaining points in two, by trainings; the second part is empty where there is one training."""
        groups = list(self.points.values())
        middle = max(1, len(groups) // 2)
        first, second = groups[:middle], groups[middle:]
        return [point for group in first for point in group], [point for group in second for point in group]

    def drop_changed_chips(self) -> None:
        """Fail the points whose chip file has changed since the sweep was made."""
        for training, points in list(self.points.items()):
            for point in list(points):
                try:
                    require_unchanged(point.files, SWEEP_MADE)
                except UserError as error:
                    self.fail(point, failure_of(error))
                    points.remove(point)
            if not points:
                del self.points[training]

    def without(self, error: Diverged, state: TrainingState) -> TrainingState:
        """Fail the points of the network that diverged; return the state of the others."""
        trainings = list(self.points)
        for point in self.points.pop(trainings[error.network]):
            self.fail(point, failure_of(error))
        return state.select([n for n in range(len(trainings)) if n != error.network])

    def report(self, progress: Progress) -> None:
        """Report each whole epoch to the observer."""
        if progress.is_whole_epoch:
            self.observer.progressed(os.getpid(), progress)

    def done(self, point: SweepPoint, result: dict[str, Any], seconds: float, population: int, curves: Curves) -> None:
        self.observer.finished(self.site.done(point, result, seconds, population), curves)

    def fail(self, point: SweepPoint, failure: Failure) -> None:
        self.observer.finished(self.site.failed(point, failure, len(self.points)), None)

    def fail_all(self, error: BaseException) -> None:
        for points in self.points.values():
            for point in points:
                self.fail(point, failure_of(error))


def failure_of(error: BaseException) -> Failure:
    """Describe an exception as a failure, with the last frames of its traceback where the user cannot fix it."""
    no_memory = isinstance(error, MemoryError) or any(text in str(error) for text in NO_MEMORY_TEXTS)
    reason: Reason = "out of memory" if no_memory else "error"
    if isinstance(error, UserError | OSError):
        return Failure(reason, str(as_user_error(error)))
    return Failure(reason, f"{type(error).__name__}: {error}", _last_frames(error))


def _last_frames(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    return "".join(traceback.format_list(frames)).rstrip()
