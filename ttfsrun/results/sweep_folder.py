"""The folder of a sweep: every path in it, and the content of its files.

sweep.yaml    the request, and what made it        points.jsonl  the frozen configurations
jobs.jsonl    what was submitted, append-only      shards/       results, one writer each, append-only
checkpoints/  unfinished trainings                 slurm/        scripts and logs
table.csv                                          written by `gather` from the shards, see `table_files`
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import yaml

from ttfsrun.config.added import with_former_values
from ttfsrun.config.ids import SharedParts
from ttfsrun.config.schema import Config
from ttfsrun.errors import UserError
from ttfsrun.files import atomic_writer, list_folder, read_file, write_atomic, writing
from ttfsrun.results import lines
from ttfsrun.results.record import Attempt, Curves, Record
from ttfsrun.results.table_files import NAME as TABLE

P = TypeVar("P", bound="PointId")
A = TypeVar("A", bound=Attempt)
T = TypeVar("T")

DEFAULT = Path("results/sweeps")


class PointId(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The field of a point that all readers need. Views with more fields derive from it; the rest is not decoded."""

    point: str  # a hash of all settings that can change the numbers


class SweepPoint(PointId, frozen=True, kw_only=True):
    """A point, frozen when the sweep was made."""

    training: str  # id of what its weights depend on; points that share it are trained once
    shape: str  # points of one shape can be trained as one population
    settings: dict[str, Any]  # that vary within the sweep, by dotted key
    config: dict[str, Any]  # all settings as plain values, without `cluster`
    files: dict[str, str] = {}  # checksum of each chip file


class StoredPoint(PointId, frozen=True, kw_only=True):
    """A line of points.jsonl, the parts of its configuration not decoded."""

    training: str
    shape: str
    settings: dict[str, Any]
    config: dict[str, msgspec.Raw]
    files: dict[str, str] = {}


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="what"):
    """A line of jobs.jsonl, about one submission."""

    submission: str  # its token
    time: float  # seconds since 1970


class Intent(Entry, frozen=True, kw_only=True, tag="intent"):
    """What a process is about to submit, written before the scheduler is asked."""

    cluster: dict[str, Any]  # the settings of `conf/cluster`
    tasks: list[list[list[str]]]  # tasks, of populations, of point ids
    arrays: list[int]  # tasks in each array job, in order; a single entry without a scheduler
    job_name: str  # the arrays are job_name.0, job_name.1, ...
    host: str  # of the process, with its id and its start (in clock ticks since the machine's)
    pid: int
    started: int
    package: str  # checksum of the package's files
    uid: int | None = None  # of the user; None here and below: an older version wrote it
    slurm: str | None = None  # name of the cluster
    memory: float | None = None  # bytes that each task requests; None also: none are requested
    raised: dict[str, float] = {}  # requests that shapes need, in bytes, known from tasks that ran out of memory
    origins: dict[str, str] = {}  # environment variable of each setting of the cluster that comes from one
    environment: dict[str, str] = {}  # further variables that sbatch reads
    gpus: int = 0  # of this machine, each with a process that trains on it; 0: cores train


class Submitted(Entry, frozen=True, kw_only=True, tag="submitted"):
    """The scheduler's answer: an array is a job."""

    array: int
    job: str


class Refusal(Entry, frozen=True, kw_only=True, tag="refused"):
    """The scheduler's answer: an array was refused. Also a submission that gave way to another one."""

    array: int
    message: str


class Ended(Entry, frozen=True, kw_only=True, tag="ended"):
    """The end of a submission."""

    why: Literal["done", "interrupted", "cancelled"]


class GivenUp(Entry, frozen=True, kw_only=True, tag="given up"):
    """Units of a submission that the queue did not know, and that the user gave up."""

    units: list[int]


JobEntry = Intent | Submitted | Refusal | Ended | GivenUp


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
        return self.path / TABLE

    def create(self, about: Mapping[str, Any], points: Iterable[SweepPoint]) -> None:
        """Write the files that never change. sweep.yaml is last: it makes the folder a sweep. Raises CannotWrite."""
        encoder = msgspec.json.Encoder()
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with atomic_writer(self.points_file) as stream:
            stream.writelines(encoder.encode(point) + b"\n" for point in points)
        write_atomic(self.sweep, yaml.safe_dump(dict(about), sort_keys=False, allow_unicode=True).encode())

    @cached_property
    def about(self) -> dict[str, Any]:
        """Content of sweep.yaml. Raises UserError where it is missing or damaged, OSError where it cannot be read."""
        try:
            about = yaml.load(read_file(self.sweep), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except FileNotFoundError:
            raise UserError(f"{self.path} is not the folder of a sweep: it has no {self.sweep.name}") from None
        except yaml.YAMLError as error:
            raise UserError(f"{self.sweep} cannot be read: {' '.join(str(error).split())}") from None
        if not isinstance(about, dict):
            raise UserError(f"{self.sweep} cannot be read: it describes no sweep")
        return about

    def require(self) -> None:
        """Raise UserError where the folder is not that of a sweep."""
        _ = self.about

    @cached_property
    def points(self) -> dict[str, SweepPoint]:
        """All points by id, in their order. Equal parts of their configurations are one object: do not change them."""
        shared = SharedParts()
        return self._all(self._with_shared_parts(point, shared) for point in self._lines(StoredPoint))

    def points_as(self, kind: type[P]) -> dict[str, P]:
        """Return all points by id, in their order, with the fields of `kind`.

        Raises UserError where the file is damaged.
        """
        return self._all(self._lines(kind))

    def _lines(self, kind: type[P]) -> Iterator[P]:
        return lines.read_lines(self.points_file, kind)

    def _all(self, points: Iterable[P]) -> dict[str, P]:
        by_id = {point.point: point for point in points}
        if len(by_id) != self.about["points"]:
            raise UserError(f"{self.points_file} holds {len(by_id)} points of {self.about['points']}: it is damaged")
        return by_id

    @staticmethod
    def _with_shared_parts(stored: StoredPoint, shared: SharedParts) -> SweepPoint:
        config = {name: shared.of(name, bytes(part)).value for name, part in stored.config.items()}
        return SweepPoint(
            point=stored.point,
            training=stored.training,
            shape=stored.shape,
            settings=stored.settings,
            config=config,
            files=stored.files,
        )

    def jobs(self) -> list[JobEntry]:
        """Return all entries of jobs.jsonl, in order."""
        return list(lines.read_lines(self.jobs_file, JobEntry))  # type: ignore[arg-type]

    def note(self, entry: Entry) -> None:
        """Append an entry to jobs.jsonl. Raises CannotWrite."""
        with writing(self.jobs_file):
            lines.append_line(self.jobs_file, entry)

    def records(self) -> Iterator[Record]:
        """Yield every record, shard by shard."""
        return self.records_as(Record)

    def records_as(self, kind: type[A]) -> Iterator[A]:
        """Yield every record with the fields of `kind`, shard by shard."""
        for shard in list_folder(self.shards, ".results.jsonl"):
            yield from lines.read_lines(shard, kind)

    def attempts_at(self, points: Collection[str]) -> Iterator[Attempt]:
        """Yield every attempt at these points, from the shards that may have one: not each task opens all shards."""
        intents = [entry for entry in self.jobs() if isinstance(entry, Intent)]
        others = {
            f"{intent.submission}-{number:05d}"
            for intent in intents
            for number, task in enumerate(intent.tasks)
            if not any(point in points for population in task for point in population)
        }
        for shard in list_folder(self.shards, ".results.jsonl"):
            if shard.name.rpartition("-")[0] not in others:
                yield from (attempt for attempt in lines.read_lines(shard, Attempt) if attempt.point in points)

    def learning_curves(self) -> Iterator[Curves]:
        return self.learning_curves_as(Curves)

    def learning_curves_as(self, kind: type[T]) -> Iterator[T]:
        """Yield the learning curves of every record as structs of `kind`."""
        for shard in list_folder(self.shards, ".curves.jsonl"):
            yield from lines.read_lines(shard, kind)

    def latest(self) -> dict[str, Record]:
        """Return the record that counts for each point, by id; points without a record are absent."""
        return latest(self.records())


def latest(attempts: Iterable[A]) -> dict[str, A]:
    """Return the attempt that counts for each point, by id: its first success, else its last failure."""
    counting: dict[str, A] = {}
    for attempt in attempts:
        best = counting.get(attempt.point)
        if best is None or _rank(attempt) > _rank(best):
            counting[attempt.point] = attempt
    return counting


def _rank(record: Attempt) -> tuple[bool, float]:
    """Order attempts: the first success counts, else the last failure."""
    done = record.status == "done"
    return done, -record.time if done else record.time


def point_config(point: SweepPoint) -> Config:
    """Return a point's configuration, checked again. A point has no cluster, so a neutral one takes its place."""
    return msgspec.convert(with_former_values(point.config) | {"cluster": {"name": "debug", "threads": None}}, Config)
