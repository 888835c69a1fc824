"""Schema of `conf/cluster`: where points run. No setting here can change a result.

`threads` is the number in one process. One process trains a population of networks; several processes share the
cores of a machine.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from ttfsrun.types import Count, Positive, Settings

#: Parameters of sbatch that a submission sets.
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
Threads = Annotated[Count | None, Meta(description="of one process; null: an equal share of the cores")]
Processor = Annotated[
    Literal["cpu", "cuda", "auto"], Meta(description="that trains; cuda: a GPU; auto: a GPU if torch sees one")
]


class Local(Settings, tag_field="name", tag="local"):
    """Processes on this machine, as many as it has cores, or GPUs to train on, unless set otherwise."""

    processes: Annotated[
        Count | None, Meta(description="at once, in a sweep; null: one for each core, or for each GPU")
    ]
    threads: Threads
    memory_gb: Annotated[Positive | None, Meta(description="of all processes of a sweep; null: not limited")]
    device: Processor = "cpu"  # runs of older versions have no such setting


class Debug(Settings, tag_field="name", tag="debug"):
    """The current process, for a debugger: one population after the other."""

    threads: Threads
    device: Processor = "cpu"


class Slurm(Settings, tag_field="name", tag="slurm", kw_only=True):
    """Array jobs of Slurm; a parameter that is null is left to the defaults of the cluster."""

    partition: str | None
    account: str | None
    qos: str | None
    constraint: str | None
    gres: str | None
    device: Processor = "cpu"  # sweeps of older versions have no such setting, nor the next one
    gpus: Annotated[
        Count | None,
        Meta(description="of one array task, requested by --gpus-per-task, or by gres where that is set; null: none"),
    ] = None
    cores: Annotated[Count, Meta(description="of one array task")]
    threads: Threads
    memory_gb: Annotated[Positive | None, Meta(description="of one array task; null: as estimated")]
    max_memory_gb: Annotated[
        Positive | None,
        Meta(description="that a task may request after it ran out of memory; null: that of the largest node"),
    ] = None  # sweeps of older versions have no such setting
    exclusive: Annotated[bool, Meta(description="reserve whole nodes, for clusters that allocate nothing less")]
    task_minutes: Annotated[Positive, Meta(description="target duration of an array task")]
    time_minutes: Annotated[Count | None, Meta(description="time limit of an array task; null: 10 + 2 task_minutes")]
    parallel_tasks: Annotated[Count | None, Meta(description="array tasks that run at once; null: no limit")]
    max_tasks: Annotated[Count | None, Meta(description="array tasks of one submission; null: no limit")]
    srun: Annotated[bool, Meta(description="start each task with srun")]
    setup: Annotated[list[str], Meta(description="lines of shell to run before each task")]
    sbatch: Annotated[dict[str, str | int | bool], Meta(description="further parameters of sbatch, without the dashes")]

    def __post_init__(self) -> None:
        if self.device == "cuda" and self.gpus is None:
            raise ValueError("device=cuda: tasks need GPUs; set gpus to the number for each")
        if self.device == "cpu" and self.gpus is not None:
            raise ValueError(f"gpus={self.gpus}: tasks that train on cores need none; set device=cuda, or gpus=null")
        reserved = sorted(key for key in self.sbatch if key.replace("_", "-") in RESERVED_OPTIONS)
        if reserved:
            raise ValueError(f"sbatch={{{reserved[0]}: ...}}: is set by ttfsrun; leave it out")

    @property
    def limit_minutes(self) -> int:
        """Time limit of an array task, in minutes."""
        return self.time_minutes or 10 + round(2 * self.task_minutes)
