"""Threads for the compiled kernels, each working on its own ranges of independent items."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from itertools import pairwise
from threading import Lock

import torch

from ttfsrun.neuron.memory import keep_freed_memory

SMALLEST_SHARE = 4_000_000  # work that pays for one more thread, about a millisecond
SHARES_PER_THREAD = 4

_threads = len(os.sched_getaffinity(0))


def get_threads() -> int:
    """Return the largest number of threads that the kernels use; by default, the number of available cores."""
    return _threads


def set_threads(threads: int) -> None:
    """Set the largest number of threads that the kernels use in this process. No result depends on it.

    torch has its own setting. If torch also uses several threads, they wait busily on the cores that the kernels need.
    Raises ValueError for less than one thread.
    """
    global _threads  # noqa: PLW0603
    if threads < 1:
        raise ValueError(f"threads={threads}: must be at least 1")
    _threads = threads


def use_threads(threads: int) -> None:
    """Set the largest number of threads of this process: the kernels use them; torch, which has little to do, uses one.

    Freed memory stays with the process (`keep_freed_memory`). Raises ValueError for less than one thread.
    """
    set_threads(threads)
    torch.set_num_threads(1)
    keep_freed_memory()


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Return the pool of threads; a forked process creates its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="ttfsrun")


def for_ranges(task: Callable[[int, int], object], items: int, work: int) -> None:
    """Run task(low, high) over consecutive ranges that cover `items`, on up to get_threads() threads.

    work: total work in synaptic events, which decides how many threads are used. The task releases the GIL and
    treats each item separately, so the result does not depend on the division into ranges.
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
        """Process ranges until none is left."""
        while True:
            with lock:
                bounds = next(ranges, None)
            if bounds is None:
                return
            task(*bounds)

    others = [_pool(os.getpid(), get_threads()).submit(take_ranges) for _ in range(threads - 1)]
    try:
        take_ranges()
    finally:
        wait(others)
    for other in others:
        other.result()
