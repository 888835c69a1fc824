"""A worker: a process that computes one population after the other and tells its leader.

Its standard input brings assignments, its standard output takes messages (see `messages`); all else goes to
stderr. When its leader asks it to stop, or is gone, it saves its state and leaves.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import NoReturn

import msgspec

from ttfsrun.results.record import Curves, Record
from ttfsrun.run.train import share_cores
from ttfsrun.sweep.worker.execute import Site, execute
from ttfsrun.sweep.worker.messages import Assignment, Epoch, Finished, Greeting, Message, Ready

STOPPED = 128 + signal.SIGTERM


class Stopped(BaseException):
    """Asked to stop: whatever runs saves its state on the way out."""


def main() -> int:
    """Work until the leader closes the line."""
    for number in (signal.SIGINT, signal.SIGUSR2):  # a scheduler tells all processes of a task
        signal.signal(number, signal.SIG_IGN)  # it is the leader's to answer
    signal.signal(signal.SIGTERM, _stop)
    line = _Line()
    try:
        greeting = msgspec.json.decode(line.next(), type=Greeting)
        while words := line.next():
            assignment = msgspec.json.decode(words, type=Assignment)
            share_cores(assignment.threads)
            with line.working():
                execute(assignment.points, Site.of(greeting, assignment.threads), line)
            line.tell(Ready())
    except Stopped:
        return STOPPED
    except BrokenPipeError:  # the leader is gone
        return STOPPED
    return 0


def _stop(signum: int, frame: object) -> NoReturn:
    signal.signal(signum, signal.SIG_IGN)  # once is enough
    raise Stopped


class _Line:
    """The two pipes to the leader. A thread listens, so that the end of the leader is heard in the middle of work."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)  # whatever some library prints
        self._waiting: SimpleQueue[bytes] = SimpleQueue()
        self._is_working = False
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        heard = b""
        while words := os.read(0, 1 << 20):
            *lines, heard = (heard + words).split(b"\n")
            for line in lines:
                self._waiting.put(line)
        self._waiting.put(b"")
        if self._is_working:
            os.kill(os.getpid(), signal.SIGTERM)

    @contextmanager
    def working(self) -> Iterator[None]:
        """While it lasts, the end of the leader stops the work."""
        self._is_working = True
        yield
        self._is_working = False

    def next(self) -> bytes:
        """The next line; nothing at the end."""
        return self._waiting.get()

    def tell(self, message: Message) -> None:
        self._out.write(msgspec.json.encode(message) + b"\n")
        self._out.flush()

    def epoch(self, done: int, epochs: int, networks: int) -> None:
        self.tell(Epoch(done=done, epochs=epochs, networks=networks))

    def finished(self, record: Record, curves: Curves | None) -> None:
        self.tell(Finished(record=record, curves=curves))
