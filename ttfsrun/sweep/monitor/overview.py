"""Report of a sweep's status: as text, as JSON, or continuously."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ttfsrun.errors import INCOMPLETE, Reason
from ttfsrun.results.record import CPU
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.results.wording import count, duration, states
from ttfsrun.sweep.monitor.logs import log_path
from ttfsrun.sweep.monitor.scheduler import Scheduler
from ttfsrun.sweep.monitor.status import ALIVE, STATUSES, SweepStatus, sweep_status
from ttfsrun.sweep.monitor.submissions import concurrency

if TYPE_CHECKING:
    from rich.live import Live

MAX_WIDTH = 100  # characters of a message
USUAL_REASONS = ("None", "Priority", "Resources", "JobArrayTaskLimit", "Dependency", "BeginTime")  # to be queued
MAX_GROUPS = 10  # of failures
MAX_NODES = 3  # that are listed


class AlikeFailures(msgspec.Struct, frozen=True):
    """Points that failed with the same reason and message."""

    reason: Reason | None
    message: str
    points: int
    example: str  # one of the points
    log: str | None  # of the example
    nodes: list[str] | msgspec.UnsetType = msgspec.UNSET  # where tasks left no result: a single one may be the cause


@dataclass(frozen=True)
class StatusReport:
    """Contents of a status report."""

    states: SweepStatus

    @property
    def failures(self) -> list[AlikeFailures]:
        """Failed points by reason and message, the largest group first."""
        groups: dict[tuple[Reason | None, str], list[str]] = {}
        for point in self.states.of("failed"):
            state = self.states.points[point]
            groups.setdefault((state.reason, headline(state.message)), []).append(point)
        return [
            AlikeFailures(reason, message, len(points), points[0], self._log(points[0]), self._nodes(points))
            for (reason, message), points in sorted(groups.items(), key=lambda group: -len(group[1]))
        ]

    def _nodes(self, points: Iterable[str]) -> list[str] | msgspec.UnsetType:
        nodes = {node for point in points if isinstance(node := self.states.points[point].node, str)}
        return sorted(nodes) or msgspec.UNSET

    def _log(self, point: str) -> str | None:
        log = log_path(self.states.folder, self.states.points[point].job)
        return None if log is None else str(log)

    @property
    def devices(self) -> Counter[str]:
        """Number of points that were computed on each device: cores, or a kind of GPU. The largest comes first."""
        records = self.states.records.values()
        counts = Counter(record.execution.device for record in records if record.status == "done")
        return Counter(dict(counts.most_common()))

    @property
    def cores(self) -> int:
        """Number of cores that running tasks use."""
        cores = {submission.token: concurrency(submission.intent)[1] for submission in self.states.live()}
        return sum(cores[submission.token] for submission, _ in self.states.units("running"))

    @property
    def seconds_left(self) -> float | None:
        """Estimated time until the submitted points are done, with the cores in use now; None: unknown."""
        done = [record.execution for record in self.states.records.values() if record.status == "done"]
        remaining = len(self.states.of(*ALIVE))
        if not done or not remaining or not self.cores:
            return None
        per_point = sum(execution.seconds * execution.threads for execution in done) / len(done)
        return per_point * remaining / self.cores

    @property
    def next_command(self) -> str | None:
        """The command to run next; None: points still run or wait, or their state is unknown."""
        folder, counts = shlex.quote(str(self.states.folder.path)), self.states.counts()
        if any(counts[kind] for kind in (*ALIVE, "unknown")):
            return None
        return f"ttfsrun {'retry' if counts['missing'] or counts['failed'] else 'gather'} {folder}"

    def as_json(self) -> dict[str, Any]:
        """Return the report as values for JSON, with the state of each point that is not done."""
        counts = self.states.counts()
        undone = self.states.of(*(kind for kind in STATUSES if kind != "done"))
        return {
            "folder": str(self.states.folder.path),
            "points": len(self.states.points),
            **{kind: counts[kind] for kind in STATUSES},
            "failures": msgspec.to_builtins(self.failures),
            "units_running": len(self.states.units("running")),
            "units_queued": len(self.states.units("queued")),
            "devices": dict(self.devices),
            "cores": self.cores,
            "seconds_left": self.seconds_left,
            "notes": list(self.states.notes),
            "next": self.next_command,
            "exit_code": self.states.exit_code,
            "not_done": {point: msgspec.to_builtins(self.states.points[point]) for point in undone},
        }

    def as_lines(self) -> Iterator[str]:
        """Yield the lines of the report as text."""
        counts, total = self.states.counts(), len(self.states.points)
        yield f"{self.states.folder.path}: {counts['done']} of {total} points done"
        kinds = [kind for kind in STATUSES if counts[kind] or kind == "done"]
        width = max(len(str(counts[kind])) for kind in kinds)
        yield from (f"  {kind:<10}  {counts[kind]:>{width}}  {counts[kind] / max(1, total):6.1%}" for kind in kinds)
        yield from self._failure_lines()
        if self.devices.keys() - {CPU}:
            yield "computed on: " + ", ".join(f"{name} ({count(n, 'point')})" for name, n in self.devices.items())
        units = {kind: len(self.states.units(kind)) for kind in ("running", "queued")}
        if any(units.values()):
            yield f"{self._unit_names()}: {states(units, units)}; {count(self.cores, 'core')} in use"
        yield from (f"waiting: {count(n, 'task')}, {reason}" for reason, n in self._waiting().items())
        if self.seconds_left is not None:
            yield f"time left: about {duration(self.seconds_left)}"
        yield from (f"warning: {note}" for note in [*self.states.notes, *self._unknown()])
        if self.states.counts()["unknown"]:
            folder = shlex.quote(str(self.states.folder.path))
            yield f"to give up what is lost: ttfsrun cancel {folder} --lost"
        if self.next_command:
            yield f"next: {self.next_command}"

    def _failure_lines(self) -> Iterator[str]:
        failures = self.failures
        for group in failures[:MAX_GROUPS]:
            yield f"failed: {group.points} x {group.reason}: {group.message}{_on(group.nodes)}"
            yield f"        e.g. point {group.example}" + (f", log {group.log}" if group.log else "")
        if len(failures) > MAX_GROUPS:
            yield f"        and {count(len(failures) - MAX_GROUPS, 'other kind')}; ttfsrun logs --failed shows all"

    def _unit_names(self) -> str:
        on_slurm = {submission.on_slurm for submission in self.states.live()}
        return "tasks" if on_slurm == {True} else "populations" if on_slurm == {False} else "tasks and populations"

    def _waiting(self) -> Counter[str]:
        """Return the number of queued array tasks by unusual reasons."""
        units = self.states.units("queued")
        messages = [(unit.message or "").partition(": ") for submission, unit in units if submission.on_slurm]
        return Counter(f"{state.lower()}: {why}" for state, _, why in messages if why not in ("", *USUAL_REASONS))

    def _unknown(self) -> list[str]:
        """Return the reasons why states are unknown, where no note contains them."""
        messages = {self.states.points[point].message for point in self.states.of("unknown")}
        return sorted(message for message in messages if message and message not in "; ".join(self.states.notes))


def _on(nodes: list[str] | msgspec.UnsetType) -> str:
    if isinstance(nodes, msgspec.UnsetType):
        return ""
    more = f" and {len(nodes) - MAX_NODES} more" if len(nodes) > MAX_NODES else ""
    return f" (on {', '.join(nodes[:MAX_NODES])}{more})"


def headline(text: str | None) -> str:
    """Return the first line of a message, cut to the maximal width."""
    first = (text or "").strip().partition("\n")[0]
    return first if len(first) <= MAX_WIDTH else first[: MAX_WIDTH - 3] + "..."


def watch_status(folder: SweepFolder, seconds: float, scheduler: Scheduler | None = None) -> int:
    """Show the status until no point runs or waits; return the exit code of the sweep.

    On a terminal the report is redrawn in place, elsewhere each change is a line. seconds: between two updates.
    """
    if not sys.stdout.isatty():
        return _follow(folder, seconds, scheduler)
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(), auto_refresh=False) as live:
        while True:
            code = _update(live, sweep_status(folder, scheduler))
            if code is not None:
                return code
            time.sleep(seconds)


def _update(live: Live, status: SweepStatus) -> int | None:
    from rich.text import Text

    live.update(Text("\n".join(StatusReport(status).as_lines())), refresh=True)
    return _final_exit_code(status)


def _follow(folder: SweepFolder, seconds: float, scheduler: Scheduler | None) -> int:
    previous = None
    while True:
        status = sweep_status(folder, scheduler)
        line = states(status.counts(), STATUSES)
        if line != previous:
            sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
            sys.stdout.flush()
        previous, code = line, _final_exit_code(status)
        if code is not None:
            return code
        time.sleep(seconds)


def _final_exit_code(status: SweepStatus) -> int | None:
    """Return the exit code of the sweep; None while the state of a point may still change."""
    may_change = status.exit_code == INCOMPLETE and status.of(*ALIVE, "unknown")
    return None if may_change else status.exit_code
