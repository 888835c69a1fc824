"""What an array task of Slurm runs: one task of a submission. FIRST is the number of its array's first task.

Before its time limit the task is told (SIGUSR2): it saves what runs and asks to be queued again, as it does when it is
preempted.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from ttfsrun.config.cluster import Slurm
from ttfsrun.errors import COMPLETE, WITH_FAILURES, UserError
from ttfsrun.results.record import Curves, Record
from ttfsrun.results.sweep_folder import Intent, SweepFolder
from ttfsrun.run.signals import on_signals
from ttfsrun.sweep.worker.crew import Resources
from ttfsrun.sweep.worker.task import Task, populations_of
from ttfsrun.training.progress import Progress

log = logging.getLogger("ttfsrun")

MEMORY_IN_USE = 0.95  # share of the task's memory from which on a worker goes before Slurm ends the task
LOG_SECONDS = 60.0


def main() -> int:
    """Run the array task that the environment names; arguments: SWEEP_DIR SUBMISSION FIRST."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    path, submission, first = sys.argv[1:]
    folder = SweepFolder(Path(path))
    number = int(first) + int(os.environ.get("SLURM_ARRAY_TASK_ID", "0"))
    try:
        return _run(folder, submission, number)
    except UserError as error:
        log.error("%s", error)
        return error.exit_code


def _run(folder: SweepFolder, submission: str, number: int) -> int:
    intent = next(job for job in folder.jobs() if isinstance(job, Intent) and job.submission == submission)
    cluster = msgspec.convert(intent.cluster, Slurm)
    task = Task(folder, submission, number, _LogLines())
    task.job = _job()
    if task.package != intent.package:
        log.warning("the code has changed since this was submitted: %s, not %s", task.package, intent.package)
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        task.stop()

    with on_signals(stop, signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):
        task.run(populations_of(folder, intent.tasks[number]), allocated_resources(cluster))
    if not received:
        return WITH_FAILURES if task.failed else COMPLETE
    log.info("stopped by %s; what ran is saved", signal.Signals(received[0]).name)
    if signal.SIGUSR2 in received and not task.progress:
        log.error("the time limit is too short for an epoch: not requeued; see cluster.time_minutes")
    elif signal.SIGUSR2 in received or _is_preempted(task):
        _requeue(task)
    return 128 + received[0]


def allocated_resources(cluster: Slurm) -> Resources:
    """The part of the node that Slurm gave to this task."""
    megabytes = int(os.environ.get("SLURM_MEM_PER_NODE") or 0)
    megabytes = megabytes or int(os.environ.get("SLURM_MEM_PER_CPU") or 0) * cluster.cores
    given = megabytes * 2**20 or (cluster.memory_gb or 0) * 1e9
    return Resources(
        cores=cluster.cores,
        processes=None,
        threads=cluster.threads,
        memory=round(MEMORY_IN_USE * given) or None,
    )


def _job() -> str | None:
    """As `sacct` calls this task."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID")


def _is_preempted(task: Task) -> bool:
    """Whether Slurm, which told the task to end, still has it for running: it would not, were it cancelled.

    Within a partition's GraceTime, a preempted task that ends by itself counts as ended and is not queued again.
    """
    shown = _asked("squeue", "--noheader", "--format=%T", f"--jobs={task.job}")
    return shown.stdout.strip() == "RUNNING"


def _requeue(task: Task) -> None:
    done = _asked("scontrol", "requeue", str(task.job))
    log.info("requeued" if done.returncode == 0 else f"not requeued: {done.stderr.strip()}")


def _asked(*command: str) -> subprocess.CompletedProcess[str]:
    """What the scheduler answers; no answer is one that says so."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


class _LogLines:
    """Lines in the log, not too many."""

    def __init__(self) -> None:
        self._last = 0.0
        self._points = 0

    def progressed(self, worker: int, progress: Progress) -> None:
        if time.monotonic() - self._last > LOG_SECONDS:
            self._last = time.monotonic()
            log.info(
                "%d points finished; process %d: epoch %d of %d, %d networks",
                *(self._points, worker, progress.epoch, progress.epochs, progress.networks),
            )

    def finished(self, record: Record, curves: Curves | None) -> None:
        self._points += 1
        if record.status == "failed":
            log.error("point %s failed (%s): %s", record.point, record.reason, record.message)
