"""A task of a submission: computes populations with a crew, and writes each record to disk as it arrives."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ttfsrun.errors import CannotSave, CannotWrite, reason_of, ways_out
from ttfsrun.results import lines
from ttfsrun.results.provenance import package_checksum, provenance
from ttfsrun.results.record import Attempt, Curves, Record
from ttfsrun.results.sweep_folder import SweepFolder, SweepPoint, latest
from ttfsrun.sweep.worker import checkpoints
from ttfsrun.sweep.worker.crew import Crew, Population, Resources
from ttfsrun.sweep.worker.frozen_data import read_frozen
from ttfsrun.sweep.worker.in_process import InProcess, ThisProcess
from ttfsrun.sweep.worker.messages import Greeting, Observer
from ttfsrun.training.progress import Progress

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shard:
    """Files with the records and curves of one start of one task. No other process writes to them."""

    folder: SweepFolder
    name: str

    @classmethod
    def reserved(cls, folder: SweepFolder, submission: str, task: int) -> Shard:
        """Create and return the next unused shard of a task."""
        folder.shards.mkdir(parents=True, exist_ok=True)
        start = 0
        while True:
            shard = cls(folder, f"{submission}-{task:05d}-{start}")
            with suppress(FileExistsError):
                os.close(os.open(shard.results, os.O_CREAT | os.O_EXCL, 0o666))
                return shard
            start += 1

    @staticmethod
    def of_task(folder: SweepFolder, submission: str, task: int) -> list[Path]:
        """Return the paths of the records of all starts of a task so far."""
        return sorted(folder.shards.glob(f"{submission}-{task:05d}-*.results.jsonl"))

    @property
    def results(self) -> Path:
        """Path of the records."""
        return self.folder.shards / f"{self.name}.results.jsonl"

    @property
    def curves(self) -> Path:
        """Path of the learning curves."""
        return self.folder.shards / f"{self.name}.curves.jsonl"

    def remove_if_empty(self) -> None:
        """Remove the file of records where it has none."""
        with suppress(OSError):
            if self.results.stat().st_size == 0:
                self.results.unlink()

    def write(self, record: Record, curves: Curves | None) -> None:
        """Write a record and its curves to disk. Raises CannotSave where that fails."""
        try:
            if curves is not None:
                lines.append_line(self.curves, curves)
            lines.append_line(self.results, record)
        except OSError as error:
            path = error.filename or self.results
            raise CannotSave(f"{path}: {reason_of(error)}; the result was not saved{ways_out(error)}") from None


class Task:
    """One start of a task of a submission."""

    def __init__(self, folder: SweepFolder, submission: str, number: int, observer: Observer) -> None:
        self.folder, self.submission, self.number, self.observer = folder, submission, number, observer
        self.progress = False  # whether this start finished an epoch or a point
        self.failed = 0  # points that failed, in this start and earlier ones
        self.package = package_checksum()
        self.made_by = provenance()
        self.job: str | None = None
        self._crew: Crew | InProcess | None = None
        self._stopping = False  # may be set before there is a crew
        self._shard: Shard | None = None

    def run(self, populations: Sequence[Population], resources: Resources | ThisProcess) -> None:
        """Compute the points that are not finished yet.

        Raises CannotWrite where the sweep's folder cannot be written.
        """
        missing = self._missing(populations)
        greeting = Greeting(
            checkpoints=str(self.folder.checkpoints),
            submission=self.submission,
            job=self.job,
            package=self.package,
            made_by=self.made_by,
            data=read_frozen(self.folder.about),
        )
        try:
            self._shard = Shard.reserved(self.folder, self.submission, self.number)
            self.folder.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise CannotWrite(f"{error.filename}: {reason_of(error)}; nothing was computed{ways_out(error)}") from None
        self._crew = (
            Crew(resources, greeting, self)
            if isinstance(resources, Resources)
            else InProcess(resources, greeting, self)
        )
        try:
            if not self._stopping:
                self._crew.run(missing)
        finally:
            self._shard.remove_if_empty()
        self._remove_finished_checkpoints()

    def stop(self) -> None:
        """Make `run` save unfinished trainings and return. May be called from a signal handler."""
        self._stopping = True
        if self._crew is not None:
            self._crew.stop()

    def progressed(self, worker: int, progress: Progress) -> None:
        self.progress = True
        self.observer.progressed(worker, progress)

    def finished(self, record: Record, curves: Curves | None) -> None:
        assert self._shard is not None
        self._shard.write(record, curves)
        self.progress = True
        self.failed += record.status == "failed"
        self.observer.finished(record, curves)

    def _missing(self, populations: Sequence[Population]) -> list[list[SweepPoint]]:
        """Return the points to compute: those neither done nor failed in an earlier start of this task.

        The failed ones would fail again; a requeued task computes only the others.
        """
        points = {point.point for population in populations for point in population}
        attempts = latest(self.folder.attempts_at(points))
        done = {point for point, attempt in attempts.items() if attempt.status == "done"}
        failed = self._failed_before() - done
        self.failed = len(failed)
        remaining = [[point for point in population if point.point not in done | failed] for population in populations]
        return [population for population in remaining if population]

    def _failed_before(self) -> set[str]:
        """Return the points that failed in an earlier start of this task."""
        earlier = Shard.of_task(self.folder, self.submission, self.number)
        return {
            record.point for path in earlier for record in lines.read_lines(path, Attempt) if record.status == "failed"
        }

    def _remove_finished_checkpoints(self) -> None:
        """Remove the checkpoints of trainings all of whose points have a record."""
        stored = checkpoints.list_checkpoints(self.folder.checkpoints)
        trainings = {training for members in stored.values() for training in members}
        if trainings:
            points = {key: point.training for key, point in self.folder.points.items() if point.training in trainings}
            recorded = {attempt.point for attempt in self.folder.attempts_at(points)}
            unfinished = {training for key, training in points.items() if key not in recorded}
            checkpoints.remove_finished(stored, trainings - unfinished)


def populations_of(folder: SweepFolder, task: Sequence[Sequence[str]]) -> list[list[SweepPoint]]:
    """Return the populations of a task. task: the ids of their points."""
    points: Mapping[str, SweepPoint] = folder.points
    return [[points[name] for name in population] for population in task]
