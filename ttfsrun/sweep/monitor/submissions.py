"""What has become of a submission: of each of its tasks, by what jobs.jsonl, its process and the scheduler say.

intent, refused                             dead: nothing runs
intent, no answer, process alive            being submitted
intent, no answer, process gone             whatever jobs of that name the scheduler knows, else dead
intent, a job                               what the scheduler says of each task
intent without a scheduler, process alive   as many tasks run as it has processes
... process gone, or ended                  dead
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
from ttfsrun.results.sweep_folder import Ended, Intent, JobEntry, Refusal, Submitted
from ttfsrun.sweep.monitor.processes import lives
from ttfsrun.sweep.monitor.scheduler import QueueSnapshot, Scheduler

PointStatus = Literal["done", "failed", "running", "queued", "submitting", "missing", "unknown"]

SUBMITTING_SECONDS = 300.0  # that a submission on another host, which cannot be asked after, may take


@dataclass(frozen=True)
class UnitState:
    """What has become of a unit."""

    kind: PointStatus
    message: str | None = None
    reason: Reason | None = None
    job: str | None = None  # of the scheduler, with the task: 12_3


@dataclass
class Submission:
    """All entries of jobs.jsonl with one token."""

    intent: Intent
    jobs: dict[int, str] = field(default_factory=dict)  # by array
    refused: dict[int, str] = field(default_factory=dict)  # by array, with the message
    ended: set[str] = field(default_factory=set)  # why

    @property
    def token(self) -> str:
        return self.intent.submission

    @property
    def on_slurm(self) -> bool:
        return str(self.intent.cluster["name"]) == "slurm"

    @property
    def process_lives(self) -> bool | None:
        """Of the process that wrote it; None: on another host."""
        return lives(self.intent.host, self.intent.pid, self.intent.started)

    def name(self, array: int) -> str:
        """Of an array, as the scheduler has it."""
        return f"{self.intent.job_name}.{array}"

    @cached_property
    def units(self) -> list[list[str]]:
        """The points of each."""
        if self.on_slurm:
            return [[point for population in task for point in population] for task in self.intent.tasks]
        return [list(population) for task in self.intent.tasks for population in task]

    def refusal(self, array: int) -> str | None:
        """Why the scheduler did not take an array; after a refusal, none is tried."""
        return next((message for refused, message in self.refused.items() if refused <= array), None)

    def unanswered(self) -> list[int]:
        """Arrays of which nobody knows whether the scheduler took them."""
        arrays = range(len(self.intent.arrays))
        return [array for array in arrays if array not in self.jobs and self.refusal(array) is None]


def read_submissions(entries: Sequence[JobEntry]) -> list[Submission]:
    """In the order of their intents; answers without an intent are passed over."""
    found = {entry.submission: Submission(entry) for entry in entries if isinstance(entry, Intent)}
    for entry in entries:
        known = found.get(entry.submission)
        if known is None:
            continue
        if isinstance(entry, Submitted):
            known.jobs[entry.array] = entry.job
        elif isinstance(entry, Refusal):
            known.refused[entry.array] = entry.message
        elif isinstance(entry, Ended):
            known.ended.add(entry.why)
    return list(found.values())


@dataclass(frozen=True)
class UnitStates:
    """What has become of the units of submissions, by token; and what could not be found out."""

    units: Mapping[str, Sequence[UnitState]]
    notes: Sequence[str]


def unit_states(asked: Sequence[Submission], unfinished: AbstractSet[str], scheduler: Scheduler) -> UnitStates:
    """Find out; the scheduler is asked once for all of them, and only where it knows more than jobs.jsonl.

    unfinished: the points without a result, by which the units on this machine are told apart.
    """
    on_slurm = [each for each in asked if each.on_slurm and not each.ended]
    silent = _adopt(on_slurm, scheduler)
    jobs = {job: each.name(array) for each in on_slurm for array, job in each.jobs.items()}
    look = scheduler.look(jobs, min(each.intent.time for each in on_slurm)) if jobs else QueueSnapshot()
    notes = [*look.notes, *(["the scheduler did not answer: jobs without an id are unknown"] if silent else [])]
    units = {
        each.token: _on_slurm(each, look, silent) if each.on_slurm else _without_scheduler(each, unfinished)
        for each in asked
    }
    return UnitStates(units, list(dict.fromkeys(notes)))


def _adopt(asked: Sequence[Submission], scheduler: Scheduler) -> bool:
    """Give the arrays whose answer was never written down the jobs of their names; True: nobody could say."""
    orphans = {each.name(array): (each, array) for each in asked for array in each.unanswered()}
    orphans = {name: orphan for name, orphan in orphans.items() if not orphan[0].process_lives}
    if not orphans:
        return False
    found = scheduler.find(list(orphans), min(each.intent.time for each, _ in orphans.values()))
    for name, job in (found or {}).items():
        submission, array = orphans[name]
        submission.jobs[array] = job
    return found is None


def _on_slurm(submission: Submission, look: QueueSnapshot, silent: bool) -> list[UnitState]:
    if submission.ended:
        return [_after_end(submission)] * len(submission.units)
    found: list[UnitState] = []
    for array, size in enumerate(submission.intent.arrays):
        refusal = submission.refusal(array)
        if array in submission.jobs:
            found += [_of_task(look, submission.jobs[array], index, size == 1) for index in range(size)]
        elif refusal is not None:
            found += [UnitState("missing", f"refused: {refusal}")] * size
        else:
            found += [_unanswered(submission, silent)] * size
    return found


def _after_end(submission: Submission) -> UnitState:
    why = next((why for why in ("cancelled", "interrupted") if why in submission.ended), None)
    return UnitState("missing", why and f"{why} before it had a result")


def _of_task(look: QueueSnapshot, job: str, index: int, alone: bool) -> UnitState:
    task = look.task(job, index, alone)
    name = f"{job}_{index}"
    if task.phase == "ended":
        return UnitState("failed", f"{task.message}, and left no result", task.reason, name)
    if task.phase == "unknown":
        return UnitState("unknown", task.about, job=name)
    return UnitState(task.phase, f"{task.state}: {task.about}" if task.about else task.state, job=name)


def _unanswered(submission: Submission, silent: bool) -> UnitState:
    """Of an array that the scheduler has no job of, as far as one can tell."""
    intent = submission.intent
    where = f"by process {intent.pid} on {intent.host}"
    recent = time.time() - intent.time < SUBMITTING_SECONDS
    if submission.process_lives or (submission.process_lives is None and recent):
        return UnitState("submitting", f"being submitted {where}")
    if silent:
        return UnitState("unknown", f"perhaps submitted {where}: nobody could say")
    return UnitState("missing", "its submission was cut short")


def _without_scheduler(submission: Submission, unfinished: AbstractSet[str]) -> list[UnitState]:
    """Populations of a process of this machine, or of another one."""
    intent, alive, n_units = submission.intent, submission.process_lives, len(submission.units)
    if submission.refused:
        return [UnitState("missing", f"refused: {submission.refusal(0)}")] * n_units
    if submission.ended and not (alive and submission.ended == {"cancelled"}):  # told to end, it still has to
        return [_after_end(submission)] * n_units
    if alive is None:
        return [UnitState("unknown", f"process {intent.pid} on {intent.host}: only there one can tell")] * n_units
    if not alive:
        return [UnitState("missing", "its process ended before it had a result")] * n_units
    left, found = concurrency(intent)[0], []
    for points in submission.units:
        left -= not unfinished.isdisjoint(points)
        found.append(UnitState("running" if left >= 0 else "queued", f"process {intent.pid}"))
    return found


def concurrency(intent: Intent) -> tuple[int, int]:
    """Units that run at once, and cores of each. What is left open follows from the cores of the process."""
    settings = msgspec.convert(intent.cluster, Local | Debug | Slurm)
    if isinstance(settings, Slurm):
        return sum(intent.arrays), settings.cores
    cores = _cores(intent)
    if isinstance(settings, Debug):
        return 1, settings.threads or cores
    processes = settings.processes or max(1, cores // (settings.threads or 1))
    return processes, settings.threads or max(1, cores // processes)


def _cores(intent: Intent) -> int:
    """That the process may use."""
    try:
        return len(os.sched_getaffinity(intent.pid))
    except OSError:
        return len(os.sched_getaffinity(0))
