"""State of each point of a sweep, from its records and then from the submissions that include it.

done        it has a result                       queued, running   a task or process is to compute it
failed      its last attempt failed               submitting        its submission is in progress
missing     it does not run and was not tried     unknown           it cannot be determined whether it runs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from ttfsrun.errors import Reason, sweep_exit_code
from ttfsrun.results.sweep_folder import PointId, SweepFolder, latest
from ttfsrun.results.views import RecordSummary
from ttfsrun.sweep.monitor.scheduler import Scheduler
from ttfsrun.sweep.monitor.slurm_scheduler import SlurmScheduler
from ttfsrun.sweep.monitor.submissions import (
    PointStatus,
    Submission,
    UnitState,
    UnitStates,
    read_submissions,
    unit_states,
)

ALIVE: tuple[PointStatus, ...] = ("running", "queued", "submitting")
STATUSES: tuple[PointStatus, ...] = ("done", "failed", *ALIVE, "missing", "unknown")


class PointState(msgspec.Struct, frozen=True, gc=False):
    """State of one point. reason: of a failure. job: of the scheduler, with the array task, if it has one."""

    kind: PointStatus
    reason: Reason | None = None
    message: str | None = None
    job: str | None = None
    submission: str | None = None  # its token, if the state follows from a submission
    node: str | msgspec.UnsetType = msgspec.UNSET  # on which its task ended without a record of the point

    @property
    def is_lost(self) -> bool:
        """Whether its task ended without a record of the point."""
        return self.kind == "failed" and self.submission is not None


@dataclass(frozen=True)
class SweepStatus:
    """The states of all points in their order, and the records and submissions that they follow from."""

    folder: SweepFolder
    points: Mapping[str, PointState]
    records: Mapping[str, RecordSummary]  # the one that counts of each point
    submissions: Sequence[Submission]
    unit_states: UnitStates

    @property
    def notes(self) -> Sequence[str]:
        """Why some states may be unknown: queries that failed."""
        return self.unit_states.notes

    def counts(self) -> Counter[PointStatus]:
        """Return the number of points in each state."""
        return Counter(state.kind for state in self.points.values())

    def of(self, *kinds: PointStatus) -> list[str]:
        """Return the points in these states."""
        return [point for point, state in self.points.items() if state.kind in kinds]

    def live(self) -> list[Submission]:
        """Return the submissions with a task that runs or waits, or may do so."""
        tokens = {state.submission for state in self.points.values() if state.kind in (*ALIVE, "unknown")}
        return [submission for submission in self.submissions if submission.token in tokens]

    def units(self, kind: PointStatus) -> list[tuple[Submission, UnitState]]:
        """Return the units (array tasks, or local populations) in a state that have unfinished points in it."""
        return [
            (submission, unit)
            for submission in self.live()
            for points, unit in zip(submission.units, self.unit_states.units[submission.token], strict=True)
            if unit.kind == kind and any(self._is(point, kind, submission.token) for point in points)
        ]

    def _is(self, point: str, kind: PointStatus, token: str) -> bool:
        state = self.points.get(point)
        return state is not None and state.kind == kind and state.submission == token

    def running_jobs(self) -> list[str]:
        """Return the ids of the live jobs of this sweep."""
        tasks = [unit.job for kind in ALIVE for _, unit in self.units(kind) if unit.job is not None]
        return list(dict.fromkeys(task.partition("_")[0] for task in tasks))

    def may_run(self, point: str, again: Collection[Reason] = ()) -> bool:
        """Return whether a new submission may include a point.

        It may if the point is missing, was lost with its task, or failed for one of the reasons in `again`; not if its
        state is unknown, since it could be running.
        """
        state = self.points[point]
        if state.kind == "failed":
            return state.is_lost or state.reason in again
        return state.kind == "missing"

    @property
    def exit_code(self) -> int:
        """Exit code for commands that report this status."""
        return sweep_exit_code(self.counts())


def sweep_status(folder: SweepFolder, scheduler: Scheduler | None = None) -> SweepStatus:
    """Return the status of a sweep. The scheduler is queried only about jobs of points without a record.

    Raises UserError where the folder is not that of a sweep.
    """
    points = list(folder.points_as(PointId))
    submissions = read_submissions(folder.jobs())
    records = list(folder.records_as(RecordSummary))
    units_of = _unrecorded_units(points, submissions, records)
    tokens = {submission.token for units in units_of.values() for submission, _ in units}
    unfinished = {point for point, units in units_of.items() if units}
    relevant = [submission for submission in submissions if submission.token in tokens]
    states = unit_states(relevant, unfinished, scheduler or SlurmScheduler())
    if any(unit.kind == "failed" for units in states.units.values() for unit in units):
        records = list(folder.records_as(RecordSummary))  # a task may have written records since they were read
        units_of = _unrecorded_units(points, submissions, records)
    last_records = latest(records)
    by_point = {point: point_state(last_records.get(point), units_of.get(point, ()), states.units) for point in points}
    return SweepStatus(folder, by_point, last_records, submissions, states)


UnitNumber = tuple[Submission, int]  # a unit of a submission, by its number


def _unrecorded_units(
    points: Sequence[str], submissions: Sequence[Submission], records: Iterable[RecordSummary]
) -> dict[str, list[UnitNumber]]:
    """Return, for each point that is not done, the units to compute it in submissions after its last record.

    The last submission is first.
    """
    order = {submission.token: number for number, submission in enumerate(submissions)}
    last_recorded = dict.fromkeys(points, -1)  # number of the last submission that left a record of the point
    for record in records:
        number = len(submissions) if record.status == "done" else order.get(record.execution.submission, -1)
        last_recorded[record.point] = max(last_recorded.get(record.point, -1), number)
    units_of: dict[str, list[UnitNumber]] = {point: [] for point in points if last_recorded[point] < len(submissions)}
    for submission in reversed(submissions):
        for number, members in enumerate(submission.units):
            for point in members:
                if point in units_of and last_recorded[point] < order[submission.token]:
                    units_of[point].append((submission, number))
    return units_of


def point_state(
    record: RecordSummary | None,
    numbers: Sequence[UnitNumber] = (),
    units: Mapping[str, Sequence[UnitState]] = MappingProxyType({}),
) -> PointState:
    """Return the state of a point, given its record, the units that were to compute it, and the units' states.

    The first of these that applies counts: done, alive, unknown, failed without a record, failed, missing.
    """
    if record is not None and record.status == "done":
        return PointState("done", job=record.execution.job)
    states = [(units[submission.token][number], submission.token) for submission, number in numbers]
    for kinds in (ALIVE, ("unknown",), ("failed",)):
        for unit, token in states:
            if unit.kind in kinds:
                return PointState(unit.kind, unit.reason, unit.message, unit.job, token, unit.node or msgspec.UNSET)
    if record is not None:
        return PointState("failed", record.reason, record.message, record.execution.job)
    return PointState("missing", message=next((unit.message for unit, _ in states if unit.message), None))
