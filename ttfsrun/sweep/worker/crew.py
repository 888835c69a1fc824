"""Worker processes of a task, which its leader starts, gives one population at a time, and watches.

A worker that dies costs only the epochs since its last checkpoint: its population is split in halves, which other
workers resume from that checkpoint. A training whose worker dies although it is alone in its population is tried once
more with no other worker running; if that worker also dies, its points fail. On GPUs, each worker has one of its own.
The leader never imports torch.
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
from ttfsrun.run.devices import VISIBLE, Gpu
from ttfsrun.sweep.worker.interpreter import python_command
from ttfsrun.sweep.worker.messages import Assignment, Finished, Greeting, Message, Observer
from ttfsrun.sweep.worker.site import Failure, Site
from ttfsrun.training.progress import Progress

Population = Sequence[SweepPoint]
POLL_SECONDS = 0.1  # between two checks of the memory
MIN_WORKER_BYTES = 600_000_000  # needed by any worker
NEAR_LIMIT = 0.8  # share of a task's memory: a worker that held more and died counts as out of memory
THREAD_BYTES = 80_000_000  # reserved by each further thread, and hardly used
OUTLIER_FACTOR = 2.0  # times the workers' mean memory: a worker above it is the cause of a shortage
SAVE_SECONDS = 45.0  # for a worker to save its state


@dataclass(frozen=True)
class Resources:
    """Share of the machine that a task may use."""

    cores: int
    processes: int | None  # at once; None: one for each core
    threads: int | None  # of each process; None: the cores are divided among them
    memory: int | None  # bytes, of all processes; None: not watched
    gpus: Sequence[Gpu] = ()  # one for each process; none: train on the cores

    @property
    def most_workers(self) -> int:
        """The number of workers where there are as many populations."""
        if self.gpus:
            return min(len(self.gpus), self.processes or len(self.gpus))
        return self.processes or max(1, self.cores // (self.threads or 1))

    def workers(self, populations: int) -> int:
        """Return the number of workers for so many populations."""
        return max(1, min(self.most_workers, populations))

    def threads_of(self, workers: int) -> int:
        """Return the number of threads of each of so many workers."""
        return self.threads or max(1, self.cores // workers)


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    gpu: Gpu | None = None  # that it has for itself; None: it trains on cores
    points: dict[str, SweepPoint] = field(default_factory=dict)  # assigned, without a record yet
    busy: bool = False
    received: bytes = b""
    killed: str | None = None  # why the leader killed it
    peak: int = 0  # largest memory measured, in bytes

    def send(self, message: msgspec.Struct) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has died, which its other pipe also shows
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
        """Return the memory that it holds, in bytes, and update its peak."""
        size = _resident(self.process.pid)
        self.peak = max(self.peak, size)
        return size

    def limit(self, memory: int) -> None:
        """Make allocations beyond a limit fail, on systems that support it."""
        with suppress(AttributeError, OSError, ValueError):
            resource.prlimit(self.process.pid, resource.RLIMIT_DATA, (memory, memory))


class Crew:
    """Workers of one task."""

    def __init__(self, resources: Resources, greeting: Greeting, observer: Observer) -> None:
        self._resources, self._greeting, self._observer = resources, greeting, observer
        self._waiting: deque[list[SweepPoint]] = deque()
        self._alone: deque[list[SweepPoint]] = deque()
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._size = self._threads = 1
        self._stopping, self._deadline = False, 0.0

    def run(self, populations: Sequence[Population]) -> None:
        """Compute all populations, in their order; return when every point has a record, or after `stop`."""
        self._waiting.extend(list(population) for population in populations)
        try:
            self._work(self._waiting, self._resources.workers(len(populations)))
            self._work(self._alone, 1)
        finally:
            self._dismiss(list(self._workers))

    def stop(self) -> None:
        """Ask all workers to save their states and exit. May be called from a signal handler."""
        if not self._stopping:
            self._stopping, self._deadline = True, time.monotonic() + SAVE_SECONDS
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
            self.stop()  # also workers that were started meanwhile
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
        gpu = next((gpu for gpu in self._resources.gpus if all(gpu != worker.gpu for worker in self._workers)), None)
        process = subprocess.Popen(
            python_command("ttfsrun.sweep.worker.process"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env=None if gpu is None else os.environ | {VISIBLE: gpu.visible_as},
        )
        worker = _Worker(process, gpu)
        if self._resources.memory is not None and gpu is None:  # CUDA reserves far more than it uses
            memory = self._resources.memory - _resident(os.getpid())
            worker.limit(max(MIN_WORKER_BYTES, memory) + THREAD_BYTES * (self._threads - 1))
        assert process.stdout is not None
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        self._workers.append(worker)
        worker.send(self._greeting_of(worker))
        return worker

    def _greeting_of(self, worker: _Worker) -> Greeting:
        return self._greeting if worker.gpu is None else msgspec.structs.replace(self._greeting, device=worker.gpu.name)

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
        """Put the points of a worker that died back into a queue, in smaller populations, or record their failure."""
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
            limit = self._resources.memory
            near_limit = limit is not None and worker.peak > NEAR_LIMIT * limit  # some libraries abort
            memory = near_limit or worker.killed is not None or code == -signal.SIGKILL
            message = worker.killed or f"its process died of {_describe_exit(code)}"
            failure = Failure("out of memory" if memory else "error", message, killed_worker=True)
            site = Site.of(self._greeting_of(worker), threads=1)
            for point in points:
                self._observer.finished(site.failed(point, failure), None)

    def _watch_memory(self) -> None:
        """Kill the largest worker where all together exceed the limit, before the scheduler kills the whole task.

        If it is no outlier, there are too many workers: none replaces it.
        """
        limit = self._resources.memory
        if limit is None:
            return
        sizes = {id(worker): worker.resident() for worker in self._workers}
        if sizes and _resident(os.getpid()) + sum(sizes.values()) > limit:
            largest = max(self._workers, key=lambda worker: sizes[id(worker)])
            if largest.killed is None:
                gigabytes = sizes[id(largest)] / 1e9
                largest.killed = f"its process held {gigabytes:.2f} GB of the {limit / 1e9:.2f} GB of the task"
                largest.process.kill()
                if sizes[id(largest)] < OUTLIER_FACTOR * sum(sizes.values()) / len(sizes):
                    self._size = max(1, self._size - 1)

    def _dismiss(self, workers: Sequence[_Worker]) -> None:
        """Close the pipes of workers, which makes them exit; kill those that do not."""
        for worker in workers:
            self._workers.remove(worker)
            self._selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
            worker.close_pipes()
        deadline = time.monotonic() + SAVE_SECONDS
        for worker in workers:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()


def _resident(pid: int) -> int:
    """Return the memory that a process holds, in bytes; 0 where it has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _describe_exit(code: int) -> str:
    """Return the name of the signal, or the exit code, that ended a process."""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"
