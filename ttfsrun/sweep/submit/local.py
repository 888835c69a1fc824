"""A sweep on this machine: one task, in the foreground, with a progress bar on a terminal and log lines elsewhere."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from rich.progress import MofNCompleteColumn, Progress, TextColumn

from ttfsrun.config.cluster import Debug, Local
from ttfsrun.errors import CannotWrite
from ttfsrun.results.record import CPU, Curves, Record
from ttfsrun.results.sweep_folder import Ended, SweepFolder
from ttfsrun.run.devices import Gpu
from ttfsrun.run.progress import terminal_progress
from ttfsrun.run.signals import on_signals
from ttfsrun.sweep.worker.crew import Resources
from ttfsrun.sweep.worker.in_process import ThisProcess
from ttfsrun.sweep.worker.task import Task, populations_of
from ttfsrun.training.progress import Progress as TrainingProgress

log = logging.getLogger(__name__)

LOG_SECONDS = 30.0


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def local_resources(cluster: Local | Debug, gpus: Sequence[Gpu]) -> Resources | ThisProcess:
    """Return the resources of this machine that a sweep uses. gpus: those to train on; none: train on the cores."""
    if isinstance(cluster, Debug):
        return ThisProcess(cluster.threads or available_cores(), gpus[0].name if gpus else CPU)
    return Resources(
        cores=available_cores(),
        processes=cluster.processes,
        threads=cluster.threads,
        memory=None if cluster.memory_gb is None else round(cluster.memory_gb * 1e9),
        gpus=gpus,
    )


def run_locally(
    folder: SweepFolder, submission: str, populations: list[list[str]], resources: Resources | ThisProcess
) -> bool:
    """Compute the populations. Return False where the task was interrupted."""
    received: list[int] = []
    bar = terminal_progress(TextColumn("points"), MofNCompleteColumn())
    with bar:
        task = Task(folder, submission, 0, _Display(bar, sum(map(len, populations))))

        def stop(number: int) -> None:
            received.append(number)
            task.stop()

        try:
            with on_signals(stop, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                task.run(populations_of(folder, populations), resources)
        except KeyboardInterrupt:
            received.append(signal.SIGINT)  # raised by a task in this process that is stopped
        finally:
            with suppress(CannotWrite):  # that the process has ended shows the same
                why: Literal["interrupted", "done"] = "interrupted" if received else "done"
                folder.note(Ended(submission=submission, time=time.time(), why=why))
    return not received


class _Display:
    """Number of finished points and progress of the running populations: a live bar, or lines in the log."""

    def __init__(self, bar: Progress, points: int) -> None:
        self._bar, self._points = bar, points
        self._task = bar.add_task("", total=points, text="")
        self._running: dict[int, str] = {}
        self._finished = self._failed = 0
        self._last = time.monotonic()

    def progressed(self, worker: int, progress: TrainingProgress) -> None:
        """Show how far a worker's population is."""
        trained = progress.epoch == progress.epochs
        self._running[worker] = (
            "evaluating" if trained else f"{progress.networks} networks {progress.epoch}/{progress.epochs}"
        )
        self._show()

    def finished(self, record: Record, curves: Curves | None) -> None:
        """Count a point, and log its failure."""
        self._finished += 1
        if record.status == "failed":
            self._failed += 1
            log.error("point %s failed (%s): %s", record.point, record.reason, record.message)
        self._show()

    def _show(self) -> None:
        running = ", ".join(self._running.values())
        failed = f"{self._failed} failed  " if self._failed else ""
        self._bar.update(self._task, completed=self._finished, text=failed + running)
        if self._bar.disable and time.monotonic() - self._last > LOG_SECONDS:
            self._last = time.monotonic()
            finished = f"{self._finished} of {self._points} points" + (
                f", {self._failed} failed" if self._failed else ""
            )
            log.info("%s; running: %s", finished, running)
