"""Queries of Slurm's jobs. Each command has a time limit, and no answer is trusted alone.

`squeue` shows live jobs, from the controller's memory; `sacct` also shows ended ones, from the accounting, which lags
behind or may be missing. A job that neither of them shows is unknown, and so is one that only `sacct` shows as alive.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from ttfsrun.errors import SchedulerRefused, reason_of
from ttfsrun.sweep.monitor.scheduler import Queue, QueueSnapshot, ScheduledTask, job_of
from ttfsrun.sweep.slurm_environment import command_environment

RUNNING = {"RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}
QUEUED = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD", "PREEMPTED"}
#: Their numbers are none of our exit codes.
FATAL = {signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGUSR2}
NO_LOG = 53  # no signal: Slurm's number for a task whose log it could not write, e.g. on a node without the folder
CLOCK_SKEW = 3600.0  # seconds, generous: clocks of a cluster may differ


@dataclass(frozen=True)
class SlurmScheduler:
    """Slurm of this machine, or another cluster that it knows, through its commands."""

    timeout: float = 10.0  # seconds, for each command
    cluster: str | None = None

    def query(self, names: Mapping[str, str], since: float) -> QueueSnapshot:
        if not names:
            return QueueSnapshot()
        accounting, queue = self._run(
            ["sacct", *_SACCT, "-S", _timestamp(since), "-j", ",".join(names)],
            ["squeue", *_SQUEUE, "--name", ",".join(dict.fromkeys(names.values()))],
        )
        of_sacct = {task: row for task, row in _rows(accounting.lines) if row[0] == names.get(job_of(task))}
        of_squeue = {task: row for task, row in _rows(queue.lines) if job_of(task) in names}
        queue_answered = queue.problem is None
        tasks = {
            task: _merge(of_sacct.get(task), of_squeue.get(task), queue_answered) for task in [*of_sacct, *of_squeue]
        }
        notes = tuple(answer.problem for answer in (accounting, queue) if answer.problem)
        return QueueSnapshot(tasks, notes, queue_answered)

    def find(self, names: Sequence[str], since: float) -> Mapping[str, str] | None:
        joined, user = ",".join(names), str(os.getuid())
        answers = self._run(
            ["sacct", *_SACCT, "-S", _timestamp(since), "-u", user, "--name", joined],
            ["squeue", *_SQUEUE, "-u", user, "--name", joined],
        )
        jobs: dict[str, str] = {}
        for task, (name, *_) in (row for answer in answers for row in _rows(answer.lines)):
            if name in names and int(job_of(task)) > int(jobs.get(name, 0)):
                jobs[name] = job_of(task)
        return None if all(answer.problem for answer in answers) else jobs

    def cancel(self, jobs: Sequence[str]) -> None:
        (answer,) = self._run(["scancel", *jobs])
        if answer.problem and "completed" not in answer.problem and "Invalid job id" not in answer.problem:
            raise SchedulerRefused(answer.problem)

    def queue(self, names: Iterable[str]) -> Queue:
        settings, queue = self._run(["scontrol", "show", "config"], ["squeue", *_SQUEUE, "--name", ",".join(names)])
        for answer in (settings, queue):
            if answer.problem:
                raise SchedulerRefused(answer.problem)
        matches = (re.match(r"ClusterName\s*=\s*(\S+)", line) for line in settings.lines)
        cluster = next((match[1] for match in matches if match), "")
        return Queue(cluster, {task for task, _ in _rows(queue.lines)})

    def on(self, cluster: str) -> SlurmScheduler:
        return replace(self, cluster=cluster)

    def _run(self, *commands: list[str]) -> list[CommandAnswer]:
        """Run commands at the same time, so that all of them share one time limit."""
        deadline = time.monotonic() + self.timeout
        elsewhere = [] if self.cluster is None else ["-M", self.cluster]
        processes = [_start([command[0], *elsewhere, *command[1:]]) for command in commands]
        return [
            process if isinstance(process, CommandAnswer) else self._answer(command[0], process, deadline)
            for command, process in zip(commands, processes, strict=True)
        ]

    def _answer(self, command: str, process: subprocess.Popen[str], deadline: float) -> CommandAnswer:
        try:
            out, err = process.communicate(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=1.0)
            return CommandAnswer(problem=f"{command} did not answer within {self.timeout:g} s")
        if process.returncode != 0:
            message = " ".join((err or out).split()) or f"exit code {process.returncode}"
            return CommandAnswer(problem=f"{command}: {message.removeprefix(f'{command}: ')}")
        return CommandAnswer(out.splitlines())


@dataclass(frozen=True)
class CommandAnswer:
    """Lines that a command printed, or why there are none."""

    lines: Sequence[str] = ()
    problem: str | None = None


#: Both print: task, job name, state, exit code (sacct) or reason to wait (squeue), node. -a: in hidden partitions too.
_SACCT = ("-X", "-n", "-P", "-o", "JobID,JobName,State,ExitCode,NodeList")
_SQUEUE = ("-a", "-h", "-r", "-o", "%i|%j|%T|%r|%N")


def _start(command: list[str]) -> subprocess.Popen[str] | CommandAnswer:
    """Start a command in its own session, so that it can be killed with its children, without the user's filters."""
    try:
        return subprocess.Popen(
            command,
            env=command_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return CommandAnswer(problem=f"{command[0]} cannot be run here ({reason_of(error)})")


def _timestamp(since: float) -> str:
    """Return a time as sacct reads it, minus the clock skew. sacct's own default is the last midnight."""
    return datetime.fromtimestamp(since - CLOCK_SKEW).isoformat(timespec="seconds")


def _rows(lines: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each task with its columns after the first. In sacct, pending tasks of an array share a line."""
    for line in lines:
        tasks, *row = line.split("|")
        if len(row) == 4:
            for task in expand_task_ids(tasks):
                yield task, row


def expand_task_ids(job: str) -> list[str]:
    """Return the ids of the tasks of a range: 12_0, 12_1, 12_2, 12_3, 12_7 of `12_[0-3,7%2]`."""
    base, bracket, tasks = job.partition("_[")
    if not bracket:
        return [job]
    ids = []
    for part in tasks.rstrip("]").partition("%")[0].split(","):
        span = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if span:
            first, last, step = int(span[1]), int(span[2] or span[1]), int(span[3] or 1)
            ids += [f"{base}_{index}" for index in range(first, last + 1, step)]
    return ids


def _merge(accounting: Sequence[str] | None, queue: Sequence[str] | None, queue_answered: bool) -> ScheduledTask:
    """Return the state of a task from both rows: squeue's counts for live tasks, sacct's for ended ones."""
    ended = accounting is not None and _state(accounting) not in RUNNING | QUEUED
    if queue is not None and not (ended and _state(queue) == "COMPLETING"):
        state = _state(queue)
        return ScheduledTask(
            "queued" if state in QUEUED else "running", state, queue[2] if state in QUEUED else queue[3]
        )
    assert accounting is not None  # one of both lists it
    state = _state(accounting)
    if ended:
        return ScheduledTask("ended", state, _exit(accounting), accounting[3])
    if not queue_answered:
        return ScheduledTask("queued" if state in QUEUED else "running", state, "according to sacct")
    if state == "PREEMPTED":
        return ScheduledTask("ended", state)
    return ScheduledTask("unknown", "UNKNOWN", f"sacct says {state}, squeue does not list it")


def _state(row: Sequence[str]) -> str:
    """Return the state of a row without details: CANCELLED of `CANCELLED by 1000`."""
    return (row[1].split() or ["UNKNOWN"])[0]


def _exit(row: Sequence[str]) -> str:
    """Return the exit code and the signal of a task that ended, where they are not 0."""
    code, killed = (int(part) if part.isdigit() else 0 for part in (*row[2].split(":"), "")[:2])
    if code in FATAL:
        code += 128  # some versions of Slurm show it without
    parts = [f"exit code {code}"] if code else []
    number = killed or max(0, code - 128)
    if killed == NO_LOG:
        return "its log could not be written"
    with suppress(ValueError):
        parts += [signal.Signals(number).name] if number else []
    return ", ".join(parts)
