"""Whether a process still lives: its id alone could be another's by now, so its start counts too."""

from __future__ import annotations

import socket
from pathlib import Path


def started(pid: int) -> int | None:
    """When a process of this machine was started, in clock ticks since the machine's start; None: there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *others = stat.rpartition(")")[2].split()  # the name before may hold anything
    return None if state in "ZX" else int(others[18])  # fields 3 and 22 of proc(5)


def is_here(host: str) -> bool:
    """Whether a process of that host could be asked after."""
    return host == socket.gethostname()


def lives(host: str, pid: int, start: int) -> bool | None:
    """Whether the process that was started then still lives; None: it belongs to another host."""
    return started(pid) == start if is_here(host) else None
