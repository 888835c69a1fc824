"""Whether a process still lives, by its id and its start time, since ids are reused."""

from __future__ import annotations

import socket
from pathlib import Path


def started(pid: int) -> int | None:
    """Return the start of a process on this machine, in clock ticks since boot; None: it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *others = stat.rpartition(")")[2].split()  # the name before it may contain spaces and brackets
    return None if state in "ZX" else int(others[18])  # fields 3 and 22 of proc(5)


def is_here(host: str) -> bool:
    """Return whether the host is this machine, whose processes can be inspected."""
    return host == socket.gethostname()


def lives(host: str, pid: int, start: int) -> bool | None:
    """Return whether the process with this id and start still lives; None: it is on another host."""
    return started(pid) == start if is_here(host) else None
