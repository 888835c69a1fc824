"""Logs of points: the log file of a task, and its last lines."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ttfsrun.errors import UserError
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.sweep.monitor.status import SweepStatus

CHUNK = 64 * 1024  # bytes read at once, from the end


def log_path(folder: SweepFolder, job: str | None) -> Path | None:
    """Return the log of the array task `12_3`, under submitit's name for it; None: there is none."""
    if job is None:
        return None
    without_array = job.removesuffix("_0")
    names = [f"{name}_0_log.{kind}" for kind in ("out", "err") for name in dict.fromkeys([job, without_array])]
    return next((path for path in (folder.slurm / name for name in names) if path.exists()), None)


def choose_points(states: SweepStatus, names: Sequence[str], failed: bool) -> list[str]:
    """Return the points whose logs to show: those named (by id or prefix), else the failed, else the running ones."""
    if names:
        return list(dict.fromkeys(_point(states, name) for name in names))
    return states.of("failed") or ([] if failed else states.of("running"))


def _point(states: SweepStatus, name: str) -> str:
    matches = [point for point in states.points if point.startswith(name)]
    if name in matches:
        return name
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UserError(f"{name}: {len(matches)} points have ids that begin with this; give more of the id")
    raise UserError(f"{name}: no point of this sweep has an id that begins with this")


def log_texts(states: SweepStatus, points: Sequence[str], tail: int, each: bool) -> Iterator[str]:
    """Yield texts about points: their state, message, traceback, and the end of their log.

    each: one text for every point; otherwise one for all points with the same failure or the same log.
    """
    groups: dict[object, list[str]] = {}
    for point in points:
        state = states.points[point]
        shared = (state.reason, state.message) if state.kind == "failed" else log_path(states.folder, state.job)
        groups.setdefault(point if each else shared, []).append(point)
    for group in groups.values():
        yield "\n".join(_lines(states, group, tail))


def _lines(states: SweepStatus, points: Sequence[str], tail: int) -> Iterator[str]:
    first = points[0]
    state, record = states.points[first], states.records.get(first)
    others = f" (and {len(points) - 1} more like it)" if len(points) > 1 else ""
    job = f", job {state.job}" if state.job else ""
    yield f"point {first}{others}: " + (f"{state.kind}, {state.reason}" if state.reason else state.kind) + job
    if state.message:
        yield f"  {state.message}"
    is_current = record is not None and record.status == state.kind and record.message == state.message
    if record is not None and record.traceback and is_current:
        yield from (f"  {line}" for line in record.traceback.rstrip().splitlines())
    log = log_path(states.folder, state.job)
    if log is None:
        yield "  no log"
    else:
        yield f"log {log}"
        yield from (f"  {line}" for line in last_lines(log, tail))


def last_lines(path: Path, n: int) -> list[str]:
    """Return the last n lines of a text file of any size, without what a carriage return overwrote."""
    with path.open("rb") as stream:
        start, content = stream.seek(0, os.SEEK_END), b""
        while start > 0 and content.count(b"\n") <= n:
            size = min(CHUNK, start)
            start -= size
            stream.seek(start)
            content = stream.read(size) + content
    lines = content.decode(errors="replace").split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    return [line.rstrip("\r").rpartition("\r")[2] for line in lines[-n:]] if n else []
