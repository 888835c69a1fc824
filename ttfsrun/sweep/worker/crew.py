"""The leader of a task: worker processes, each with one population at a time, watched until all points are recorded.

A worker that dies takes nothing with it but the running epochs: its population is computed again in halves, each
from the last checkpoint, until a point that kills every process is alone. That one is tried once more with the
machine to itself, then it has failed. The leader never imports torch.
"""

from __future__ import annotations

import os
import resource
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.worker.interpreter import python_command
from ttfsrun.sweep.worker.messages import Assignment, Finished, Greeting, Message, Observer
from ttfsrun.sweep.worker.site import Failure, Site
from ttfsrun.training.progress import Progress

Population = Sequence[SweepPoint]
POLL_SECONDS = 0.1  # seconds between two looks at the memory
MIN_WORKER_BYTES = 600_000_000  # bytes that a worker needs for anything
NEAR_LIMIT = 0.8  # share of a task's memory: a worker that holds so much and dies has died of that
THREAD_BYTES = 80_000_000  # bytes that each further thread reserves, and hardly uses
OUTLIER_FACTOR = 2.0  # times what workers hold on average: one with more is itself to blame
PATIENCE = 45.0  # seconds for a worker to save its state


@dataclass(frozen=True)
class Resources:
    """What a task may use of its machine."""

    cores: int
    processes: int | None  # at once; None: one for each core
    threads: int | None  # of each process; None: the cores are shared out
    memory: int | None  # bytes, of all processes; None: not watched

    def workers(self, populations: int) -> int:
        wanted = self.processes or max(1, self.cores // (self.threads or 1))
        return max(1, min(wanted, populations))

    def threads_of(self, workers: int) -> int:
        return self.threads or max(1, self.cores // workers)


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    points: dict[str, SweepPoint] = field(default_factory=dict)  # assigned, without a record yet
    busy: bool = False
    received: bytes = b""
    killed: str | None = None  # why the leader killed it
    peak: int = 0  # bytes of memory that it was seen to hold

    def send(self, message: msgspec.Struct) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has died: its other pipe says so, too
            self.process.stdin.write(msgspec.json.encode(message) + b"\n")
            self.process.stdin.flush()

    def close_pipes(self) -> None:
        """Close both pipes."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdout.close()
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    def resident(self) -> int:
        """Bytes of memory that it holds."""
        held = _resident(self.process.pid)
        self.peak = max(self.peak, held)
        return held

    def limit(self, memory: int) -> None:
        """Let it fail where it asks for more memory; where the system has no such limit, it is only watched."""
        with suppress(AttributeError, OSError, ValueError):
            resource.prlimit(self.process.pid, resource.RLIMIT_DATA, (memory, memory))


class Crew:
    """Workers of one task. `run` returns when every point has a record, or after `stop`."""

    def __init__(self, resources: Resources, greeting: Greeting, observer: Observer) -> None:
        self._resources, self._greeting, self._observer = resources, greeting, observer
        self._waiting: deque[list[SweepPoint]] = deque()
        self._alone: deque[list[SweepPoint]] = deque()
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._size = self._threads = 1
        self._stopping, self._deadline = False, 0.0

    def run(self, populations: Sequence[Population]) -> None:
        """Compute all populations, the first ones first."""
        self._waiting.extend(list(population) for population in populations)
        try:
            self._work(self._waiting, self._resources.workers(len(populations)))
            self._work(self._alone, 1)
        finally:
            self._dismiss(list(self._workers))

    def stop(self) -> None:
        """Ask all workers to save their states and leave. To be called from a signal handler."""
        if not self._stopping:
            self._stopping, self._deadline = True, time.monotonic() + PATIENCE
        for worker in list(self._workers):
            worker.process.terminate()

    def _work(self, queue: deque[list[SweepPoint]], size: int) -> None:
        self._size, self._threads = size, self._resources.threads_of(size)
        while not self._stopping and (queue or any(worker.busy for worker in self._workers)):
            self._assign(queue)
            for key, _ in self._selector.select(POLL_SECONDS):
                self._receive(key.data, last_chance=queue is self._alone)
            self._watch_memory()
        while self._stopping and time.monotonic() < self._deadline and any(worker.busy for worker in self._workers):
            self.stop()  # those, too, that have just been hired
            for key, _ in self._selector.select(POLL_SECONDS):
                self._receive(key.data, last_chance=False)

    def _assign(self, queue: deque[list[SweepPoint]]) -> None:
        idle = [worker for worker in self._workers if not worker.busy]
        while queue and (idle or len(self._workers) < self._size):
            worker = idle.pop() if idle else self._spawn()
            points = queue.popleft()
            worker.busy, worker.points = True, {point.point: point for point in points}
            worker.send(Assignment(points=points, threads=self._threads))
        while len(self._workers) > self._size and idle:
            self._dismiss([idle.pop()])

    def _spawn(self) -> _Worker:
        process = subprocess.Popen(
            python_command("ttfsrun.sweep.worker.process"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        worker = _Worker(process)
        if self._resources.memory is not None:
            memory = self._resources.memory - _resident(os.getpid())
            worker.limit(max(MIN_WORKER_BYTES, memory) + THREAD_BYTES * (self._threads - 1))
        assert process.stdout is not None
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        self._workers.append(worker)
        worker.send(self._greeting)
        return worker

    def _receive(self, worker: _Worker, *, last_chance: bool) -> None:
        assert worker.process.stdout is not None
        content = os.read(worker.process.stdout.fileno(), 1 << 20)
        if not content:
            self._handle_exit(worker, last_chance=last_chance)
            return
        *lines, worker.received = (worker.received + content).split(b"\n")
        for line in lines:
            message = msgspec.json.decode(line, type=Message)
            if isinstance(message, Progress):
                self._observer.progressed(worker.process.pid, message)
            elif isinstance(message, Finished):
                worker.points.pop(message.record.point, None)
                self._observer.finished(message.record, message.curves)
            else:
                worker.busy = False

    def _handle_exit(self, worker: _Worker, *, last_chance: bool) -> None:
        """A worker has died: its points are tried again by others, in smaller populations."""
        self._selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
        self._workers.remove(worker)
        worker.close_pipes()
        code, points = worker.process.wait(), list(worker.points.values())
        if not points or self._stopping:
            return
        trainings = list(dict.fromkeys(point.training for point in points))
        if len(trainings) > 1:
            first = set(trainings[: len(trainings) // 2])
            self._waiting.appendleft([point for point in points if point.training not in first])
            self._waiting.appendleft([point for point in points if point.training in first])
        elif not last_chance:
            self._alone.append(points)
        else:
            full = (
                self._resources.memory is not None and worker.peak > NEAR_LIMIT * self._resources.memory
            )  # some libraries abort
            memory = full or worker.killed is not None or code == -signal.SIGKILL
            message = worker.killed or f"its process died of {_describe_exit(code)}"
            failure = Failure("out of memory" if memory else "error", message, killed_worker=True)
            site = Site.of(self._greeting, threads=1)
            for point in points:
                self._observer.finished(site.failed(point, failure), None)

    def _watch_memory(self) -> None:
        """Too much in all: the largest worker goes, before a scheduler that looks now and then ends the whole task.

        If it holds no more than the others do, they are too many: none takes its place.
        """
        limit = self._resources.memory
        if limit is None:
            return
        held = {id(worker): worker.resident() for worker in self._workers}
        if held and _resident(os.getpid()) + sum(held.values()) > limit:
            largest = max(self._workers, key=lambda worker: held[id(worker)])
            if largest.killed is None:
                gigabytes = held[id(largest)] / 1e9
                largest.killed = f"its process held {gigabytes:.2f} GB of the {limit / 1e9:.2f} GB of the task"
                largest.process.kill()
                if held[id(largest)] < OUTLIER_FACTOR * sum(held.values()) / len(held):
                    self._size = max(1, self._size - 1)

    def _dismiss(self, workers: Sequence[_Worker]) -> None:
        """Close the lines to workers, which ends them; kill those that it does not end."""
        for worker in workers:
            self._workers.remove(worker)
            self._selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
            worker.close_pipes()
        deadline = time.monotonic() + PATIENCE
        for worker in workers:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()


def _resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _describe_exit(code: int) -> str:
    """How a process ended, in words."""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"
