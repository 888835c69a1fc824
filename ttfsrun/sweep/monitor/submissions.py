"""State of each unit of a submission, from jobs.jsonl, the submitting process and the scheduler.

A unit is an array task, or a population that this machine computes without a scheduler.

entries in jobs.jsonl     process   state of the units
intent, refusal           any       missing
intent without answer     alive     submitting
intent without answer     ended     those of a job with that name, if the scheduler has one, else missing
intent, job               any       those that the scheduler reports
intent, local             alive     as many run as it has processes, the others are queued
intent, local             ended     missing
intent, job, given up     any       missing, unless the scheduler reports them
intent, end               any       missing; what was cancelled counts as alive as long as it still saves its state
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import msgspec

from ttfsrun.config.cluster import Debug, Local, Slurm
from ttfsrun.errors import Reason
from ttfsrun.results.processes import lives
from ttfsrun.results.sweep_folder import Ended, GivenUp, Intent, JobEntry, Refusal, Submitted
from ttfsrun.sweep.monitor.scheduler import QueueSnapshot, Scheduler

PointStatus = Literal["done", "failed", "running", "queued", "submitting", "missing", "unknown"]

SAVING_SECONDS = 3600.0  # that the tasks of a cancelled job may save their states; generous: clocks may differ
SUBMITTING_SECONDS = 300.0  # that a submission on another host, whose process cannot be inspected, may take


@dataclass(frozen=True)
class UnitState:
    """State of a unit of a submission."""

    kind: PointStatus
    message: str | None = None
    reason: Reason | None = None
    job: str | None = None  # of the scheduler, with the task: 12_3
    node: str | None = None  # on which a task ended that left no result


@dataclass
class Submission:
    """All entries of jobs.jsonl with one token."""

    intent: Intent
    jobs: dict[int, str] = field(default_factory=dict)  # ids by array
    refused: dict[int, str] = field(default_factory=dict)  # messages by array
    ended: dict[str, float] = field(default_factory=dict)  # times by reason, see `Ended`
    given_up: set[int] = field(default_factory=set)  # numbers of units

    @property
    def token(self) -> str:
        """Id of the submission."""
        return self.intent.submission

    @property
    def on_slurm(self) -> bool:
        """Whether Slurm runs it, not a process of its own."""
        return str(self.intent.cluster["name"]) == "slurm"

    @property
    def slurm_cluster(self) -> str | None:
        """Name of the cluster, where it is not the one of the machine that submitted."""
        name = (self.intent.cluster.get("sbatch") or {}).get("clusters")
        return str(name) if name else None

    @property
    def process_lives(self) -> bool | None:
        """Whether the process that wrote the intent lives; None: it is on another host."""
        return lives(self.intent.host, self.intent.pid, self.intent.started)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and its array tasks cannot be saving their states any more."""
        return bool(self.ended) and time.time() - self.ended.get("cancelled", 0.0) > SAVING_SECONDS

    def name(self, array: int) -> str:
        """Return the job name of an array."""
        return f"{self.intent.job_name}.{array}"

    @cached_property
    def units(self) -> list[list[str]]:
        """The points of each unit."""
        if self.on_slurm:
            return [[point for population in task for point in population] for task in self.intent.tasks]
        return [list(population) for task in self.intent.tasks for population in task]

    def refusal(self, array: int) -> str | None:
        """Return the message with which the scheduler refused an array or one before it; None: it did not."""
        return next((message for refused, message in self.refused.items() if refused <= array), None)

    def unanswered(self) -> list[int]:
        """Return the arrays for which jobs.jsonl has no answer of the scheduler."""
        arrays = range(len(self.intent.arrays))
        return [array for array in arrays if array not in self.jobs and self.refusal(array) is None]


def read_submissions(entries: Sequence[JobEntry]) -> list[Submission]:
    """Return the submissions in the order of their intents; entries without an intent are ignored."""
    submissions = {entry.submission: Submission(entry) for entry in entries if isinstance(entry, Intent)}
    for entry in entries:
        submission = submissions.get(entry.submission)
        if submission is None:
            continue
        if isinstance(entry, Submitted):
            submission.jobs[entry.array] = entry.job
        elif isinstance(entry, Refusal):
            submission.refused[entry.array] = entry.message
        elif isinstance(entry, Ended):
            submission.ended[entry.why] = entry.time
        elif isinstance(entry, GivenUp):
            submission.given_up.update(entry.units)
    return list(submissions.values())


@dataclass(frozen=True)
class UnitStates:
    """States of the units of submissions, by token. notes: queries that failed, so that some states may be unknown."""

    units: Mapping[str, Sequence[UnitState]]
    notes: Sequence[str]


def unit_states(submissions: Sequence[Submission], unfinished: AbstractSet[str], scheduler: Scheduler) -> UnitStates:
    """Return the states of all units. The scheduler is queried once for all jobs of submissions that are not over.

    unfinished: the points without a result; a local unit without such points is finished.
    """
    units: dict[str, Sequence[UnitState]] = {}
    units |= {each.token: _local_units(each, unfinished) for each in submissions if not each.on_slurm}
    on_slurm = [submission for submission in submissions if submission.on_slurm]
    notes: list[str] = []
    for cluster in dict.fromkeys(submission.slurm_cluster for submission in on_slurm):
        on_cluster = [submission for submission in on_slurm if submission.slurm_cluster == cluster]
        states = _cluster_units(on_cluster, scheduler if cluster is None else scheduler.on(cluster))
        units |= states.units
        notes += states.notes
    return UnitStates(units, list(dict.fromkeys(notes)))


def _cluster_units(submissions: Sequence[Submission], scheduler: Scheduler) -> UnitStates:
    """Return the states of the array tasks of one cluster. It is queried once for all submissions that are not over."""
    asked = [submission for submission in submissions if not submission.is_over]
    answered = _find_jobs(asked, scheduler)
    names = {job: submission.name(array) for submission in asked for array, job in submission.jobs.items()}
    since = min((submission.intent.time for submission in asked), default=0.0)
    snapshot = scheduler.query(names, since) if names else QueueSnapshot()
    notes = [*snapshot.notes, *([] if answered else ["the scheduler did not answer: jobs without an id are unknown"])]
    return UnitStates({each.token: _slurm_units(each, snapshot, answered) for each in submissions}, notes)


def _find_jobs(submissions: Sequence[Submission], scheduler: Scheduler) -> bool:
    """Find the jobs of unanswered arrays by their names; return False where the scheduler does not answer.

    Arrays whose submitting process lives are left out: it will write the answer.
    """
    unanswered = {
        submission.name(array): (submission, array)
        for submission in submissions
        for array in submission.unanswered()
        if not submission.process_lives
    }
    if not unanswered:
        return True
    jobs = scheduler.find(list(unanswered), min(submission.intent.time for submission, _ in unanswered.values()))
    for name, job in (jobs or {}).items():
        submission, array = unanswered[name]
        submission.jobs[array] = job
    return jobs is not None


def _slurm_units(submission: Submission, snapshot: QueueSnapshot, answered: bool) -> list[UnitState]:
    """Return the states of array tasks. answered: whether the scheduler could search for jobs by name."""
    if submission.is_over:
        return [_ended_state(submission)] * len(submission.units)
    states: list[UnitState] = []
    for array, size in enumerate(submission.intent.arrays):
        refusal = submission.refusal(array)
        if array in submission.jobs:
            states += [_task_state(snapshot, submission.jobs[array], index, size == 1) for index in range(size)]
        elif refusal is not None:
            states += [UnitState("missing", f"refused: {refusal}")] * size
        else:
            states += [_unanswered_state(submission, answered)] * size
    if submission.ended:
        alive = ("running", "queued") if snapshot.queue_answered else ("running", "queued", "unknown")
        states = [state if state.kind in alive else _ended_state(submission) for state in states]
    return [
        UnitState("missing", "given up: the queue did not know it")
        if state.kind == "unknown" and number in submission.given_up
        else state
        for number, state in enumerate(states)
    ]


def _ended_state(submission: Submission) -> UnitState:
    why = next((why for why in ("cancelled", "interrupted") if why in submission.ended), None)
    return UnitState("missing", why and f"{why} before it had a result")


def _task_state(snapshot: QueueSnapshot, job: str, index: int, alone: bool) -> UnitState:
    task = snapshot.task(job, index, alone)
    name = f"{job}_{index}"
    if task.phase == "ended":
        return UnitState("failed", f"{task.message}, and left no result", task.reason, name, task.node)
    if task.phase == "unknown":
        return UnitState("unknown", task.about, job=name)
    return UnitState(task.phase, f"{task.state}: {task.about}" if task.about else task.state, job=name)


def _unanswered_state(submission: Submission, answered: bool) -> UnitState:
    """Return the state of the tasks of an array without a known job."""
    intent = submission.intent
    by_process = f"by process {intent.pid} on {intent.host}"
    recent = time.time() - intent.time < SUBMITTING_SECONDS
    if submission.process_lives or (submission.process_lives is None and recent):
        return UnitState("submitting", f"being submitted {by_process}")
    if not answered:
        return UnitState("unknown", f"perhaps submitted {by_process}: the scheduler did not answer")
    return UnitState("missing", "its submission was cut short")


def _local_units(submission: Submission, unfinished: AbstractSet[str]) -> list[UnitState]:
    """Return the states of populations that a process computes without a scheduler."""
    intent, alive, n_units = submission.intent, submission.process_lives, len(submission.units)
    if submission.refused:
        return [UnitState("missing", f"refused: {submission.refusal(0)}")] * n_units
    if submission.ended and not (alive and submission.ended.keys() == {"cancelled"}):  # it may still save its state
        return [_ended_state(submission)] * n_units
    if alive is None:
        return [UnitState("unknown", f"process {intent.pid} on {intent.host}: run status on that host")] * n_units
    if not alive:
        return [UnitState("missing", "its process ended before it had a result")] * n_units
    free, states = concurrency(intent)[0], []
    for points in submission.units:
        free -= not unfinished.isdisjoint(points)
        states.append(UnitState("running" if free >= 0 else "queued", f"process {intent.pid}"))
    return states


def concurrency(intent: Intent) -> tuple[int, int]:
    """Return the number of units that run at once, and the cores of each.

    Settings that are null follow from the cores that the process may use.
    """
    settings = msgspec.convert(intent.cluster, Local | Debug | Slurm)
    if isinstance(settings, Slurm):
        return sum(intent.arrays), settings.cores
    cores = _cores(intent)
    if isinstance(settings, Debug):
        return 1, settings.threads or cores
    processes = intent.gpus or settings.processes or max(1, cores // (settings.threads or 1))
    return processes, settings.threads or max(1, cores // processes)


def _cores(intent: Intent) -> int:
    """Return the number of cores that the process may use; those of this process where it has ended."""
    try:
        return len(os.sched_getaffinity(intent.pid))
    except OSError:
        return len(os.sched_getaffinity(0))
