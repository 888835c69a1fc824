"""A sweep on this machine: one task, in the foreground, with a display on a terminal and lines elsewhere."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ttfsrun.config.cluster import Debug, Local
from ttfsrun.results.record import Record
from ttfsrun.results.sweep_folder import CannotWrite, Ended, SweepFolder
from ttfsrun.sweep.worker.crew import Share
from ttfsrun.sweep.worker.signals import on_signals
from ttfsrun.sweep.worker.task import Task, populations_of

log = logging.getLogger(__name__)

NEWS_SECONDS = 30.0


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def share_of(cluster: Local | Debug) -> Share | int:
    """What a sweep takes of this machine; for a debugger, only its threads."""
    if isinstance(cluster, Debug):
        return cluster.threads or cores()
    memory = None if cluster.memory_gb is None else round(cluster.memory_gb * 1e9)
    return Share(cores=cores(), processes=cluster.processes, threads=cluster.threads, memory=memory)


def run(folder: SweepFolder, submission: str, populations: list[list[str]], cluster: Local | Debug) -> bool:
    """Compute the populations; whether it came to its end, or was interrupted."""
    told: list[int] = []
    n_points = sum(map(len, populations))
    with _shown(n_points) as show:
        task = Task(folder, submission, 0, show)

        def stop(number: int) -> None:
            told.append(number)
            task.stop()

        try:
            with on_signals(stop, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                task.run(populations_of(folder, populations), share_of(cluster))
        except KeyboardInterrupt:
            told.append(signal.SIGINT)  # in the process itself, that is how it stops
        finally:
            with suppress(CannotWrite):  # that its process has ended says as much
                folder.note(Ended(submission=submission, time=time.time(), why="interrupted" if told else "done"))
    return not told


class _Show:
    """Points done of all, and how far the running populations are."""

    def __init__(self, progress: Progress, bar: TaskID, points: int) -> None:
        self._progress, self._bar, self._points = progress, bar, points
        self._running: dict[int, str] = {}
        self._done = self._failed = 0
        self._last = time.monotonic()

    def epoch(self, worker: int, done: int, epochs: int, networks: int) -> None:
        self._running[worker] = f"{networks} networks {done}/{epochs}" if done < epochs else "evaluating"
        self._tell()

    def finished(self, record: Record) -> None:
        self._done += 1
        if record.status == "failed":
            self._failed += 1
            log.error("point %s failed (%s): %s", record.point, record.reason, record.message)
        self._tell()

    def _tell(self) -> None:
        failed = f"{self._failed} failed  " if self._failed else ""
        self._progress.update(self._bar, completed=self._done, news=failed + ", ".join(self._running.values()))
        if self._progress.disable and time.monotonic() - self._last > NEWS_SECONDS:
            self._last = time.monotonic()
            counts = f"{self._done} of {self._points} points" + (f", {self._failed} failed" if self._failed else "")
            log.info("%s; running: %s", counts, ", ".join(self._running.values()))


@contextmanager
def _shown(points: int) -> Iterator[_Show]:
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("points"),
        MofNCompleteColumn(),
        BarColumn(bar_width=20),
        TimeRemainingColumn(),
        TextColumn("{task.fields[news]}"),
        console=console,
        refresh_per_second=4,
        disable=not (console.is_terminal and console.file.isatty()),
    )
    with progress:
        yield _Show(progress, progress.add_task("", total=points, news=""), points)
