"""The lines that say what a command will run, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from shlex import quote

from ttfsrun.config.cluster import Debug, Slurm
from ttfsrun.results.sweep_folder import SweepFolder, SweepPoint
from ttfsrun.results.wording import count, duration
from ttfsrun.sweep.monitor.status import SweepStatus
from ttfsrun.sweep.submit.dispatch import Cluster, Dispatcher
from ttfsrun.sweep.submit.plan import GIGABYTE, Plan


def points_line(
    folder: SweepFolder,
    points: Sequence[SweepPoint],
    chosen: Sequence[SweepPoint],
    to_run: Sequence[SweepPoint],
    status: SweepStatus | None,
) -> str:
    """Return how many points there are in each state, and how many run. chosen: those that --limit leaves."""
    counts = dict(status.counts()) if status else {"missing": len(points)}
    parts = [count(len(points), "point"), f"{counts.pop('done', 0)} done", f"{counts.pop('missing', 0)} missing"]
    parts += [f"{number} {kind}" for kind, number in counts.items() if number]
    limit = f" (of the first {len(chosen)})" if len(chosen) < len(points) else ""
    return f"{folder.path}: {', '.join(parts)}; {len(to_run)} to run{limit}"


def plan_line(plan: Plan, dispatcher: Dispatcher) -> str:
    """Return the size of a plan, and what it costs."""
    work = f"{count(plan.networks, 'training')} in {count(plan.populations, 'population')}"
    if isinstance(dispatcher.cluster, Debug):
        return f"{work}, in this process"
    several = len(plan.tasks) > 1
    unit = "GPU" if plan.on_gpus else "core"
    tasks = f"{len(plan.tasks)} tasks of {count(plan.cores, unit)}" if several else count(plan.cores, unit)
    arrays = f" in {count(len(dispatcher.arrays), 'array job')}" if isinstance(dispatcher.cluster, Slurm) else ""
    return (
        f"{work} on {tasks}{arrays}: about {duration(plan.longest)}{' each' if several else ''}, "
        f"{plan.hours:.2g} {unit}-hours, {plan.memory / GIGABYTE:.1f} GB"
    )


def plan_warnings(plan: Plan, cluster: Cluster) -> Iterator[str]:
    """Yield a line for each limit of the cluster that a plan exceeds."""
    if isinstance(cluster, Slurm) and plan.longest > 60 * cluster.limit_minutes:
        limit = duration(60 * cluster.limit_minutes)
        yield f"that is longer than the time limit of {limit}: tasks will save their state and be requeued"
    memory = None if isinstance(cluster, Debug) else cluster.memory_gb
    if memory is not None and plan.memory > GIGABYTE * memory:
        yield f"that is more than cluster.memory_gb={memory:g}: some points may fail"


def lost_lines(status: SweepStatus) -> Iterator[str]:
    """Yield the way out where points are unknown."""
    if status.counts()["unknown"]:
        yield f"to give up what is lost: ttfsrun cancel {quote(str(status.folder.path))} --lost"
