"""Sweeps that nobody computed: folders with the records that workers would leave, for tests of what reads them."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ttfsrun.config.compose import compose
from ttfsrun.config.dotted_keys import assign, deep_copy
from ttfsrun.errors import Reason, SchedulerRefused
from ttfsrun.results import lines
from ttfsrun.results.processes import started
from ttfsrun.results.record import Curves, Execution, Record
from ttfsrun.results.sweep_folder import Ended, Intent, JobEntry, Refusal, Submitted, SweepFolder, SweepPoint
from ttfsrun.sweep.monitor.scheduler import Queue, QueueSnapshot, ScheduledTask

PACKAGE = "c0de"
#: A training with this loss diverges where its inputs are late.
EDGE = "training.loss.beta=0.05"
LATE = "training.input_noise=0.0,40.0"
START = 1_700_000_000.0
SLURM = msgspec.to_builtins(compose(["cluster=slurm"]).cluster)
LOCAL = {"name": "local", "processes": 2, "threads": 1, "memory_gb": None}


def sweep(
    path: Path, grid: Sequence[dict[str, Any]], overrides: Sequence[str] = (), **about: Any
) -> tuple[SweepFolder, list[str]]:
    """A sweep without results, one point for each combination of settings; and the points' ids."""
    config = msgspec.to_builtins(compose(list(overrides)))
    del config["cluster"]
    points = []
    for number, settings in enumerate(grid):
        own = deep_copy(config)
        for key, value in settings.items():
            assign(own, key, value)
        points.append(
            SweepPoint(
                point=f"{number:012x}",
                training=f"t{number:011x}",
                shape="shape",
                settings=settings,
                config=own,
            )
        )
    folder = SweepFolder(path)
    folder.create({"name": path.name, "points": len(points), "package": PACKAGE, **about}, points)
    return folder, [point.point for point in points]


def seeds(path: Path, n: int, overrides: Sequence[str] = ()) -> tuple[SweepFolder, list[str]]:
    """A sweep over `seed.init`."""
    return sweep(path, [{"seed.init": number} for number in range(n)], overrides)


def metrics(chance: random.Random, classes: int = 10, layers: int = 2) -> dict[str, Any]:
    """What `Subject.measured` gives, with a confusion matrix."""
    return {
        "loss": chance.random(),
        "accuracy": chance.random(),
        "samples": 10_000,
        "silent_fraction": [chance.random() for _ in range(layers)],
        "spikes_per_sample": [100 * chance.random() for _ in range(layers)],
        "decision_time": {"mean": chance.random(), "median": chance.random(), "p95": 1 + chance.random()},
        "decision_time_us": {"mean": chance.random(), "median": chance.random(), "p95": 1 + chance.random()},
        "synaptic_events": {"all": 2000 * chance.random(), "before_decision": 1000 * chance.random()},
        "energy_uj": {"brainscales2_window": 8.4, "loihi_events": chance.random()},
        "confusion": [[chance.randrange(1000) for _ in range(classes + 1)] for _ in range(classes)],
        "trials": 1,
        "accuracy_std": None,
    }


def result(point: str, conditions: Sequence[dict[str, Any]] = (), layers: int = 2) -> dict[str, Any]:
    """Of a point that is done: the same for the same point, as it is promised.

    conditions: condition and settings of each beside the point's own.
    """
    chance = random.Random(point)
    return {
        "epoch": 7,
        "network": "best",
        **{split: metrics(chance, layers=layers) for split in ("train", "valid", "test")},
        "perturbed": False,
        "chip": None,
        "conditions": [
            {"settings": {}, "perturbed": True, "chip": 3}
            | condition
            | {split: metrics(chance, layers=layers) for split in ("valid", "test")}
            for condition in conditions
        ],
        "data": {"source": "made up"},
    }


def execution(**own: Any) -> Execution:
    made_by = {"ttfsrun": "0.1", "torch": "2.5", "git_sha": "f" * 40, "git_dirty": False}
    values = {"seconds": 2.0, "memory_mb": 300.5, "population": 4, "threads": 1, "host": "node1", "job": None}
    return Execution(**(values | {"submission": "s1", "package": PACKAGE, "made_by": made_by} | own))


def done(point: str, time: float = START, conditions: Sequence[dict[str, Any]] = (), **own: Any) -> Record:
    """A success; own: of its execution."""
    told = result(point, conditions)
    return Record(point=point, training="t", status="done", time=time, result=told, execution=execution(**own))


def failed(point: str, reason: Reason = "error", message: str = "the loss is nan", **own: Any) -> Record:
    """A failure; own: `time`, `traceback`, and of its execution."""
    about = {name: own.pop(name) for name in ("time", "traceback") if name in own}
    return Record(
        **({"time": START} | about),
        point=point,
        training="t",
        status="failed",
        reason=reason,
        message=message,
        execution=execution(**own),
    )


def write(folder: SweepFolder, entries: Sequence[Record | Curves], shard: str = "0") -> None:
    """All in one shard of their kind, without waiting for the disk."""
    folder.shards.mkdir(exist_ok=True)
    for kind, name in ((Record, "results"), (Curves, "curves")):
        chosen = [entry for entry in entries if isinstance(entry, kind)]
        if chosen:
            with (folder.shards / f"{shard}.{name}.jsonl").open("ab") as stream:
                stream.writelines(msgspec.json.encode(entry) + b"\n" for entry in chosen)


def intent(members: Sequence[Sequence[str]], /, **own: Any) -> Intent:
    """A submission to Slurm by this process, one population per task with these points; other fields by name."""
    values: dict[str, Any] = {
        "submission": "s1",
        "time": START,
        "cluster": SLURM,
        "tasks": [[list(points)] for points in members],
        "arrays": [len(members)],
        "job_name": "ttfsrun-bits-s1",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": started(os.getpid()),
        "package": PACKAGE,
    }
    return Intent(**(values | own))


def gone(members: Sequence[Sequence[str]], /, **own: Any) -> Intent:
    """A submission whose process lives no more."""
    return intent(members, **({"started": 1} | own))


def submitted(job: str, array: int = 0, submission: str = "s1") -> Submitted:
    return Submitted(submission=submission, time=START + 1, array=array, job=job)


def refused(message: str = "Invalid account", array: int = 0, submission: str = "s1") -> Refusal:
    return Refusal(submission=submission, time=START + 1, array=array, message=message)


def ended(why: Any, submission: str = "s1") -> Ended:
    return Ended(submission=submission, time=START + 2, why=why)


def submit(folder: SweepFolder, *entries: JobEntry) -> None:
    for entry in entries:
        lines.append_line(folder.jobs_file, entry)


def tear_last_line(path: Path, chance: random.Random) -> None:
    """Cut off a part of the last line of a file, as a power failure may."""
    content = path.read_bytes()
    length = len(content) - content.rstrip(b"\n").rfind(b"\n") - 1
    path.write_bytes(content[: len(content) - chance.randrange(1, max(2, length))])


@dataclass
class Fake:
    """A scheduler that knows these tasks, and these jobs by name; counts how often it was asked."""

    tasks: Mapping[str, ScheduledTask] = field(default_factory=dict)
    names: Mapping[str, str] | None = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    queue_answered: bool = True
    asked: list[object] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    cluster: str = "cluster"
    refusal: str | None = None  # of its queue
    hidden: set[str] = field(default_factory=set)  # tasks of its queue that the answers to `query` lack

    def query(self, names: Mapping[str, str], since: float) -> QueueSnapshot:
        self.asked.append(dict(names))
        return QueueSnapshot(self.tasks, self.notes, self.queue_answered)

    def find(self, names: Sequence[str], since: float) -> Mapping[str, str] | None:
        self.asked.append(list(names))
        return None if self.names is None else {name: self.names[name] for name in names if name in self.names}

    def cancel(self, jobs: Sequence[str]) -> None:
        self.cancelled += jobs

    def queue(self, names: Iterable[str]) -> Queue:
        if self.refusal is not None:
            raise SchedulerRefused(self.refusal)
        alive = {task for task, state in self.tasks.items() if state.phase in ("running", "queued")}
        return Queue(self.cluster, alive | self.hidden)

    def on(self, cluster: str) -> Fake:
        self.asked.append(cluster)
        return self
