"""Worker: a process that computes one population after the other for its leader.

It reads assignments from standard input and writes messages to standard output (see `messages`); all other output
goes to standard error. On SIGTERM, or when its leader has ended, it saves its state and exits.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import msgspec

from ttfsrun.errors import TERMINATED, Terminated
from ttfsrun.neuron import use_threads
from ttfsrun.results.record import Curves, Record
from ttfsrun.run.signals import on_signals, raise_terminated
from ttfsrun.sweep.worker.execute import execute
from ttfsrun.sweep.worker.messages import Assignment, Finished, Greeting, Message, Ready
from ttfsrun.sweep.worker.site import Site
from ttfsrun.training.progress import Progress


def main() -> int:
    """Compute assignments until the leader closes the connection; return the exit code."""
    for number in (signal.SIGINT, signal.SIGUSR2):  # a scheduler signals all processes of a task
        signal.signal(number, signal.SIG_IGN)  # the leader handles it
    leader = _Connection()
    try:
        with on_signals(raise_terminated, signal.SIGTERM):
            greeting = msgspec.json.decode(leader.receive(), type=Greeting)
            while line := leader.receive():
                assignment = msgspec.json.decode(line, type=Assignment)
                use_threads(assignment.threads)
                with leader.working():
                    execute(assignment.points, Site.of(greeting, assignment.threads), leader)
                leader.send(Ready())
    except (Terminated, BrokenPipeError):  # a broken pipe: the leader has ended
        return TERMINATED
    return 0


class _Connection:
    """The two pipes to the leader. A thread reads, so that the end of the leader is noticed during a computation."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)  # output of libraries goes to standard error
        self._received: SimpleQueue[bytes] = SimpleQueue()
        self._is_working = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        rest = b""
        while content := os.read(0, 1 << 20):
            *lines, rest = (rest + content).split(b"\n")
            for line in lines:
                self._received.put(line)
        self._received.put(b"")
        if self._is_working:
            os.kill(os.getpid(), signal.SIGTERM)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Terminate the computation in the block if the leader ends."""
        self._is_working = True
        yield
        self._is_working = False

    def receive(self) -> bytes:
        """Wait for the next line and return it; empty at the end."""
        return self._received.get()

    def send(self, message: Message) -> None:
        self._out.write(msgspec.json.encode(message) + b"\n")
        self._out.flush()

    def progressed(self, worker: int, progress: Progress) -> None:
        self.send(progress)

    def finished(self, record: Record, curves: Curves | None) -> None:
        self.send(Finished(record=record, curves=curves))
