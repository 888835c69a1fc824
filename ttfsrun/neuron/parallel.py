"""Compiled kernels on several threads, each on its own range of independent items."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from itertools import pairwise
from threading import Lock

import torch

from ttfsrun.neuron.memory import keep_freed_memory

SMALLEST_SHARE = 4_000_000  # work for a thread, about a millisecond; below, starting it costs more than it saves
SHARES_PER_THREAD = 4

_threads = len(os.sched_getaffinity(0))


def get_threads() -> int:
    """On how many threads the kernels run at most; at first, on as many cores as the process may use."""
    return _threads


def set_threads(threads: int) -> None:
    """Let the kernels run on up to so many threads, of this process. No result depends on it.

    Apart from torch's own setting: where both use several, torch's threads wait busily for their next turn
    on the cores that the kernels need.
    """
    global _threads  # noqa: PLW0603
    if threads < 1:
        raise ValueError(f"threads={threads}: at least one is needed")
    _threads = threads


def use_threads(threads: int) -> None:
    """Let this process compute on up to so many threads: the kernels use them, torch, with little to do, one.

    Freed memory stays with the process (`keep_freed_memory`). Raises ValueError for less than one thread.
    """
    set_threads(threads)
    torch.set_num_threads(1)
    keep_freed_memory()


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """The waiting threads; a forked process makes its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="ttfsrun")


def for_ranges(task: Callable[[int, int], object], items: int, work: int) -> None:
    """Run task(low, high) over consecutive ranges that cover `items`, on up to get_threads() threads.

    work: in all, in synaptic events, to decide whether threads pay. The task releases the GIL and
    treats each item alone, so that the division never shows in the result.
    """
    threads = min(get_threads(), items, 1 + work // SMALLEST_SHARE)
    if threads <= 1:
        task(0, items)
        return
    shares = min(items, threads * SHARES_PER_THREAD)
    edges = [items * share // shares for share in range(shares + 1)]
    ranges = pairwise(edges)
    lock = Lock()

    def take_ranges() -> None:
        """Take ranges as long as there are any: a thread with quick ones takes more."""
        while True:
            with lock:
                taken = next(ranges, None)
            if taken is None:
                return
            task(*taken)

    others = [_pool(os.getpid(), get_threads()).submit(take_ranges) for _ in range(threads - 1)]
    try:
        take_ranges()
    finally:
        wait(others)
    for other in others:
        other.result()
