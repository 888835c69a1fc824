"""Handlers of signals for the duration of a `with` block. Imports nothing heavy.

`ttfsrun train`: SIGTERM raises `Terminated`; the training saves its checkpoint and the command exits with 143.
A sweep on this machine, and an array task of Slurm: the workers save their state, see `sweep/worker/crew.py`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from ttfsrun.errors import Terminated


@contextmanager
def on_signals(handler: Callable[[int], None], *signals: signal.Signals) -> Iterator[None]:
    """Call `handler` with the number of each of these signals that arrives during the block.

    A signal that this process was started to ignore (SIGHUP, under nohup) stays ignored.
    """
    handled = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda received, _: handler(received)) for number in handled}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def raise_terminated(number: int) -> NoReturn:
    """Raise Terminated, once: further signals of this kind are ignored while the state is saved."""
    signal.signal(number, signal.SIG_IGN)
    raise Terminated
