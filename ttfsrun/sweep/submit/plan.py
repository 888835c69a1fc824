"""Plan of a submission: points form populations, and populations form tasks.

Tasks keep their cores busy, take about the target time, and stay within their memory. No number depends on the plan:
the result of a network is the same in every population.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.cost import Cost

START_SECONDS = 5.0  # of a worker process, before it computes
GIGABYTE = 1e9


@dataclass(frozen=True)
class Room:
    """Limits of a plan."""

    cores: int  # of a task; where it trains on GPUs, their number
    workers: int  # processes of a task
    tasks: int | None  # maximum; None: no limit
    task_seconds: float | None  # target; None: one task for everything
    memory: float | None  # bytes of a task; None: no limit
    gpu_memory: float | None = None  # bytes of each GPU that populations may take; None: cores train


@dataclass(frozen=True)
class PlannedPopulation:
    """Points that are computed together by one process."""

    points: tuple[str, ...]
    networks: int
    seconds: float  # estimated, on one core or GPU
    bytes: float


@dataclass(frozen=True)
class Plan:
    """The tasks of a submission, each with its populations in the order of their start."""

    tasks: list[list[PlannedPopulation]]
    workers: int  # processes of each task
    cores: int  # of each task; where it trains on GPUs, their number
    on_gpus: bool = False

    @property
    def populations(self) -> int:
        """Number of populations."""
        return sum(map(len, self.tasks))

    @property
    def networks(self) -> int:
        """Number of networks in all populations."""
        return sum(population.networks for task in self.tasks for population in task)

    def seconds(self, task: Sequence[PlannedPopulation]) -> float:
        """Return the estimated duration of a task, whose workers take the next population when they are free."""
        free_at = [0.0] * min(self.workers, len(task))
        speed = max(1.0, self.cores / len(free_at))  # threads of each worker
        for population in task:
            heapq.heapreplace(free_at, free_at[0] + population.seconds / speed)
        return max(free_at) + START_SECONDS

    @property
    def hours(self) -> float:
        """Estimated core-hours, or GPU-hours, of all tasks."""
        return sum(map(self.seconds, self.tasks)) * self.cores / 3600

    @property
    def longest(self) -> float:
        """Estimated seconds of the longest task."""
        return max(map(self.seconds, self.tasks), default=0.0)

    @property
    def memory(self) -> float:
        """Bytes of the largest task, whose workers compute its largest populations at once."""
        return max(
            (sum(sorted((p.bytes for p in task), reverse=True)[: self.workers]) for task in self.tasks), default=0.0
        )


Group = list[list[SweepPoint]]  # of one shape (and from one checkpoint): the points of each training


def make_plan(
    points: Sequence[SweepPoint], costs: Mapping[str, Cost], room: Room, checkpoints: Sequence[Mapping[str, str]] = ()
) -> Plan:
    """Return a plan for the points.

    costs: by shape. checkpoints: the members of each, which stay together if possible.
    """
    groups = _grouped(points, checkpoints)
    sizes = [_largest(group, costs[group[0][0].shape], room) for group in groups]
    loads = [_load(group, costs[group[0][0].shape], size) for group, size in zip(groups, sizes, strict=True)]
    total = sum(loads)
    n_tasks = 1 if room.task_seconds is None else math.ceil(total / room.cores / room.task_seconds)
    n_tasks = max(1, min(n_tasks, room.tasks or n_tasks))
    lanes = n_tasks * room.workers
    populations = [
        _population(part, costs[group[0][0].shape])
        for group, size, load in zip(groups, sizes, loads, strict=True)
        for part in _parts(group, size, max(1, round(lanes * load / total)) if total else 1)
    ]
    return Plan(_packed(populations, n_tasks, room.workers), room.workers, room.cores, room.gpu_memory is not None)


def _grouped(points: Sequence[SweepPoint], checkpoints: Sequence[Mapping[str, str]]) -> list[Group]:
    """Return the trainings that may share a population: of one shape, from one checkpoint or from none."""
    trainings: dict[str, list[SweepPoint]] = {}
    for point in points:
        trainings.setdefault(point.training, []).append(point)
    checkpoint_of = {name: number for number, members in reversed(list(enumerate(checkpoints))) for name in members}
    groups: dict[tuple[str, int | None], Group] = {}
    for name, shared in trainings.items():
        groups.setdefault((shared[0].shape, checkpoint_of.get(name)), []).append(shared)
    return list(groups.values())


def _largest(group: Group, cost: Cost, room: Room) -> int:
    """Return the largest worthwhile population that fits into the memory and the time of a task."""
    sizes = [cost.worthwhile, len(group)]
    if room.gpu_memory is not None:
        sizes.append(int(room.gpu_memory / cost.network_memory))
    if room.memory is not None:
        sizes.append(int((room.memory / room.workers - cost.memory) / cost.network_memory))
    if room.task_seconds is not None:
        points = sum(map(len, group)) / len(group)  # of a training
        seconds = _epochs(group) * cost.network + points * cost.point  # of a network
        sizes.append(int((room.task_seconds - _epochs(group) * cost.epoch) / seconds))
    return max(1, min(sizes))


def _load(group: Group, cost: Cost, size: int) -> float:
    """Return the seconds of a group on one core or GPU."""
    return cost.training(size, _epochs(group)) * len(group) / size + cost.point * sum(map(len, group))


def _epochs(group: Group) -> int:
    epochs: int = group[0][0].config["training"]["epochs"]
    return epochs


def _parts(group: Group, size: int, lanes: int) -> list[Group]:
    """Split a group into equal populations of at most `size`, the same number for each lane (a worker of a task)."""
    count = math.ceil(len(group) / size)
    count = min(len(group), math.ceil(count / lanes) * lanes)
    bounds = [len(group) * part // count for part in range(count + 1)]
    return [group[start:stop] for start, stop in pairwise(bounds)]


def _population(group: Group, cost: Cost) -> PlannedPopulation:
    points = tuple(point.point for shared in group for point in shared)
    seconds = cost.training(len(group), _epochs(group)) + cost.point * len(points)
    return PlannedPopulation(points, len(group), seconds, cost.bytes(len(group)))


def _packed(populations: Sequence[PlannedPopulation], n_tasks: int, workers: int) -> list[list[PlannedPopulation]]:
    """Assign the populations, longest first, each to the task whose next worker is free earliest."""
    lanes = [(0.0, task) for _ in range(workers) for task in range(n_tasks)]
    tasks: list[list[PlannedPopulation]] = [[] for _ in range(n_tasks)]
    for population in sorted(populations, key=lambda p: -p.seconds):
        free_at, task = heapq.heappop(lanes)
        tasks[task].append(population)
        heapq.heappush(lanes, (free_at + population.seconds, task))
    return [task for task in tasks if task]
