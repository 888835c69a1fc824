"""What is asked of a batch system, and how it answers: the states of tasks, which may be unknown."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

from ttfsrun.errors import Reason

Phase = Literal["running", "queued", "ended", "unknown"]

REASON_OF_STATE: dict[str, Reason] = {  # by the final state of a task; "error" for all others
    "OUT_OF_MEMORY": "out of memory",
    "TIMEOUT": "time-out",
    "DEADLINE": "time-out",
    "NODE_FAIL": "node failure",
    "BOOT_FAIL": "node failure",
    "CANCELLED": "cancelled",
    "REVOKED": "cancelled",
    "PREEMPTED": "cancelled",  # where the cluster cancels preempted jobs
}
TIME_LIMIT_EXIT = "exit code 140, SIGUSR2"  # of a task that stopped at the warning before its time limit


@dataclass(frozen=True)
class ScheduledTask:
    """State of an array task, or of a job without an array."""

    phase: Phase
    state: str  # in Slurm's own words
    about: str = ""  # why it waits, or how it ended
    node: str | None = None  # on which it ended

    @property
    def reason(self) -> Reason:
        """Class of the failure of a task that ended."""
        if self.state == "FAILED" and self.about.endswith(signal.SIGKILL.name):
            return "out of memory"  # so it looks where Slurm's accounting or the kernel ended it
        return "time-out" if self.about == TIME_LIMIT_EXIT else REASON_OF_STATE.get(self.state, "error")

    @property
    def message(self) -> str:
        """Slurm's state of the task, with details."""
        return f"Slurm: {self.state}" + (f" ({self.about})" if self.about else "")


@dataclass(frozen=True)
class QueueSnapshot:
    """Answer to a query: tasks by `job_index`, or `job` without an array. notes: why it may be incomplete.

    queue_answered: whether a task that is not among them is not in the queue either.
    """

    tasks: Mapping[str, ScheduledTask] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    queue_answered: bool = True

    def task(self, job: str, index: int, alone: bool) -> ScheduledTask:
        """Return the state of one task. alone: the job may have been submitted without an array."""
        task = self.tasks.get(f"{job}_{index}") or (self.tasks.get(job) if alone else None)
        if task is not None:
            return task
        if self.notes:
            return ScheduledTask("unknown", "UNKNOWN", "; ".join(self.notes))
        if job in self.jobs:  # Slurm keeps no trace of a task that is cancelled while it is pending
            return ScheduledTask("ended", "CANCELLED", "while it waited")
        return ScheduledTask("unknown", "UNKNOWN", f"neither sacct nor squeue shows job {job}")

    @cached_property
    def jobs(self) -> set[str]:
        """Jobs of which at least one task is in the snapshot."""
        return {job_of(task) for task in self.tasks}


class Scheduler(Protocol):
    """Interface to a batch system."""

    def query(self, names: Mapping[str, str], since: float) -> QueueSnapshot:
        """Return the states of jobs.

        names: the name of each job, by id; ids alone are ambiguous, since Slurm may give them out again.
        since: time before the jobs were submitted, in seconds since 1970.
        """

    def find(self, names: Sequence[str], since: float) -> Mapping[str, str] | None:
        """Return the ids of the user's jobs by name, the newest of each; None: no answer."""

    def cancel(self, jobs: Sequence[str]) -> None:
        """Cancel jobs; those that have ended are ignored. Raises SchedulerRefused."""

    def queue(self, names: Iterable[str]) -> Queue:
        """Return what the queue has of the jobs with these names. Raises SchedulerRefused where it does not answer."""

    def on(self, cluster: str) -> Scheduler:
        """Return the scheduler of another cluster."""


@dataclass(frozen=True)
class Queue:
    """The tasks of some jobs that run or wait: ids as in `QueueSnapshot`. cluster: the name of what answered."""

    cluster: str
    tasks: AbstractSet[str] = frozenset()


def job_of(task: str) -> str:
    """Return the id of the job of an array task: 12 of 12_3."""
    return re.split(r"\D", task, maxsplit=1)[0] or "0"
