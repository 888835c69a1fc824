"""The folder of a sweep: every path in it, and what stands in its files.

sweep.yaml    the request, and what made it        points.jsonl  the frozen configurations
jobs.jsonl    what was submitted, append-only      shards/       results, one writer each, append-only
checkpoints/  unfinished trainings                 slurm/        scripts and logs
table.csv, curves.csv                              what `gather` makes of the shards
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import yaml

from ttfsrun.config.schema import Config
from ttfsrun.errors import UserError
from ttfsrun.files import write_atomic, writing
from ttfsrun.results import lines
from ttfsrun.results.record import Attempt, Curves, Record

P = TypeVar("P", bound="PointId")
A = TypeVar("A", bound=Attempt)
T = TypeVar("T")

DEFAULT = Path("results/sweeps")


class PointId(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a point that all its readers want; others of its fields cost nothing to leave unread."""

    point: str  # a hash of all settings that can change the numbers


class SweepPoint(PointId, frozen=True, kw_only=True):
    """One point as it was frozen when the sweep was made."""

    training: str  # id of what its weights depend on; points that share it are trained once
    shape: str  # points of one shape can be trained as one population
    settings: dict[str, Any]  # those that vary within the sweep, by dotted key
    config: dict[str, Any]  # all of them as plain values, without `cluster`
    files: dict[str, str] = {}  # checksum of each chip file


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="what"):
    """A line of jobs.jsonl: of one submission, known by its token."""

    submission: str
    time: float  # seconds since 1970


class Intent(Entry, frozen=True, kw_only=True, tag="intent"):
    """What a process is about to submit: written before the scheduler hears of it."""

    cluster: dict[str, Any]  # the settings of `conf/cluster`
    tasks: list[list[list[str]]]  # tasks, of populations, of point ids
    arrays: list[int]  # tasks in each array job, in their order; one of all tasks where there is no scheduler
    job_name: str  # the arrays are job_name.0, job_name.1, ...
    host: str  # of the process, with its id and its start (in clock ticks since the machine's)
    pid: int
    started: int
    package: str  # checksum of the package's files


class Submitted(Entry, frozen=True, kw_only=True, tag="submitted"):
    """The scheduler's answer: an array has become a job."""

    array: int
    job: str


class Refusal(Entry, frozen=True, kw_only=True, tag="refused"):
    """The scheduler's answer: an array was not taken. Or the submission gave way to another one."""

    array: int
    message: str


class Ended(Entry, frozen=True, kw_only=True, tag="ended"):
    """A submission that runs no more: done, or cancelled by its user."""

    why: Literal["done", "interrupted", "cancelled"]


JobEntry = Intent | Submitted | Refusal | Ended


@dataclass(frozen=True)
class SweepFolder:
    """All paths of one sweep, and how its files are written and read."""

    path: Path

    @property
    def sweep(self) -> Path:
        return self.path / "sweep.yaml"

    @property
    def points_file(self) -> Path:
        return self.path / "points.jsonl"

    @property
    def jobs_file(self) -> Path:
        return self.path / "jobs.jsonl"

    @property
    def slurm(self) -> Path:
        return self.path / "slurm"

    @property
    def shards(self) -> Path:
        return self.path / "shards"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def table(self) -> Path:
        return self.path / "table.csv"

    @property
    def curves(self) -> Path:
        return self.path / "curves.csv"

    def create(self, about: Mapping[str, Any], points: Iterable[SweepPoint]) -> None:
        """Write what never changes; sweep.yaml comes last, and is what makes the folder a sweep."""
        encoder = msgspec.json.Encoder()
        write_atomic(self.points_file, b"".join(encoder.encode(point) + b"\n" for point in points))
        write_atomic(self.sweep, yaml.safe_dump(dict(about), sort_keys=False, allow_unicode=True).encode())

    @cached_property
    def about(self) -> dict[str, Any]:
        """The content of sweep.yaml."""
        try:
            about = yaml.load(self.sweep.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except FileNotFoundError:
            raise UserError(f"{self.path} is not the folder of a sweep: it has no {self.sweep.name}") from None
        except (OSError, yaml.YAMLError) as error:
            raise UserError(f"{self.sweep} cannot be read: {' '.join(str(error).split())}") from None
        if not isinstance(about, dict):
            raise UserError(f"{self.sweep} cannot be read: it describes no sweep")
        return about

    @cached_property
    def points(self) -> dict[str, SweepPoint]:
        """All points by id, in their order."""
        return self.points_as(SweepPoint)

    def points_as(self, kind: type[P]) -> dict[str, P]:
        """All points by id, in their order, with no more of their fields than `kind` has."""
        found = {point.point: point for point in lines.read_lines(self.points_file, kind)}
        if len(found) != self.about["points"]:
            raise UserError(f"{self.points_file} holds {len(found)} points of {self.about['points']}: it is damaged")
        return found

    def jobs(self) -> list[JobEntry]:
        """All that was submitted so far, in order."""
        return list(lines.read_lines(self.jobs_file, JobEntry))  # type: ignore[arg-type]

    def note(self, entry: Entry) -> None:
        """Add a line to jobs.jsonl."""
        with writing(self.jobs_file):
            lines.append_line(self.jobs_file, entry)

    def records(self) -> Iterator[Record]:
        """Every attempt at every point that left a whole line, shard by shard."""
        return self.records_as(Record)

    def records_as(self, kind: type[A]) -> Iterator[A]:
        """The same, with no more of their fields than `kind` has."""
        for shard in sorted(self.shards.glob("*.results.jsonl")):
            yield from lines.read_lines(shard, kind)

    def learning_curves(self) -> Iterator[Curves]:
        return self.learning_curves_as(Curves)

    def learning_curves_as(self, kind: type[T]) -> Iterator[T]:
        """The same, read as another kind of struct."""
        for shard in sorted(self.shards.glob("*.curves.jsonl")):
            yield from lines.read_lines(shard, kind)

    def latest(self) -> dict[str, Record]:
        """What counts of each point, by id: that it is done, else its last failure. Points without either lack."""
        return latest(self.records())


def latest(attempts: Iterable[A]) -> dict[str, A]:
    """What counts of each point, by id: its first success, else its last failure."""
    found: dict[str, A] = {}
    for attempt in attempts:
        known = found.get(attempt.point)
        if known is None or _rank(attempt) > _rank(known):
            found[attempt.point] = attempt
    return found


def _rank(record: Attempt) -> tuple[bool, float]:
    """The first success counts, else the last failure."""
    done = record.status == "done"
    return done, -record.time if done else record.time


def point_config(point: SweepPoint) -> Config:
    """A point's configuration, checked again; where it runs is no matter of the point."""
    return msgspec.convert(point.config | {"cluster": {"name": "debug", "threads": None}}, Config)
