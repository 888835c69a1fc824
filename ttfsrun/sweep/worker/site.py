"""Records of points, with the host, process and code that computed them. Does not import torch."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ttfsrun.errors import Reason
from ttfsrun.results.record import CPU, Execution, Record
from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.worker.frozen_data import FrozenData
from ttfsrun.sweep.worker.messages import Greeting


@dataclass(frozen=True)
class Failure:
    """Why a point failed. killed_worker: the worker died, so the leader writes the record."""

    reason: Reason
    message: str
    traceback: str | None = None
    killed_worker: bool = False


@dataclass(frozen=True)
class Site:
    """Process that computes points for a submission."""

    checkpoints: Path
    threads: int
    host: str
    submission: str
    job: str | None
    package: str  # checksum of the package's files
    made_by: Mapping[str, Any]  # see `results.provenance`
    data: Sequence[FrozenData] = ()
    device: str = CPU  # that trains: CPU, or the name of a GPU

    @property
    def torch_device(self) -> str:
        """The device as torch names it; a process sees one GPU at most."""
        return "cpu" if self.device == CPU else "cuda"

    @classmethod
    def of(cls, greeting: Greeting, threads: int) -> Site:
        """Return the site of this process, with the task described by the leader's greeting."""
        return cls(
            checkpoints=Path(greeting.checkpoints),
            threads=threads,
            host=socket.gethostname(),
            submission=greeting.submission,
            job=greeting.job,
            package=greeting.package,
            made_by=greeting.made_by,
            data=greeting.data,
            device=greeting.device,
        )

    def done(self, point: SweepPoint, result: dict[str, Any], seconds: float, population: int) -> Record:
        """Return the record of a point that is done. seconds: its share of the population's time."""
        return self._record(point, "done", self._execution(seconds, population), result=result)

    def failed(self, point: SweepPoint, failure: Failure, population: int = 1) -> Record:
        """Return the record of a point that failed."""
        execution = self._execution(0.0, population, of_children=failure.killed_worker)
        return self._record(
            point, "failed", execution, reason=failure.reason, message=failure.message, traceback=failure.traceback
        )

    def _record(
        self, point: SweepPoint, status: Literal["done", "failed"], execution: Execution, **parts: Any
    ) -> Record:
        return Record(
            point=point.point, training=point.training, status=status, time=time.time(), execution=execution, **parts
        )

    def _execution(self, seconds: float, population: int, *, of_children: bool = False) -> Execution:
        """Return the execution. of_children: the memory is the peak of child processes that have ended."""
        who = resource.RUSAGE_CHILDREN if of_children else resource.RUSAGE_SELF
        return Execution(
            seconds=seconds,
            memory_mb=resource.getrusage(who).ru_maxrss / 1024,
            population=population,
            threads=self.threads,
            host=self.host,
            device=self.device,
            submission=self.submission,
            job=self.job,
            package=self.package,
            made_by=dict(self.made_by),
        )
