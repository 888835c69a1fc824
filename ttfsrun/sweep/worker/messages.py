"""Messages between the leader of a task and its workers, each a line of JSON; and their observer.

The leader sends a `Greeting`, then `Assignment`s; a worker answers with `Progress`, `Finished` and `Ready`.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from ttfsrun.results.record import CPU, Curves, Record
from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.worker.frozen_data import FrozenData
from ttfsrun.training.progress import Progress


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """Message to a worker: one population to compute."""

    points: list[SweepPoint]
    threads: int


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """First message to a worker: what is the same for all of its points."""

    checkpoints: str  # folder
    submission: str
    job: str | None
    package: str  # checksum of the package's files
    made_by: dict[str, Any]  # see `results.provenance`
    data: list[FrozenData] = []
    device: str = CPU  # that trains: CPU, or the name of the GPU that the worker sees


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """Message from a worker: a point is done or failed."""

    record: Record
    curves: Curves | None


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """Message from a worker: all points of its assignment are finished."""


Message = Progress | Finished | Ready


class Observer(Protocol):
    """Receiver of progress and records while points are computed."""

    def progressed(self, worker: int, progress: Progress) -> None:
        """Receive the progress of a worker's population. worker: its process id."""

    def finished(self, record: Record, curves: Curves | None) -> None:
        """Receive the record of a point that is done or failed."""
