"""Where points run: the settings of `conf/cluster`. None of them can change a number.

`threads` are those of one process: a population of networks is trained by one process, and several
processes share the cores of a machine.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ttfsrun.types import Count, Positive, Settings

RESERVED_OPTIONS = (
    "array",
    "output",
    "error",
    "job-name",
    "open-mode",
    "signal",
    "requeue",
    "no-requeue",
    "wrap",
    "dependency",
)
Threads = Annotated[Count | None, Meta(description="of one process; null: the cores are shared out")]


class Local(Settings, tag_field="name", tag="local"):
    """This machine: as many processes as it has cores."""

    processes: Annotated[Count | None, Meta(description="at once, in a sweep; null: one for each core")]
    threads: Threads
    memory_gb: Annotated[Positive | None, Meta(description="of all processes of a sweep; null: not watched")]


class Debug(Settings, tag_field="name", tag="debug"):
    """This very process, for a debugger: one population after the other."""

    threads: Threads


class Slurm(Settings, tag_field="name", tag="slurm"):
    """Array jobs; what is null is left to the cluster's own defaults."""

    partition: str | None
    account: str | None
    qos: str | None
    constraint: str | None
    gres: str | None
    cores: Annotated[Count, Meta(description="of one array task")]
    threads: Threads
    memory_gb: Annotated[Positive | None, Meta(description="of one array task; null: as estimated")]
    exclusive: Annotated[bool, Meta(description="whole nodes, where a cluster gives nothing less")]
    task_minutes: Annotated[Positive, Meta(description="wanted duration of an array task")]
    time_minutes: Annotated[
        Count | None, Meta(description="time limit of an array task; null: 10 and twice task_minutes")
    ]
    parallel_tasks: Annotated[Count | None, Meta(description="array tasks that run at once; null: no limit")]
    max_tasks: Annotated[Count | None, Meta(description="array tasks of one submission; null: no limit")]
    srun: Annotated[bool, Meta(description="start each task by srun")]
    setup: Annotated[list[str], Meta(description="lines of shell before each task")]
    sbatch: Annotated[dict[str, str | int | bool], Meta(description="further parameters of sbatch, without the dashes")]

    def __post_init__(self) -> None:
        taken = sorted(key for key in self.sbatch if key.replace("_", "-") in RESERVED_OPTIONS)
        if taken:
            raise ValueError(f"sbatch={{{taken[0]}: ...}}: is needed by the sweep itself; leave it out")

    @property
    def limit_minutes(self) -> int:
        """The time limit of an array task."""
        return self.time_minutes or 10 + round(2 * self.task_minutes)
