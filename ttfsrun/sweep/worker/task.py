"""A task: populations computed by a crew, every result on disk before the next one is heard of."""

from __future__ import annotations

import logging
import os
import resource
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ttfsrun.errors import CannotWrite
from ttfsrun.results import lines
from ttfsrun.results.provenance import package_checksum, provenance
from ttfsrun.results.record import Curves, Execution, Reason, Record
from ttfsrun.results.sweep_folder import SweepFolder, SweepPoint
from ttfsrun.sweep.worker import checkpoints
from ttfsrun.sweep.worker.crew import Crew, Population, Share
from ttfsrun.sweep.worker.in_process import InProcess
from ttfsrun.sweep.worker.messages import Greeting

log = logging.getLogger(__name__)


class Viewer(Protocol):
    """Shows somebody how a task goes."""

    def epoch(self, worker: int, done: int, epochs: int, networks: int) -> None:
        """The population of a worker has done so many epochs."""

    def finished(self, record: Record) -> None:
        """The record of a point is on disk."""


@dataclass(frozen=True)
class Shard:
    """The results of one start of one task. Nobody else writes there, so a torn line stays the last."""

    folder: SweepFolder
    name: str

    @classmethod
    def reserved(cls, folder: SweepFolder, submission: str, task: int) -> Shard:
        """The next one of a task: each start has its own."""
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
        """The results of all starts of a task so far."""
        return sorted(folder.shards.glob(f"{submission}-{task:05d}-*.results.jsonl"))

    @property
    def results(self) -> Path:
        return self.folder.shards / f"{self.name}.results.jsonl"

    @property
    def curves(self) -> Path:
        return self.folder.shards / f"{self.name}.curves.jsonl"

    def remove_if_empty(self) -> None:
        """A start that came to no result leaves no file."""
        with suppress(OSError):
            if self.results.stat().st_size == 0:
                self.results.unlink()

    def write(self, record: Record, curves: Curves | None) -> None:
        """Put a result on disk; a CannotWrite where that fails."""
        try:
            if curves is not None:
                lines.append(self.curves, curves)
            lines.append(self.results, record)
        except OSError as error:
            raise CannotWrite(f"{error.filename or self.results}: {error.strerror}; the result is not kept") from None


class Task:
    """Populations of one task of a submission, from the start to the end, or to `stop`."""

    def __init__(self, folder: SweepFolder, submission: str, number: int, viewer: Viewer) -> None:
        self.folder, self.submission, self.number, self.viewer = folder, submission, number, viewer
        self.progress = False  # whether an epoch or a point was finished
        self.failed = 0
        self.package = package_checksum()
        self.made_by = provenance()
        self.job: str | None = None
        self._crew: Crew | InProcess | None = None
        self._told_to_stop = False  # perhaps before there is a crew
        self._shard: Shard | None = None

    def run(self, populations: Sequence[Population], share: Share | int) -> None:
        """Compute the points that have not come to their end yet; with nothing but threads, in this very process."""
        missing = self._missing(populations)
        greeting = Greeting(
            checkpoints=str(self.folder.checkpoints),
            submission=self.submission,
            job=self.job,
            package=self.package,
            made_by=self.made_by,
        )
        try:
            self._shard = Shard.reserved(self.folder, self.submission, self.number)
            self.folder.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise CannotWrite(f"{error.filename}: {error.strerror}; nothing was computed") from None
        self._crew = Crew(share, greeting, self) if isinstance(share, Share) else InProcess(share, greeting, self)
        try:
            if not self._told_to_stop:
                self._crew.run(missing)
        finally:
            self._shard.remove_if_empty()
        checkpoints.remove_finished(self.folder.checkpoints, self._finished_trainings())

    def stop(self) -> None:
        """Save what runs, and leave `run`. To be called from a signal handler."""
        self._told_to_stop = True
        if self._crew is not None:
            self._crew.stop()

    def epoch(self, worker: int, done: int, epochs: int, networks: int) -> None:
        self.progress = True
        self.viewer.epoch(worker, done, epochs, networks)

    def finished(self, record: Record, curves: Curves | None) -> None:
        assert self._shard is not None
        self._shard.write(record, curves)
        self.progress = True
        self.failed += record.status == "failed"
        self.viewer.finished(record)

    def died(self, points: Population, reason: Reason, message: str) -> None:
        for point in points:
            self.finished(self._record_of_death(point, reason, message), None)

    def _record_of_death(self, point: SweepPoint, reason: Reason, message: str) -> Record:
        execution = Execution(
            seconds=0.0,
            memory_mb=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
            population=1,
            threads=1,
            host=socket.gethostname(),
            submission=self.submission,
            job=self.job,
            package=self.package,
            made_by=self.made_by,
        )
        return Record(
            point=point.point,
            training=point.training,
            status="failed",
            time=time.time(),
            reason=reason,
            message=message,
            execution=execution,
        )

    def _missing(self, populations: Sequence[Population]) -> list[list[SweepPoint]]:
        """Points without a result. Those that failed in an earlier start of this task would fail again: it is queued
        again for the others, and as long as something is achieved for them."""
        done = {point for point, record in self.folder.latest().items() if record.status == "done"}
        failed = self._failed_before() - done
        self.failed = len(failed)
        left = [[point for point in population if point.point not in done | failed] for population in populations]
        return [population for population in left if population]

    def _failed_before(self) -> set[str]:
        earlier = Shard.of_task(self.folder, self.submission, self.number)
        return {record.point for path in earlier for record in lines.entries(path, Record) if record.status == "failed"}

    def _finished_trainings(self) -> set[str]:
        """The trainings all of whose points have a record."""
        recorded = self.folder.latest().keys()
        trainings = {point.training for point in self.folder.points.values()}
        return trainings - {point.training for key, point in self.folder.points.items() if key not in recorded}


def populations_of(folder: SweepFolder, task: Sequence[Sequence[str]]) -> list[list[SweepPoint]]:
    """The populations of a task by the ids of their points."""
    points: Mapping[str, SweepPoint] = folder.points
    return [[points[name] for name in population] for population in task]
