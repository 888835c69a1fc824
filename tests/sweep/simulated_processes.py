"""Simulated processes: leaders and workers of array tasks that run a step at a time, so that a seed decides everything.

The code of the leader and of the worker is the real one. Only what the system provides is replaced: processes are
threads of which one runs at a time, a kill lets a thread never run again, and a signal is a call between two steps.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec

from ttfsrun.errors import TERMINATED, Terminated
from ttfsrun.neuron import use_threads
from ttfsrun.results.record import Curves, Record
from ttfsrun.sweep.worker.execute import execute
from ttfsrun.sweep.worker.messages import Assignment, Finished, Greeting, Ready
from ttfsrun.sweep.worker.site import Site
from ttfsrun.training.progress import Progress

KILLED = -int(signal.SIGKILL)


class Discarded(BaseException):
    """Raised in a process that was killed, at the end of the simulation, so that its thread ends."""


class Process:
    """A function in a thread that runs only while `step` waits for it, and pauses where the function says so."""

    def __init__(self, main: Callable[[], int]) -> None:
        self.exit_code: int | None = None
        self._main = main
        self._error: BaseException | None = None
        self._interrupt: BaseException | None = None
        self._go, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def step(self) -> None:
        """Run to the next pause, or to the end. A process that has ended does nothing."""
        if self.exit_code is None:
            self._resume()

    def pause(self) -> None:
        """Let `step` return; called by the function itself."""
        self._paused.release()
        self._go.acquire()
        interrupt, self._interrupt = self._interrupt, None
        if interrupt is not None:
            raise interrupt

    def interrupt(self, error: BaseException) -> None:
        """Raise an error in the process at its next step."""
        self._interrupt = self._interrupt or error

    def kill(self, code: int = KILLED) -> None:
        """End the process: it never runs again."""
        if self.exit_code is None:
            self.exit_code = code

    def discard(self) -> None:
        """End the thread of a process that was killed."""
        while self._thread.is_alive():
            self._interrupt = Discarded()
            self._resume()

    def _resume(self) -> None:
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._go.release()
        self._paused.acquire()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            code = self._main()
            self.kill(code)
        except Discarded:
            pass
        except BaseException as error:  # noqa: BLE001  # `step` raises it in the test
            self._error = error
            self.kill(1)
        self._paused.release()


class WorkerProcess:
    """Takes the place of the `subprocess.Popen` of a worker: the same messages, through a real pipe."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        read, self._messages = os.pipe()
        self.stdin, self.stdout = self, os.fdopen(read, "rb", buffering=0)
        self.process = Process(self._serve)
        self._lines: deque[bytes] = deque()
        self._closed = self._told = False

    # ---- what the leader does with it

    def write(self, line: bytes) -> None:
        if self.process.exit_code is not None:
            raise BrokenPipeError
        self._lines.append(line)

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        """End the worker's input: it saves its state if it computes, and exits."""
        self._closed = True

    def terminate(self) -> None:
        if not self._told:  # further signals are ignored while the state is saved
            self._told = True
            self.process.interrupt(Terminated())

    def kill(self) -> None:
        self.process.kill()

    def wait(self, timeout: float | None = None) -> int:
        if self._closed and self.process.exit_code is None:
            self.terminate()
        while self.process.exit_code is None:
            self.process.step()
        self._hang_up()
        return self.process.exit_code

    # ---- what the simulation does with it

    def discard(self) -> None:
        """End its thread, and close its pipe."""
        self.process.discard()
        self._hang_up()
        self.stdout.close()

    def step(self) -> None:
        self.process.step()
        if self.process.exit_code is not None:
            self._hang_up()

    def has_output(self) -> bool:
        """Whether the leader can read a message, or the end."""
        return bool(select.select([self.stdout], [], [], 0)[0])

    def _hang_up(self) -> None:
        if self._messages >= 0:
            os.close(self._messages)
            self._messages = -1

    # ---- what it computes

    def _serve(self) -> int:
        try:
            greeting = msgspec.json.decode(self._next_line(), type=Greeting)
            while True:
                assignment = msgspec.json.decode(self._next_line(), type=Assignment)
                use_threads(assignment.threads)
                execute(assignment.points, Site.of(greeting, assignment.threads), self)
                self._send(Ready())
        except Terminated:
            return TERMINATED

    def _next_line(self) -> bytes:
        while not self._lines:
            self.process.pause()
        return self._lines.popleft()

    def progressed(self, worker: int, progress: Progress) -> None:
        self._send(progress)

    def finished(self, record: Record, curves: Curves | None) -> None:
        self._send(Finished(record=record, curves=curves))

    def _send(self, message: msgspec.Struct) -> None:
        if self._messages < 0:
            raise BrokenPipeError
        os.write(self._messages, msgspec.json.encode(message) + b"\n")
        self.process.pause()


class Selector:
    """Takes the place of the leader's selector: each call is one step of the leader, and of each of its workers."""

    def __init__(self, leader: Callable[[], Process]) -> None:
        self._leader = leader
        self._workers: dict[Any, Any] = {}

    def register(self, stdout: Any, events: int, worker: Any) -> None:
        self._workers[stdout] = worker

    def unregister(self, stdout: Any) -> None:
        del self._workers[stdout]

    def select(self, timeout: float) -> list[tuple[SimpleNamespace, int]]:
        self._leader().pause()
        for worker in list(self._workers.values()):
            worker.process.step()
        ready = [worker for worker in self._workers.values() if worker.process.has_output()]
        return [(SimpleNamespace(data=worker), 1) for worker in ready]


def popen(start: Callable[[], WorkerProcess]) -> SimpleNamespace:
    """Return what takes the place of the module `subprocess` for a leader."""
    return SimpleNamespace(
        Popen=lambda *args, **kwargs: start(), PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired
    )
