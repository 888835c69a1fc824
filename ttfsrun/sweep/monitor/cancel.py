"""End what still runs or waits for a sweep; its results stay."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

from ttfsrun.results.sweep_folder import Ended, SweepFolder
from ttfsrun.sweep.monitor.processes import is_here
from ttfsrun.sweep.monitor.scheduler import Scheduler, SlurmScheduler
from ttfsrun.sweep.monitor.status import ALIVE, SweepStatus, sweep_status
from ttfsrun.sweep.monitor.submissions import Submission

PATIENCE = 60.0  # seconds; a process first saves what it has


def planned_cancellations(now: SweepStatus) -> list[str]:
    """What `cancel` would end, in words; empty: nothing."""
    return [_described(now, each) for each in now.live()]


def cancel(folder: SweepFolder, scheduler: Scheduler | None = None, *, lost: bool = False) -> Iterator[str]:
    """End everything that lives, telling what is done; again is safe.

    lost: the user knows that what cannot be reached has ended; its points are free again.
    """
    scheduler = scheduler or SlurmScheduler()
    live = sweep_status(folder, scheduler).live()
    if not live:
        yield "nothing runs or waits"
    submitting = [each for each in live if each.on_slurm and each.process_lives and each.unanswered()]
    for submission in submitting:
        yield _stop_process(submission)[1]  # it would go on to submit what is still to come
    for submission in sweep_status(folder, scheduler).live() if submitting else live:
        ended, told = _end(submission, scheduler)
        if ended or lost:
            folder.note(Ended(submission=submission.token, time=time.time(), why="cancelled"))
        yield told + ("" if ended or not lost else "; given up as lost")


def _end(submission: Submission, scheduler: Scheduler) -> tuple[bool, str]:
    """Whether it has ended, or will; and what to say."""
    intent, jobs = submission.intent, list(submission.jobs.values())
    if submission.on_slurm and jobs:
        scheduler.cancel(jobs)  # those of adopted arrays too
        return True, f"cancelled: Slurm job {', '.join(jobs)}"
    if not submission.on_slurm and submission.process_lives:
        return _stop_process(submission)
    return False, f"not cancelled: process {intent.pid} on {intent.host}, which cannot be reached from here"


def _stop_process(submission: Submission) -> tuple[bool, str]:
    """SIGTERM, and a while for it to save what runs."""
    pid = submission.intent.pid
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return True, f"process {pid} has ended"
    except PermissionError:
        return False, f"not cancelled: process {pid} belongs to another user"
    until = time.monotonic() + PATIENCE
    while submission.process_lives and time.monotonic() < until:
        time.sleep(0.05)
    return True, f"process {pid} " + ("is told to end" if submission.process_lives else "has ended")


def _described(now: SweepStatus, submission: Submission) -> str:
    intent = submission.intent
    held = [state for state in now.points.values() if state.submission == submission.token]
    points = sum(state.kind in (*ALIVE, "unknown") for state in held)
    jobs = ", ".join(submission.jobs.values())
    what = f"Slurm job {jobs}" if jobs else f"process {intent.pid}" + ("" if is_here(intent.host) else " elsewhere")
    return f"{what}: {points} points that run or wait"
