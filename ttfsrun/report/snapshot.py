"""A sweep at the moment its report is written: the states of its points, its table, and warnings."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ttfsrun.errors import UserError
from ttfsrun.figures.sweep.trade_off import COST
from ttfsrun.report.columns import MAIN_METRICS
from ttfsrun.results import table
from ttfsrun.results.sweep_folder import PointId, SweepFolder, latest
from ttfsrun.results.table import Table
from ttfsrun.results.views import RecordSummary
from ttfsrun.sweep.monitor.scheduler import Scheduler
from ttfsrun.sweep.monitor.status import SweepStatus, point_state, sweep_status
from ttfsrun.sweep.monitor.submissions import UnitStates

MAX_WITH_ALL_COLUMNS = 10_000  # points of a sweep whose page has every column; of more, the main ones
MAIN_COLUMNS_ONLY = "the table below has only the main columns of so many points: ttfsrun gather writes all of them"


@dataclass(frozen=True)
class Snapshot:
    """The states of all points, the table (main columns if it is large, else all), and warnings about both."""

    states: SweepStatus
    table: Table
    is_large: bool
    warnings: list[str]  # from reading the folder, and about states that are unknown


def take_snapshot(folder: SweepFolder, scheduler: Scheduler | None = None) -> Snapshot:
    """Read a sweep. Where the state of its submissions is unavailable, the states follow from the results alone.

    Raises UserError where the folder is no sweep, or a record cannot be read.
    """
    with _collect_warnings(table.log) as messages:
        is_large = folder.about["points"] > MAX_WITH_ALL_COLUMNS
        if is_large:
            full_table = table.read_table(folder, is_kept=_is_needed)
        else:
            full_table = table.read_table(folder, every_setting=True)
    try:
        states = sweep_status(folder, scheduler)
    except (UserError, OSError, subprocess.SubprocessError) as error:
        states = status_from_results(folder, f"cannot read the state of submissions: {' '.join(str(error).split())}")
    prefix, notes = f"{folder.path}: ", "; ".join(states.notes)
    reasons = sorted({states.points[point].message or "" for point in states.of("unknown")})
    unknown = [*states.notes, *(reason for reason in reasons if reason not in notes)]
    warnings = [message.removeprefix(prefix) for message in messages]
    warnings += [f"state unknown: {reason}" for reason in unknown]
    warnings += [MAIN_COLUMNS_ONLY] if is_large else []
    return Snapshot(states, full_table, is_large, list(dict.fromkeys(warnings)))


def _is_needed(column: str) -> bool:
    """Return whether the page of a large sweep, or one of its figures, needs a column."""
    return column in (*MAIN_METRICS, "reason", "message") or COST.fullmatch(column) is not None


def status_from_results(folder: SweepFolder, *notes: str) -> SweepStatus:
    """Return the states that follow from the results alone: done, failed, or missing."""
    records = latest(folder.records_as(RecordSummary))
    states = {point: point_state(records.get(point)) for point in folder.points_as(PointId)}
    return SweepStatus(folder, states, records, [], UnitStates({}, notes))


class _MessageCollector(logging.Handler):
    """A handler that appends warnings to a list."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@contextmanager
def _collect_warnings(logger: logging.Logger) -> Iterator[list[str]]:
    """Yield a list of the warnings that are logged within the block; the logger's other handlers get them also."""
    messages: list[str] = []
    handler = _MessageCollector(messages)
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
