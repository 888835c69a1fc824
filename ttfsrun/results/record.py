"""The record of a point: one line of JSON, written by the task that computed it. `views` has partial readers."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ttfsrun.errors import Reason

CPU = "cpu"  # the device of records that name no GPU


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """How a point was computed. Nothing here can change a number, so it is not part of the result."""

    seconds: float  # the point's share of its population's time
    memory_mb: float  # peak of its process
    population: int  # networks that were trained with it
    threads: int
    host: str
    device: str = CPU  # that trained: CPU, or the name of a GPU; older versions had no other
    submission: str  # its token
    job: str | None  # of the scheduler, with the array task: 1234_5
    package: str  # checksum of the package's files
    made_by: dict[str, Any]  # see `results.provenance`


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The fields of a record that decide which attempt at a point counts."""

    point: str
    status: Literal["done", "failed"]
    time: float  # of writing, in seconds since 1970


class Record(Attempt, frozen=True, kw_only=True):
    """One attempt at one point.

    result, of a point that is done: epoch and network (which is reported), train, valid, test (metrics of its own
    condition), perturbed, chip, conditions (records of the others, as in a run's metrics.json), data (its source).
    """

    training: str
    result: dict[str, Any] | None = None
    reason: Reason | None = None  # of a failure, like its message and its short traceback
    message: str | None = None
    traceback: str | None = None
    execution: Execution


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """The learning curves of one point: curves[split][metric] has a value for each epoch."""

    point: str
    curves: dict[str, dict[str, list[float | None]]]
