"""Memory that tasks request: set by the user, estimated, or raised because tasks ran out of it.

After a task ran out of memory, twice as much is requested, up to the largest node or `cluster.max_memory_gb`. What a
shape needed is kept in jobs.jsonl for later submissions of the sweep. A memory that the user set is never changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ttfsrun.config.cluster import Debug, Local, Slurm
from ttfsrun.results.sweep_folder import Intent, JobEntry, SweepPoint
from ttfsrun.results.wording import count
from ttfsrun.run.devices import GPU_SHORTAGE
from ttfsrun.sweep.monitor.status import SweepStatus
from ttfsrun.sweep.submit.plan import GIGABYTE
from ttfsrun.sweep.submit.slurm_defaults import MEMORY_OPTIONS

MARGIN = 1.5  # requested memory, as a multiple of the estimate
RAISE = 2.0  # request after a task ran out of memory, as a multiple of what it had


@dataclass(frozen=True)
class Shortage:
    """A point whose last attempt ran out of memory."""

    point: str
    shape: str
    memory: float | None  # bytes that its task had; None: unknown
    cores: int  # of its task


@dataclass(frozen=True)
class MemoryHistory:
    """What earlier submissions of a sweep say about its memory."""

    shortages: Sequence[Shortage] = ()
    known: Mapping[str, float] = field(default_factory=dict)  # requests that shapes need, in bytes

    @classmethod
    def of(cls, points: Sequence[SweepPoint], entries: Sequence[JobEntry], status: SweepStatus) -> MemoryHistory:
        """Return the history of a sweep. points: all of them."""
        intents = {entry.submission: entry for entry in entries if isinstance(entry, Intent)}
        known: dict[str, float] = {}
        for intent in intents.values():
            known |= {shape: max(memory, known.get(shape, 0.0)) for shape, memory in intent.raised.items()}
        return cls(list(_shortages(points, intents, status)), known)


@dataclass(frozen=True)
class MemoryRequest:
    """Memory that each task of a submission requests."""

    bytes: float | None = None  # None: none is requested
    raised: Mapping[str, float] = field(default_factory=dict)  # requests that shapes need, for later submissions
    lines: Sequence[str] = ()  # what the user must know


@dataclass(frozen=True)
class MemoryPolicy:
    """How much memory the tasks of a cluster may request."""

    cluster: Local | Debug | Slurm
    is_default: bool = False  # whether cluster.memory_gb is a default of the environment, not an explicit setting
    largest_node: float | None = None  # bytes; None: unknown

    @property
    def limit(self) -> float | None:
        """Bytes that a task may request at most; None: unknown."""
        own = self.cluster.max_memory_gb if isinstance(self.cluster, Slurm) else None
        limits = [self.largest_node, None if own is None else own * GIGABYTE]
        return min((limit for limit in limits if limit is not None), default=None)

    @property
    def setting(self) -> str | None:
        """The explicit setting of the memory, which counts; None: there is none."""
        cluster = self.cluster
        if isinstance(cluster, Debug):
            return None
        if cluster.memory_gb is not None and not self.is_default:
            return f"cluster.memory_gb={cluster.memory_gb:.3g}"
        if isinstance(cluster, Slurm):
            options = [option for option in MEMORY_OPTIONS if cluster.sbatch.get(option) not in (None, False)]
            if options:
                return f"cluster.sbatch={{{options[0]}: {cluster.sbatch[options[0]]}}}"
            if cluster.exclusive and cluster.memory_gb is None:
                return "cluster.exclusive=true"
        return None

    def hopeless(self, points: Sequence[SweepPoint], history: MemoryHistory) -> set[str]:
        """Return the points that ran out of the most memory that a task may request, with as many cores or fewer."""
        if not isinstance(self.cluster, Slurm) or self.setting is not None or self.limit is None:
            return set()
        tried = {
            short.point
            for short in history.shortages
            if (short.memory or 0.0) >= self.limit and short.cores <= self.cluster.cores
        }
        return tried.intersection(point.point for point in points)

    def hopeless_line(self, number: int) -> str:
        """Return what the user can do about so many hopeless points."""
        assert self.limit is not None
        which = "cluster.max_memory_gb" if self.limit != self.largest_node else "the memory of the largest node"
        return (
            f"{count(number, 'point')} ran out of memory with {_gigabytes(self.limit)}, {which}: not submitted again; "
            "set cluster.partition to one with larger nodes, cluster.cores to fewer processes at once, or "
            "cluster.memory_gb to try anyway"
        )

    def request(self, points: Sequence[SweepPoint], estimate: float, history: MemoryHistory) -> MemoryRequest:
        """Return the request for tasks that compute the points. estimate: bytes of the largest task."""
        shapes = {point.shape for point in points}
        short = [shortage for shortage in history.shortages if shortage.shape in shapes]
        if not isinstance(self.cluster, Slurm) or self.setting is not None:
            explicit = None if isinstance(self.cluster, Debug) else self.cluster.memory_gb
            lines = self._kept_lines(short, explicit and explicit * GIGABYTE)
            raised = {shape: memory for shape, memory in history.known.items() if shape in shapes}
            return MemoryRequest(explicit and explicit * GIGABYTE, raised, list(lines))
        limit = self.limit or float("inf")
        usual = MARGIN * estimate if self.cluster.memory_gb is None else self.cluster.memory_gb * GIGABYTE
        raised = {shape: min(memory, limit) for shape, memory in history.known.items() if shape in shapes}
        for shortage in short:
            needed = min(RAISE * (shortage.memory or usual), limit)
            raised[shortage.shape] = max(needed, raised.get(shortage.shape, 0.0))
        requested = min(max([usual, *raised.values()]), limit)
        return MemoryRequest(requested, raised, list(self._raised_lines(short, requested, usual)))

    def _kept_lines(self, short: Sequence[Shortage], memory: float | None) -> Iterator[str]:
        if not short or self.setting is None:
            return
        had = [shortage.memory for shortage in short if shortage.memory is not None]
        if memory is not None and had and memory > max(had):
            yield f"{_ran_out(short)}: tasks now have {_gigabytes(memory)} ({self.setting})"
        elif memory is not None:
            more = max([memory, *had]) * RAISE / GIGABYTE
            null = "null raises it as necessary" if isinstance(self.cluster, Slurm) else "null sets no limit"
            yield f"{_ran_out(short)}, and {self.setting} is kept: cluster.memory_gb={more:.3g} gives more, {null}"
        else:
            yield f"{_ran_out(short)}, and {self.setting} is kept: cluster.memory_gb sets how much tasks request"

    def _raised_lines(self, short: Sequence[Shortage], requested: float, usual: float) -> Iterator[str]:
        at_most = ", the most that a task can have" if requested == self.limit else ""
        if short:
            yield f"{_ran_out(short)}: tasks now request {_gigabytes(requested)}{at_most}"
        elif requested > usual:
            yield f"earlier tasks of this sweep ran out of memory: tasks request {_gigabytes(requested)}{at_most}"
        elif requested < usual:
            yield f"tasks request {_gigabytes(requested)}{at_most}, less than estimated: some points may fail"


def _shortages(points: Sequence[SweepPoint], intents: Mapping[str, Intent], status: SweepStatus) -> Iterator[Shortage]:
    """Yield the points that ran out of the memory that tasks request; that of a GPU is none of it."""
    for point in points:
        state = status.points[point.point]
        if state.kind != "failed" or state.reason != "out of memory":
            continue
        if (state.message or "").startswith(GPU_SHORTAGE):
            continue
        record = status.records.get(point.point)
        intent = intents.get(state.submission or (record.execution.submission if record else ""))
        if intent is not None:
            explicit = intent.cluster.get("memory_gb")
            memory = intent.memory or (explicit * GIGABYTE if explicit else None)
            yield Shortage(point.point, point.shape, memory, intent.cluster.get("cores", 1))


def _ran_out(short: Collection[Shortage]) -> str:
    """Return that points ran out of memory, and with how much."""
    had = sorted({_gigabytes(shortage.memory) for shortage in short if shortage.memory is not None})
    return f"{count(len(short), 'point')} ran out of memory" + (f" with {' and '.join(had)}" if had else "")


def _gigabytes(size: float | None) -> str:
    return f"{(size or 0.0) / GIGABYTE:.3g} GB"
