"""Messages between the leader of a task and its workers, each a line of JSON; and who observes them.

To a worker: a `Greeting`, then `Assignment`s. From a worker: `Progress`, `Finished` and `Ready`.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from ttfsrun.results.record import Curves, Record
from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.training.progress import Progress


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """To a worker: one population."""

    points: list[SweepPoint]
    threads: int


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """To a new worker, once."""

    checkpoints: str
    submission: str
    job: str | None
    package: str
    made_by: dict[str, Any]


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """From a worker: a point has come to its end."""

    record: Record
    curves: Curves | None


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """From a worker: all points of its assignment have."""


Message = Progress | Finished | Ready


class Observer(Protocol):
    """Learns what happens while points are computed."""

    def progressed(self, worker: int, progress: Progress) -> None:
        """Receive how far the population of a worker, known by its process id, is."""

    def finished(self, record: Record, curves: Curves | None) -> None:
        """Receive the record of a point that is done or failed."""
