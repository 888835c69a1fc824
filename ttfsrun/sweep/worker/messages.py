"""What the process that leads a task and those that compute say to each other: a line of JSON each."""

from __future__ import annotations

from typing import Any

import msgspec

from ttfsrun.results.record import Curves, Record
from ttfsrun.results.sweep_folder import SweepPoint


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


class Epoch(msgspec.Struct, frozen=True, kw_only=True, tag="epoch"):
    """From a worker: so many epochs of its population are done."""

    done: int
    epochs: int
    networks: int


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """From a worker: a point has come to its end."""

    record: Record
    curves: Curves | None


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """From a worker: all points of its assignment have."""


Message = Epoch | Finished | Ready
