"""What Slurm knows of jobs, asked carefully: each command has a time limit, and none is believed alone.

`squeue` knows what is alive (the controller's memory), `sacct` also what has ended (the accounting, which lags behind,
or is not there). A job that neither knows is unknown, and so is one that only `sacct` takes for alive.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal, Protocol

from ttfsrun.errors import Reason, SchedulerRefused

Phase = Literal["running", "queued", "ended", "unknown"]

RUNNING = {"RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}
QUEUED = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD", "PREEMPTED"}
REASON_OF_STATE: dict[str, Reason] = {  # of a state that a task ended in; others are an "error"
    "OUT_OF_MEMORY": "out of memory",
    "TIMEOUT": "time-out",
    "DEADLINE": "time-out",
    "NODE_FAIL": "node failure",
    "BOOT_FAIL": "node failure",
    "CANCELLED": "cancelled",
    "REVOKED": "cancelled",
    "PREEMPTED": "cancelled",  # where the cluster cancels what it preempts
}
WARNED = "exit code 140, SIGUSR2"
FATAL = {signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGUSR2}  # no exit codes of our own
EARLIER = 3600.0  # seconds by which clocks of a cluster may differ, generously


@dataclass(frozen=True)
class ScheduledTask:
    """One array task, or a job without an array."""

    phase: Phase
    state: str  # in Slurm's own words
    about: str = ""  # why it waits, or how it ended

    @property
    def reason(self) -> Reason:
        """The class of failure, of a task that ended; a task that is warned of its time limit leaves by that signal."""
        return "time-out" if self.about == WARNED else REASON_OF_STATE.get(self.state, "error")

    @property
    def message(self) -> str:
        return f"Slurm: {self.state}" + (f" ({self.about})" if self.about else "")


@dataclass(frozen=True)
class QueueSnapshot:
    """What there was to find out about some jobs: tasks by `job_index`, or `job`; what could not be found out."""

    tasks: Mapping[str, ScheduledTask] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def task(self, job: str, index: int, alone: bool) -> ScheduledTask:
        """One task of an array; alone: it may have been submitted without an array."""
        known = self.tasks.get(f"{job}_{index}") or (self.tasks.get(job) if alone else None)
        if known is not None:
            return known
        if self.notes:
            return ScheduledTask("unknown", "UNKNOWN", "; ".join(self.notes))
        if job in self.jobs:  # Slurm keeps nothing of a task that is cancelled before it was looked at
            return ScheduledTask("ended", "CANCELLED", "while it waited")
        return ScheduledTask("unknown", "UNKNOWN", f"neither sacct nor squeue knows job {job}")

    @cached_property
    def jobs(self) -> set[str]:
        """Those of which a task is known."""
        return {_base(task) for task in self.tasks}


class Scheduler(Protocol):
    """What the state of a sweep depends on."""

    def look(self, names: Mapping[str, str], since: float) -> QueueSnapshot:
        """The tasks of jobs. names: the name of each job, by id, that tells it from another cluster's job."""

    def find(self, names: Sequence[str], since: float) -> Mapping[str, str] | None:
        """The ids of the user's jobs by name, the newest of each; None: nobody answered."""

    def cancel(self, jobs: Sequence[str]) -> None:
        """End jobs; those that ended already do no harm."""


@dataclass(frozen=True)
class SlurmScheduler:
    """The scheduler of this machine, by its commands."""

    timeout: float = 10.0  # seconds, for each command

    def look(self, names: Mapping[str, str], since: float) -> QueueSnapshot:
        if not names:
            return QueueSnapshot()
        accounting, queue = self._ask(
            ["sacct", *_SACCT, "-S", _moment(since), "-j", ",".join(names)],
            ["squeue", *_SQUEUE, "--name", ",".join(dict.fromkeys(names.values()))],
        )
        ended = {job: row for job, row in _rows(accounting.lines) if row[0] == names.get(_base(job))}
        alive = {job: row for job, row in _rows(queue.lines) if _base(job) in names}
        tasks = {job: _together(ended.get(job), alive.get(job), queue.problem is None) for job in [*ended, *alive]}
        return QueueSnapshot(tasks, tuple(answer.problem for answer in (accounting, queue) if answer.problem))

    def find(self, names: Sequence[str], since: float) -> Mapping[str, str] | None:
        wanted, user = ",".join(names), str(os.getuid())
        answers = self._ask(
            ["sacct", *_SACCT, "-S", _moment(since), "-u", user, "--name", wanted],
            ["squeue", *_SQUEUE, "-u", user, "--name", wanted],
        )
        found: dict[str, str] = {}
        for job, (name, *_) in (row for answer in answers for row in _rows(answer.lines)):
            if name in names and int(_base(job)) > int(found.get(name, 0)):
                found[name] = _base(job)
        nobody = all(answer.problem for answer in answers)
        return None if nobody else found

    def cancel(self, jobs: Sequence[str]) -> None:
        (answer,) = self._ask(["scancel", *jobs])
        if answer.problem and "completed" not in answer.problem and "Invalid job id" not in answer.problem:
            raise SchedulerRefused(answer.problem)

    def _ask(self, *commands: list[str]) -> list[CommandAnswer]:
        """All at once: one that hangs costs its time limit, not twice that."""
        until = time.monotonic() + self.timeout
        asked = [_start(command) for command in commands]
        return [
            process if isinstance(process, CommandAnswer) else self._answer(command[0], process, until)
            for command, process in zip(commands, asked, strict=True)
        ]

    def _answer(self, command: str, process: subprocess.Popen[str], until: float) -> CommandAnswer:
        try:
            out, err = process.communicate(timeout=max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=1.0)
            return CommandAnswer(problem=f"{command} did not answer within {self.timeout:g} s")
        if process.returncode != 0:
            told = " ".join((err or out).split()) or f"exit code {process.returncode}"
            return CommandAnswer(problem=f"{command}: {told.removeprefix(f'{command}: ')}")
        return CommandAnswer(out.splitlines())


@dataclass(frozen=True)
class CommandAnswer:
    """The lines that a command printed, or why there are none."""

    lines: Sequence[str] = ()
    problem: str | None = None


#: Both print: job, name, state, exit code or why it waits, node.
_SACCT = ("-X", "-n", "-P", "-o", "JobID,JobName,State,ExitCode,NodeList")
_SQUEUE = ("-h", "-r", "-o", "%i|%j|%T|%r|%N")


def _start(command: list[str]) -> subprocess.Popen[str] | CommandAnswer:
    """In a session of its own, so that all of it can be killed; the user's filters and formats do not reach it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SQUEUE_", "SACCT_"))}
    env |= {"SLURM_BITSTR_LEN": "0", "SLURM_TIME_FORMAT": "standard"}  # 0: lists of array tasks are not cut short
    try:
        return subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return CommandAnswer(problem=f"{command[0]} cannot be run here ({error.strerror})")


def _moment(since: float) -> str:
    """As sacct takes a time; its own default is the last midnight."""
    return datetime.fromtimestamp(since - EARLIER).isoformat(timespec="seconds")


def _rows(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Each task with its name, state, exit code or why it waits, node; pending tasks share a line of sacct."""
    for line in lines:
        job, *row = line.split("|")
        if len(row) == 4:
            for task in expand_task_ids(job):
                yield task, row


def _base(job: str) -> str:
    """The id of the job that an array task belongs to."""
    return re.split(r"\D", job, maxsplit=1)[0] or "0"


def expand_task_ids(job: str) -> list[str]:
    """`12_[0-3,7%2]` -> 12_0, 12_1, 12_2, 12_3, 12_7."""
    base, bracket, tasks = job.partition("_[")
    if not bracket:
        return [job]
    found = []
    for part in tasks.rstrip("]").partition("%")[0].split(","):
        span = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if span:
            first, last, step = int(span[1]), int(span[2] or span[1]), int(span[3] or 1)
            found += [f"{base}_{index}" for index in range(first, last + 1, step)]
    return found


def _together(accounting: Sequence[str] | None, queue: Sequence[str] | None, queue_answered: bool) -> ScheduledTask:
    """One task from what both say: the queue knows best what is alive, the accounting how it ended."""
    ended = accounting is not None and _state(accounting) not in RUNNING | QUEUED
    if queue is not None and not (ended and _state(queue) == "COMPLETING"):
        state = _state(queue)
        return ScheduledTask(
            "queued" if state in QUEUED else "running", state, queue[2] if state in QUEUED else queue[3]
        )
    assert accounting is not None  # one of both has it
    state = _state(accounting)
    if ended:
        return ScheduledTask("ended", state, _how(accounting))
    if not queue_answered:
        return ScheduledTask("queued" if state in QUEUED else "running", state, "as sacct says")
    if state == "PREEMPTED":
        return ScheduledTask("ended", state)
    return ScheduledTask("unknown", "UNKNOWN", f"sacct says {state}, squeue does not list it")


def _state(row: Sequence[str]) -> str:
    """`CANCELLED by 1000` -> CANCELLED."""
    return (row[1].split() or ["UNKNOWN"])[0]


def _how(row: Sequence[str]) -> str:
    """The exit code and the signal of a task that ended, where they say something."""
    code, killed = (int(part) if part.isdigit() else 0 for part in (*row[2].split(":"), "")[:2])
    if code in FATAL:
        code += 128  # as which sacct shows no exit code
    told = [f"exit code {code}"] if code else []
    number = killed or max(0, code - 128)
    with suppress(ValueError):
        told += [signal.Signals(number).name] if number else []
    return ", ".join(told)
