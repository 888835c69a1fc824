"""Answers to signals that hold for a while."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def on_signals(answer: Callable[[int], None], *signals: signal.Signals) -> Iterator[None]:
    """While it lasts, `answer` is called with the number of each of these signals."""
    before = {number: signal.signal(number, lambda got, _: answer(got)) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
