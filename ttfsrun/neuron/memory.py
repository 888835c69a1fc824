"""The memory of a process that makes the same large arrays again in every step."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h
LARGEST = 1 << 30


def keep_freed_memory() -> None:
    """Let freed memory wait for the next array instead of going back to the system, where the C library can.

    By default, glibc returns large arrays at once, and the system clears every page anew: a tenth of the time
    of a training. The process stays as large as it once was.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # not glibc: nothing to gain, nothing lost
    for parameter, value in ((M_MMAP_THRESHOLD, LARGEST), (M_TRIM_THRESHOLD, LARGEST), (M_TOP_PAD, 64 << 20)):
        mallopt(parameter, value)
