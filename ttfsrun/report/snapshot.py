"""What is known of a sweep when its report is written: the states of its points, its table, what readers warned of."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ttfsrun.errors import UserError
from ttfsrun.results import table
from ttfsrun.results.sweep_folder import PointId, SweepFolder, latest
from ttfsrun.results.table import Table
from ttfsrun.sweep.monitor.scheduler import Scheduler
from ttfsrun.sweep.monitor.status import RecordSummary, SweepStatus, point_state, sweep_status
from ttfsrun.sweep.monitor.submissions import UnitStates


@dataclass(frozen=True)
class Snapshot:
    """The states of all points, and the table with every setting."""

    states: SweepStatus
    table: Table
    warnings: list[str]  # of those who read the folder, and what could not be found out


def take_snapshot(folder: SweepFolder, scheduler: Scheduler | None = None) -> Snapshot:
    """Read a sweep. Where its submissions cannot be followed, what stands in its results has to do."""
    with _warnings_of(table.log) as warnings:
        read = table.read_table(folder, every_setting=True)
    try:
        found = sweep_status(folder, scheduler)
    except (UserError, OSError, subprocess.SubprocessError) as error:
        found = status_from_results(folder, f"what was submitted cannot be followed: {' '.join(str(error).split())}")
    prefix, notes = f"{folder.path}: ", "; ".join(found.notes)
    unknown = sorted({found.points[point].message or "" for point in found.of("unknown")})
    open_questions = [*found.notes, *(message for message in unknown if message not in notes)]
    told = [*(text.removeprefix(prefix) for text in warnings), *(f"not found out: {each}" for each in open_questions)]
    return Snapshot(found, read, list(dict.fromkeys(told)))


def status_from_results(folder: SweepFolder, *notes: str) -> SweepStatus:
    """The states as far as results tell them: done, failed, or missing."""
    records = latest(folder.records_as(RecordSummary))
    told = {point: point_state(records.get(point)) for point in folder.points_as(PointId)}
    return SweepStatus(folder, told, records, [], UnitStates({}, notes))


class _Ear(logging.Handler):
    def __init__(self, heard: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


@contextmanager
def _warnings_of(logger: logging.Logger) -> Iterator[list[str]]:
    """The warnings that a logger gets within the block; they go on their usual way too."""
    heard: list[str] = []
    ear = _Ear(heard)
    logger.addHandler(ear)
    try:
        yield heard
    finally:
        logger.removeHandler(ear)
