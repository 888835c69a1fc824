"""Answers to signals that hold for a while."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def on_signals(answer: Callable[[int], None], *signals: signal.Signals) -> Iterator[None]:
    """While it lasts, `answer` is called with the number of each of these signals.

    A signal that this process was started to ignore (a hang-up, under nohup) stays ignored.
    """
    heard = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda got, _: answer(got)) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
