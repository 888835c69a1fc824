"""Array task of Slurm: computes one task of a submission.

Arguments: SWEEP_DIR SUBMISSION FIRST, where FIRST is the number of the array's first task.

On each of these signals, the workers save checkpoints of the trainings that run, and the task exits with 128 + the
number of the signal:

SIGUSR2  Slurm sends it shortly before the time limit. The task requeues itself. If it finished neither an epoch nor a
         point, it does not, since the next start would not get further.
SIGTERM  Slurm sends it to end the task, SIGKILL follows. If the task was preempted, it requeues itself; if it was
         cancelled, it does not. SIGINT does the same.

A requeued task resumes from the checkpoints.
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
from ttfsrun.config.environment import isolate_libraries
from ttfsrun.errors import COMPLETE, FAILED, WITH_FAILURES, UserError, as_user_error, log_to
from ttfsrun.results.record import Curves, Record
from ttfsrun.results.sweep_folder import Intent, SweepFolder
from ttfsrun.run.signals import on_signals
from ttfsrun.sweep.slurm_environment import command_environment
from ttfsrun.sweep.worker.crew import Resources
from ttfsrun.sweep.worker.gpus import gpus_for
from ttfsrun.sweep.worker.task import Task, populations_of
from ttfsrun.training.progress import Progress

log = logging.getLogger("ttfsrun")

MEMORY_SHARE = 0.95  # of the task's memory: above it, a worker is killed before Slurm kills the task
LOG_SECONDS = 60.0  # between two lines of progress
COMMAND_SECONDS = 60.0  # limit for a command of the scheduler


def main() -> int:
    """Run the array task that the arguments and the environment name; return the exit code."""
    log_to(sys.stderr, "%(asctime)s %(message)s", logging.INFO)
    path, submission, first = sys.argv[1:]
    folder = SweepFolder(Path(path))
    number = int(first) + int(os.environ.get("SLURM_ARRAY_TASK_ID", "0"))
    try:
        isolate_libraries()  # a job of an older version has not done so
        return _run(folder, submission, number)
    except (UserError, OSError, MemoryError) as error:
        known = as_user_error(error)
        log.error("%s", known)
        return known.exit_code if known else FAILED


def _run(folder: SweepFolder, submission: str, number: int) -> int:
    intent = _find_intent(folder, submission)
    cluster = msgspec.convert(intent.cluster, Slurm)
    task = Task(folder, submission, number, _LogObserver())
    task.job = _job_id()
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
    log.info("stopped by %s; unfinished trainings are saved", signal.Signals(received[0]).name)
    if signal.SIGUSR2 in received and not task.progress:
        log.error("the time limit is too short for an epoch: not requeued; see cluster.time_minutes")
    elif signal.SIGUSR2 in received or _is_preempted(task):
        _requeue(task)
    return 128 + received[0]


def _find_intent(folder: SweepFolder, submission: str) -> Intent:
    for entry in folder.jobs():
        if isinstance(entry, Intent) and entry.submission == submission:
            return entry
    raise UserError(f"{folder.jobs_file}: no submission {submission}")


def allocated_resources(cluster: Slurm) -> Resources:
    """Return the part of the node that Slurm allocated to this task, with the GPUs that torch sees there.

    Raises UserError where the task needs a GPU and torch sees none.
    """
    megabytes = int(os.environ.get("SLURM_MEM_PER_NODE") or 0)
    cores = int(os.environ.get("SLURM_CPUS_ON_NODE") or cluster.cores)  # of a whole node, all of them
    megabytes = megabytes or int(os.environ.get("SLURM_MEM_PER_CPU") or 0) * cores
    allocated = megabytes * 2**20 or (cluster.memory_gb or 0) * 1e9
    return Resources(
        cores=cluster.cores,
        processes=None,
        threads=cluster.threads,
        memory=round(MEMORY_SHARE * allocated) or None,
        gpus=gpus_for(cluster.device),
    )


def _job_id() -> str | None:
    """Return the id of this task as `sacct` shows it: 12_3, or 12 without an array."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID")


def _is_preempted(task: Task) -> bool:
    """Return whether the task was preempted, not cancelled: then squeue still lists it as running.

    Slurm does not requeue a preempted task that exits within the partition's GraceTime.
    """
    answer = _run_command("squeue", "--noheader", "--format=%T", f"--jobs={task.job}")
    return answer.stdout.strip() == "RUNNING"


def _requeue(task: Task) -> None:
    answer = _run_command("scontrol", "requeue", str(task.job))
    log.info("requeued" if answer.returncode == 0 else f"not requeued: {answer.stderr.strip()}")


def _run_command(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the scheduler; one that cannot run or takes too long counts as failed."""
    try:
        return subprocess.run(
            command,
            env=command_environment(),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


class _LogObserver:
    """Observer that logs failures, and progress at most once in LOG_SECONDS."""

    def __init__(self) -> None:
        self._last_time = 0.0
        self._points = 0

    def progressed(self, worker: int, progress: Progress) -> None:
        if time.monotonic() - self._last_time > LOG_SECONDS:
            self._last_time = time.monotonic()
            log.info(
                "%d points finished; process %d: epoch %d of %d, %d networks",
                *(self._points, worker, progress.epoch, progress.epochs, progress.networks),
            )

    def finished(self, record: Record, curves: Curves | None) -> None:
        self._points += 1
        if record.status == "failed":
            log.error("point %s failed (%s): %s", record.point, record.reason, record.message)
