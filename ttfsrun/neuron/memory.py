"""Memory settings for a process that allocates large arrays of the same size in every step."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h
KEPT_BYTES = 1 << 30  # arrays and free memory up to this size are kept


def keep_freed_memory() -> None:
    """Keep freed memory in the process for the next array, if the C library is glibc.

    By default, glibc returns large arrays to the system at once, which then clears every page again: a tenth of the
    time of a training. With this setting, the process does not shrink.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # not glibc
    for parameter, value in ((M_MMAP_THRESHOLD, KEPT_BYTES), (M_TRIM_THRESHOLD, KEPT_BYTES), (M_TOP_PAD, 64 << 20)):
        mallopt(parameter, value)
