"""The logs of points: which file a task wrote, and how it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ttfsrun.errors import UserError
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.sweep.monitor.status import SweepStatus

CHUNK = 64 * 1024  # bytes read at once, from the end


def log_path(folder: SweepFolder, job: str | None) -> Path | None:
    """What the array task `12_3` printed, as submitit names it; None: it has no log, or none any more."""
    if job is None:
        return None
    alone = job.removesuffix("_0")  # a job without an array
    names = [f"{name}_0_log.{kind}" for kind in ("out", "err") for name in dict.fromkeys([job, alone])]
    return next((path for path in (folder.slurm / name for name in names) if path.exists()), None)


def choose_points(states: SweepStatus, names: Sequence[str], failed: bool) -> list[str]:
    """The points whose logs are wanted: by id or the beginning of one, else those that failed, else those that run."""
    if names:
        return list(dict.fromkeys(_point(states, name) for name in names))
    return states.of("failed") or ([] if failed else states.of("running"))


def _point(states: SweepStatus, name: str) -> str:
    found = [point for point in states.points if point.startswith(name)]
    if name in found or len(found) == 1:
        return name if name in found else found[0]
    told = f"{len(found)} points begin so; give more of it" if found else "no point of this sweep begins so"
    raise UserError(f"{name}: {told}")


def log_texts(states: SweepStatus, points: Sequence[str], tail: int, each: bool) -> Iterator[str]:
    """What there is to read about points: their state, message, traceback, and the end of their log.

    each: one text for every point; else one for all that failed alike, or that share a log.
    """
    groups: dict[object, list[str]] = {}
    for point in points:
        state = states.points[point]
        alike = (state.reason, state.message) if state.kind == "failed" else log_path(states.folder, state.job)
        groups.setdefault(point if each else alike, []).append(point)
    for members in groups.values():
        yield "\n".join(_lines(states, members, tail))


def _lines(states: SweepStatus, points: Sequence[str], tail: int) -> Iterator[str]:
    first = points[0]
    state, record = states.points[first], states.records.get(first)
    others = f" (and {len(points) - 1} more like it)" if len(points) > 1 else ""
    job = f", job {state.job}" if state.job else ""
    yield f"point {first}{others}: " + (f"{state.kind}, {state.reason}" if state.reason else state.kind) + job
    if state.message:
        yield f"  {state.message}"
    is_its_own = record is not None and record.status == state.kind and record.message == state.message
    if record is not None and record.traceback and is_its_own:
        yield from (f"  {line}" for line in record.traceback.rstrip().splitlines())
    log = log_path(states.folder, state.job)
    if log is None:
        yield "  no log"
    else:
        yield f"log {log}"
        yield from (f"  {line}" for line in last_lines(log, tail))


def last_lines(path: Path, n: int) -> list[str]:
    """The last lines of a text file, which may be large; what a progress bar drew over is left out."""
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
