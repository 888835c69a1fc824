"""Processes of this machine, told apart for ever: an id may come again, an id with its start does not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def start_of(pid: int) -> int | None:
    """When a process was started, in clock ticks since the machine's start; None where there is none (any more)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()  # what stands in brackets is the command, whatever its name
    return None if state in "ZX" else int(fields[18])


def this_process() -> tuple[int, int]:
    """Its id and its start."""
    pid = os.getpid()
    return pid, start_of(pid) or 0


@contextmanager
def on_signals(answer: Callable[[int], None], *signals: signal.Signals) -> Iterator[None]:
    """While it lasts, `answer` is called with the number of each of these signals."""
    before = {number: signal.signal(number, lambda got, _: answer(got)) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
