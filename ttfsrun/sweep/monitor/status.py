"""The state of each point of a sweep: results first, then what has become of its submissions.

done        it has a result                        queued, running   a live submission holds it
failed      its last attempt came to nothing       submitting        ... whose process is talking to the scheduler
missing     nothing runs, nothing was tried        unknown           nobody can say whether it runs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from ttfsrun.errors import Reason, sweep_exit_code
from ttfsrun.results.record import Attempt
from ttfsrun.results.sweep_folder import PointId, SweepFolder, latest
from ttfsrun.sweep.monitor.scheduler import Scheduler, SlurmScheduler
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


class PointState(msgspec.Struct, frozen=True):
    """Of one point. reason: of a failure. job: of the scheduler, with the array task, where one is concerned."""

    kind: PointStatus
    reason: Reason | None = None
    message: str | None = None
    job: str | None = None
    submission: str | None = None  # its token, where one is concerned

    @property
    def is_lost(self) -> bool:
        """Whether its task ended before the point could: it left no record."""
        return self.kind == "failed" and self.submission is not None


class Effort(msgspec.Struct, frozen=True):
    """What of an execution tells whose it was, and how long others will take."""

    submission: str
    seconds: float
    threads: int
    job: str | None = None


class RecordSummary(Attempt, frozen=True, kw_only=True):
    """A record without its result."""

    reason: Reason | None = None
    message: str | None = None
    traceback: str | None = None
    execution: Effort


@dataclass(frozen=True)
class SweepStatus:
    """The states of all points in their order, and what they follow from."""

    folder: SweepFolder
    points: Mapping[str, PointState]
    records: Mapping[str, RecordSummary]  # what counts of each point
    submissions: Sequence[Submission]
    fates: UnitStates

    @property
    def notes(self) -> Sequence[str]:
        """What could not be found out."""
        return self.fates.notes

    def counts(self) -> Counter[PointStatus]:
        return Counter(state.kind for state in self.points.values())

    def of(self, *kinds: PointStatus) -> list[str]:
        """The points in these states."""
        return [point for point, state in self.points.items() if state.kind in kinds]

    def live(self) -> list[Submission]:
        """The submissions of which a task runs or waits, or may do so."""
        alive = {state.submission for state in self.points.values() if state.kind in (*ALIVE, "unknown")}
        return [each for each in self.submissions if each.token in alive]

    def units(self, kind: PointStatus) -> list[tuple[Submission, UnitState]]:
        """The array tasks, or populations on this machine, that are in a state and still hold points in it."""
        return [
            (submission, fate)
            for submission in self.live()
            for points, fate in zip(submission.units, self.fates.units[submission.token], strict=True)
            if fate.kind == kind and any(self._is(point, kind, submission.token) for point in points)
        ]

    def _is(self, point: str, kind: PointStatus, token: str) -> bool:
        state = self.points.get(point)
        return state is not None and state.kind == kind and state.submission == token

    def running_jobs(self) -> list[str]:
        """The jobs of this sweep that the scheduler has."""
        found = [fate.job for kind in ALIVE for _, fate in self.units(kind) if fate.job is not None]
        return list(dict.fromkeys(job.partition("_")[0] for job in found))

    def may_run(self, point: str, again: Collection[Reason] = ()) -> bool:
        """Whether a submission may take a point: it is missing, was lost with its task, or failed for such a reason.

        One whose state is unknown may not: it could be running.
        """
        state = self.points[point]
        if state.kind == "failed":
            return state.is_lost or state.reason in again
        return state.kind == "missing"

    @property
    def exit_code(self) -> int:
        return sweep_exit_code(self.counts())


def sweep_status(folder: SweepFolder, scheduler: Scheduler | None = None) -> SweepStatus:
    """What is known by now. The scheduler is asked only if something without a result was submitted to it."""
    points = list(folder.points_as(PointId))
    known = read_submissions(folder.jobs())
    attempts = list(folder.records_as(RecordSummary))
    claims = _claims(points, known, attempts)
    tokens = {submission.token for own in claims.values() for submission, _ in own}
    unfinished = {point for point, own in claims.items() if own}
    found = unit_states([each for each in known if each.token in tokens], unfinished, scheduler or SlurmScheduler())
    if any(fate.kind == "failed" for units in found.units.values() for fate in units):
        attempts = list(folder.records_as(RecordSummary))  # a task may have left its results after we looked
        claims = _claims(points, known, attempts)
    records = latest(attempts)
    told = {point: point_state(records.get(point), claims.get(point, ()), found.units) for point in points}
    return SweepStatus(folder, told, records, known, found)


Claim = tuple[Submission, int]  # a unit that was to compute a point


def _claims(
    points: Sequence[str], known: Sequence[Submission], attempts: Iterable[RecordSummary]
) -> dict[str, list[Claim]]:
    """For each point that is not done, the units of the submissions since its last record, the last first."""
    place = {submission.token: number for number, submission in enumerate(known)}
    answered = dict.fromkeys(points, -1)  # the last submission that left a record of the point
    for attempt in attempts:
        last = len(known) if attempt.status == "done" else place.get(attempt.execution.submission, -1)
        answered[attempt.point] = max(answered.get(attempt.point, -1), last)
    found: dict[str, list[Claim]] = {point: [] for point in points if answered[point] < len(known)}
    for submission in reversed(known):
        for number, members in enumerate(submission.units):
            for point in members:
                if point in found and answered[point] < place[submission.token]:
                    found[point].append((submission, number))
    return found


def point_state(
    record: RecordSummary | None,
    claims: Sequence[Claim] = (),
    units: Mapping[str, Sequence[UnitState]] = MappingProxyType({}),
) -> PointState:
    """A result, else what lives, else what may live, else the last failure, else nothing."""
    if record is not None and record.status == "done":
        return PointState("done", job=record.execution.job)
    told = [(units[submission.token][number], submission.token) for submission, number in claims]
    for kinds in (ALIVE, ("unknown",), ("failed",)):
        for fate, token in told:
            if fate.kind in kinds:
                return PointState(fate.kind, fate.reason, fate.message, fate.job, token)
    if record is not None:
        return PointState("failed", record.reason, record.message, record.execution.job)
    return PointState("missing", message=next((fate.message for fate, _ in told if fate.message), None))
