"""Cancelling a sweep: its jobs and processes end, its results stay."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from ttfsrun.errors import CannotWrite, SchedulerRefused, UserError
from ttfsrun.results.processes import is_here
from ttfsrun.results.sweep_folder import Ended, SweepFolder
from ttfsrun.results.wording import count
from ttfsrun.sweep.monitor.scheduler import Scheduler
from ttfsrun.sweep.monitor.slurm_scheduler import SlurmScheduler
from ttfsrun.sweep.monitor.status import ALIVE, SweepStatus, sweep_status
from ttfsrun.sweep.monitor.submissions import Submission

EXIT_SECONDS = 60.0  # for a process to save its state and exit


def planned_cancellations(status: SweepStatus) -> list[str]:
    """Return a line for each submission that `cancel` would end."""
    return [_describe(status, submission) for submission in status.live()]


def cancel(folder: SweepFolder, scheduler: Scheduler | None = None) -> Iterator[str]:
    """End all live submissions; yield a message for each. Calling it again is safe.

    Where one cannot be ended, or that cannot be noted, the others still are; then raises the errors as one.
    """
    scheduler = scheduler or SlurmScheduler()
    live = sweep_status(folder, scheduler).live()
    if not live:
        yield "nothing runs or waits"
    submitting = [item for item in live if item.on_slurm and item.process_lives and item.unanswered()]
    for submission in submitting:
        yield _stop_process(submission)[1]  # else it would submit further arrays
    errors: list[UserError] = []
    for submission in sweep_status(folder, scheduler).live() if submitting else live:
        try:
            ended, message = _end(submission, scheduler)
            yield message
            if ended:
                folder.note(Ended(submission=submission.token, time=time.time(), why="cancelled"))
        except (SchedulerRefused, CannotWrite) as error:
            errors.append(error)
    if errors:
        raise type(errors[0])("; ".join(dict.fromkeys(map(str, errors))))


def _end(submission: Submission, scheduler: Scheduler) -> tuple[bool, str]:
    """End a submission; return whether it has ended or will end, and a message."""
    intent, jobs = submission.intent, list(submission.jobs.values())
    if submission.on_slurm and jobs:
        cluster = submission.slurm_cluster
        (scheduler if cluster is None else scheduler.on(cluster)).cancel(jobs)  # includes jobs found by their names
        return True, f"cancelled: Slurm job {', '.join(jobs)}"
    if not submission.on_slurm and submission.process_lives:
        return _stop_process(submission)
    return False, f"not cancelled: process {intent.pid} on {intent.host}, which cannot be reached from here"


def _stop_process(submission: Submission) -> tuple[bool, str]:
    """Send SIGTERM to the process of a submission and wait for it to save its state and exit; return as `_end` does."""
    pid = submission.intent.pid
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return True, f"process {pid} has ended"
    except PermissionError:
        return False, f"not cancelled: process {pid} belongs to another user"
    deadline = time.monotonic() + EXIT_SECONDS
    while submission.process_lives and time.monotonic() < deadline:
        time.sleep(0.05)
    return True, f"process {pid} " + ("was asked to end" if submission.process_lives else "has ended")


def _describe(status: SweepStatus, submission: Submission) -> str:
    intent = submission.intent
    states = [state for state in status.points.values() if state.submission == submission.token]
    unfinished = sum(state.kind in (*ALIVE, "unknown") for state in states)
    jobs = ", ".join(submission.jobs.values())
    elsewhere = "" if is_here(intent.host) else f" on {intent.host}"
    name = f"Slurm job {jobs}" if jobs else f"process {intent.pid}{elsewhere}"
    return f"{name}: {count(unfinished, 'unfinished point')}"
