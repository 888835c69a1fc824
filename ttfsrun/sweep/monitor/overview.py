"""How a sweep is doing, for reading, for a script, and live."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ttfsrun.errors import INCOMPLETE, Reason
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.sweep.monitor.logs import log_path
from ttfsrun.sweep.monitor.scheduler import Scheduler
from ttfsrun.sweep.monitor.status import ALIVE, STATUSES, SweepStatus, sweep_status
from ttfsrun.sweep.monitor.submissions import concurrency

if TYPE_CHECKING:
    from rich.live import Live

WIDEST = 100  # of a message
USUAL = ("None", "Priority", "Resources", "JobArrayTaskLimit", "Dependency", "BeginTime")  # reasons to wait
SHOWN = 10  # groups of failures


class AlikeFailures(msgspec.Struct, frozen=True):
    """Points that failed alike."""

    reason: Reason | None
    message: str
    points: int
    example: str  # one of the points
    log: str | None  # of the example


@dataclass(frozen=True)
class StatusReport:
    """The numbers that a status tells."""

    states: SweepStatus

    @property
    def failures(self) -> list[AlikeFailures]:
        """Grouped by reason and message, the largest group first."""
        groups: dict[tuple[Reason | None, str], list[str]] = {}
        for point in self.states.of("failed"):
            state = self.states.points[point]
            groups.setdefault((state.reason, headline(state.message)), []).append(point)
        return [
            AlikeFailures(reason, message, len(points), points[0], self._log(points[0]))
            for (reason, message), points in sorted(groups.items(), key=lambda group: -len(group[1]))
        ]

    def _log(self, point: str) -> str | None:
        log = log_path(self.states.folder, self.states.points[point].job)
        return None if log is None else str(log)

    @property
    def cores(self) -> int:
        """In use by the tasks that run."""
        cores = {each.token: concurrency(each.intent)[1] for each in self.states.live()}
        return sum(cores[submission.token] for submission, _ in self.states.units("running"))

    @property
    def seconds_left(self) -> float | None:
        """Until what was submitted is done, if it goes on as so far with the cores in use; None: nobody can say."""
        done = [record.execution for record in self.states.records.values() if record.status == "done"]
        remaining = len(self.states.of(*ALIVE))
        if not done or not remaining or not self.cores:
            return None
        per_point = sum(execution.seconds * execution.threads for execution in done) / len(done)
        return per_point * remaining / self.cores

    @property
    def next_command(self) -> str | None:
        """What to do about it; None: wait, or look into what is unknown."""
        folder, counts = shlex.quote(str(self.states.folder.path)), self.states.counts()
        if any(counts[kind] for kind in (*ALIVE, "unknown")):
            return None
        return f"ttfsrun {'retry' if counts['missing'] or counts['failed'] else 'gather'} {folder}"

    def as_json(self) -> dict[str, Any]:
        """One object for a script; states by point too, of those that are not done."""
        counts = self.states.counts()
        undone = self.states.of(*(kind for kind in STATUSES if kind != "done"))
        return {
            "folder": str(self.states.folder.path),
            "points": len(self.states.points),
            **{kind: counts[kind] for kind in STATUSES},
            "failures": msgspec.to_builtins(self.failures),
            "units_running": len(self.states.units("running")),
            "units_queued": len(self.states.units("queued")),
            "cores": self.cores,
            "seconds_left": self.seconds_left,
            "notes": list(self.states.notes),
            "next": self.next_command,
            "exit_code": self.states.exit_code,
            "not_done": {point: msgspec.to_builtins(self.states.points[point]) for point in undone},
        }

    def as_lines(self) -> Iterator[str]:
        """For reading."""
        counts, total = self.states.counts(), len(self.states.points)
        yield f"{self.states.folder.path}: {counts['done']} of {total} points done"
        kinds = [kind for kind in STATUSES if counts[kind] or kind == "done"]
        width = max(len(str(counts[kind])) for kind in kinds)
        yield from (f"  {kind:<10}  {counts[kind]:>{width}}  {counts[kind] / max(1, total):6.1%}" for kind in kinds)
        yield from self._lines_of_failures()
        units = {kind: len(self.states.units(kind)) for kind in ("running", "queued")}
        if any(units.values()):
            told = ", ".join(f"{n} {kind}" for kind, n in units.items() if n)
            yield f"{self._name_of_units()}: {told}; {self.cores} cores in use"
        yield from (f"waits: {n} tasks, {why}" for why, n in self._waiting().items())
        if self.seconds_left is not None:
            yield f"time left: about {duration(self.seconds_left)}"
        yield from (f"not found out: {note}" for note in [*self.states.notes, *self._unknown()])
        if self.states.counts()["unknown"]:
            where = shlex.quote(str(self.states.folder.path))
            yield f"if you know that what is unknown does not run: ttfsrun cancel {where} --lost"
        if self.next_command:
            yield f"next: {self.next_command}"

    def _lines_of_failures(self) -> Iterator[str]:
        failures = self.failures
        for group in failures[:SHOWN]:
            yield f"failed: {group.points} x {group.reason}: {group.message}"
            yield f"        e.g. point {group.example}" + (f", log {group.log}" if group.log else "")
        if len(failures) > SHOWN:
            yield f"        and {len(failures) - SHOWN} other kinds; ttfsrun logs --failed shows them"

    def _name_of_units(self) -> str:
        on_slurm = {each.on_slurm for each in self.states.live()}
        return "tasks" if on_slurm == {True} else "populations" if on_slurm == {False} else "tasks and populations"

    def _waiting(self) -> Counter[str]:
        """Why array tasks wait, where it is more than for others to end."""
        queued = [(fate.message or "").partition(": ") for each, fate in self.states.units("queued") if each.on_slurm]
        return Counter(f"{state.lower()}: {why}" for state, _, why in queued if why not in ("", *USUAL))

    def _unknown(self) -> list[str]:
        """What stands behind the points whose state is unknown."""
        messages = {self.states.points[point].message for point in self.states.of("unknown")}
        return sorted(message for message in messages if message and message not in "; ".join(self.states.notes))


def headline(text: str | None) -> str:
    """The first line of a message, not too long."""
    first = (text or "").strip().partition("\n")[0]
    return first if len(first) <= WIDEST else first[: WIDEST - 3] + "..."


def duration(seconds: float) -> str:
    """`42 s`, `17 min`, `3 h 20 min`, `2 d 5 h`."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    if minutes < 100:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def watch_status(folder: SweepFolder, seconds: float, scheduler: Scheduler | None = None) -> int:
    """Tell again and again until nothing is left to wait for: in place on a terminal, else a line for each change."""
    if not sys.stdout.isatty():
        return _follow(folder, seconds, scheduler)
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(), auto_refresh=False) as live:
        while True:
            code = _redraw(live, sweep_status(folder, scheduler))
            if code is not None:
                return code
            time.sleep(seconds)


def _redraw(live: Live, now: SweepStatus) -> int | None:
    from rich.text import Text

    live.update(Text("\n".join(StatusReport(now).as_lines())), refresh=True)
    return _code_at_the_end(now)


def _follow(folder: SweepFolder, seconds: float, scheduler: Scheduler | None) -> int:
    before = None
    while True:
        now = sweep_status(folder, scheduler)
        counts = now.counts()
        line = ", ".join(f"{counts[kind]} {kind}" for kind in STATUSES if counts[kind])
        if line != before:
            sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
            sys.stdout.flush()
        before, code = line, _code_at_the_end(now)
        if code is not None:
            return code
        time.sleep(seconds)


def _code_at_the_end(now: SweepStatus) -> int | None:
    """The exit code, once nothing lives any more and nothing is unknown; else None."""
    waits = now.exit_code == INCOMPLETE and now.of(*ALIVE, "unknown")
    return None if waits else now.exit_code
