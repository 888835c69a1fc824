"""Dispatch of a plan: run here, or submitted. jobs.jsonl holds the intent beforehand, and then every answer."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import msgspec

from ttfsrun.config.cluster import Debug, Local, Slurm
from ttfsrun.errors import SchedulerRefused, UserError
from ttfsrun.results.processes import started
from ttfsrun.results.sweep_folder import Intent, Refusal, Submitted, SweepFolder
from ttfsrun.results.wording import count
from ttfsrun.run.devices import Gpu
from ttfsrun.sweep.submit import local
from ttfsrun.sweep.submit.gpu_costs import GPU_BYTES
from ttfsrun.sweep.submit.memory import MemoryPolicy, MemoryRequest
from ttfsrun.sweep.submit.plan import GIGABYTE, Plan, Room
from ttfsrun.sweep.submit.slurm_defaults import kept_origins, with_defaults
from ttfsrun.sweep.worker.gpus import gpus_for
from ttfsrun.sweep.worker.in_process import ThisProcess

log = logging.getLogger(__name__)

Cluster = Local | Debug | Slurm
PLANNED_MEMORY = 0.9  # share of a task's memory that plans use
PLANNED_GPU_MEMORY = 0.5  # of a GPU's: there, buffers come on top of what is estimated


@dataclass(frozen=True)
class Target:
    """Where a plan is run: the settings of the cluster with the defaults of the environment."""

    cluster: Cluster
    origins: dict[str, str] = field(default_factory=dict)  # variables that settings come from
    environment: dict[str, str] = field(default_factory=dict)  # variables for sbatch
    lines: Sequence[str] = ()  # what the user must know
    gpus: Sequence[Gpu] = ()  # of this machine, to train on; none: train on the cores

    @classmethod
    def here(cls, cluster: Cluster, earlier: Intent | None = None) -> Target:
        """Return the target for settings of the cluster in the environment of this process.

        earlier: a submission with the settings of which the cluster agrees.
        Raises UserError where the settings want a GPU and torch sees none.
        """
        if not isinstance(cluster, Slurm):
            return cls(cluster, gpus=gpus_for(cluster.device))
        defaults = with_defaults(cluster, os.environ)
        kept = {} if earlier is None else kept_origins(defaults.cluster, earlier, defaults.origins)
        return cls(defaults.cluster, kept | defaults.origins, defaults.passed, list(defaults.lines()))

    def memory_policy(self) -> MemoryPolicy:
        """Return how much memory the tasks may request."""
        if not isinstance(self.cluster, Slurm):
            return MemoryPolicy(self.cluster)
        from ttfsrun.sweep.submit import slurm

        return MemoryPolicy(self.cluster, "memory_gb" in self.origins, slurm.largest_node(self.cluster))


def available_room(target: Target) -> Room:
    """Return the limits that a plan must respect."""
    cluster = target.cluster
    if isinstance(cluster, Slurm):
        from ttfsrun.sweep.submit import slurm

        limits = [limit for limit in (cluster.max_tasks, slurm.free_tasks(cluster)) if limit is not None]
        return Room(
            cores=cluster.gpus or cluster.cores,
            workers=cluster.gpus or max(1, cluster.cores // (cluster.threads or 1)),
            tasks=min(limits, default=None),
            task_seconds=60 * cluster.task_minutes,
            memory=None if cluster.memory_gb is None else PLANNED_MEMORY * GIGABYTE * cluster.memory_gb,
            gpu_memory=PLANNED_GPU_MEMORY * GPU_BYTES if cluster.gpus else None,
        )
    resources = local.local_resources(cluster, target.gpus)
    if isinstance(resources, ThisProcess):
        return Room(cores=resources.threads, workers=1, tasks=1, task_seconds=None, memory=None)
    workers, gpus = resources.most_workers, target.gpus
    return Room(
        cores=workers if gpus else resources.cores,
        workers=workers,
        tasks=1,
        task_seconds=None,
        memory=None if resources.memory is None else PLANNED_MEMORY * resources.memory,
        gpu_memory=PLANNED_GPU_MEMORY * min(gpu.memory for gpu in gpus) if gpus else None,
    )


class Dispatcher:
    """One dispatch of a plan; its token is in the names of its jobs and of its shards."""

    def __init__(
        self, folder: SweepFolder, target: Target, plan: Plan, package: str, memory: MemoryRequest | None = None
    ) -> None:
        """package: checksum of the code that plans. memory: what each task requests."""
        self.folder, self.target, self.plan, self.package = folder, target, plan, package
        self.cluster, self.memory = target.cluster, memory or MemoryRequest()
        self.token = secrets.token_hex(4)
        self.arrays = [len(plan.tasks)]
        self.slurm_name: str | None = None
        if isinstance(self.cluster, Slurm):
            from ttfsrun.sweep.submit import slurm

            limits = slurm.cluster_limits(self.cluster)
            self.slurm_name = limits.name
            self.arrays = slurm.array_sizes(len(plan.tasks), limits.largest_array)
            self.name = slurm.job_name(folder.path.absolute().name, self.token)
            self._slurm = slurm.ArraySubmitter(folder, self.cluster, self.memory.bytes, target.environment)

    def script(self) -> str:
        """Return the batch script of the first array; empty where there is no scheduler."""
        if not isinstance(self.cluster, Slurm):
            return ""
        return self._slurm.script(self.token, f"{self.name}.0", 0, self.arrays[0])

    def announce(self, known_jobs: int) -> None:
        """Write the intent to jobs.jsonl.

        known_jobs: lines of jobs.jsonl when the plan was made. Raises UserError where another process submits the same
        points, and CannotWrite.
        """
        self.folder.note(self._intent())
        rival = self._rival(known_jobs)
        if rival is not None:
            self._refuse(0, f"left to submission {rival}")
            raise UserError(
                f"another process (submission {rival}) has just taken points of this sweep: nothing was submitted; "
                "the same command again submits the points that are left"
            )

    def start(self, running: Sequence[str]) -> bool:
        """Submit the announced tasks, or run them here. Return whether the submission, or the run, was finished.

        running: ids of this sweep's jobs that the scheduler has. Raises SchedulerRefused where the scheduler refuses
        an array.
        """
        if isinstance(self.cluster, Slurm):
            self._submit(running, throttled=self.cluster.parallel_tasks is not None)
            return True
        resources = local.local_resources(self.cluster, self.target.gpus)
        return local.run_locally(self.folder, self.token, self._tasks()[0], resources)

    def _tasks(self) -> list[list[list[str]]]:
        return [[list(population.points) for population in task] for task in self.plan.tasks]

    def _intent(self) -> Intent:
        return Intent(
            submission=self.token,
            time=time.time(),
            cluster=msgspec.to_builtins(self.cluster),
            tasks=self._tasks(),
            arrays=self.arrays,
            job_name=getattr(self, "name", ""),
            host=socket.gethostname(),
            pid=os.getpid(),
            started=started(os.getpid()) or 0,
            package=self.package,
            uid=os.getuid(),
            slurm=self.slurm_name,
            memory=self.memory.bytes,
            raised=dict(self.memory.raised),
            origins=self.target.origins,
            environment=self.target.environment,
            gpus=self.plan.workers if self.target.gpus else 0,
        )

    def _rival(self, known_jobs: int) -> str | None:
        """Return the token of a submission that wrote its intent earlier and shares points with this one."""
        own_points = _points(self._tasks())
        entries = self.folder.jobs()[known_jobs:]
        refused = {entry.submission for entry in entries if isinstance(entry, Refusal)}
        for entry in entries:
            if entry.submission == self.token:
                return None
            if isinstance(entry, Intent) and entry.submission not in refused and own_points & _points(entry.tasks):
                return entry.submission
        return None

    def _submit(self, running: Sequence[str], *, throttled: bool) -> None:
        """Submit one array after the other.

        throttled: a limit on parallel tasks holds over all arrays, so each waits for the one before.
        """
        predecessors = list(running)
        for array, (size, stop) in enumerate(zip(self.arrays, accumulate(self.arrays), strict=True)):
            try:
                name, after = f"{self.name}.{array}", predecessors if throttled else []
                job = self._slurm.submit(self.token, name, stop - size, size, after)
            except SchedulerRefused as error:
                for remaining in range(array, len(self.arrays)):
                    self._refuse(remaining, str(error))
                queued = f"{array} of {len(self.arrays)} arrays are queued" if array else "nothing is queued"
                message = f"{error}; {queued}; the same command again submits the points that are left"
                raise SchedulerRefused(message) from None
            self.folder.note(Submitted(submission=self.token, time=time.time(), array=array, job=job))
            log.info("array job %s: %s", job, count(size, "task"))
            predecessors = [job]

    def _refuse(self, array: int, message: str) -> None:
        self.folder.note(Refusal(submission=self.token, time=time.time(), array=array, message=message))


def _points(tasks: Sequence[Sequence[Sequence[str]]]) -> set[str]:
    return {point for task in tasks for population in task for point in population}
