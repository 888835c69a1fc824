"""A plan becomes jobs: the intent is on disk before anybody hears of it, and every answer after it."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from ttfsrun.config.cluster import Debug, Local, Slurm
from ttfsrun.errors import SchedulerRefused, UserError
from ttfsrun.results.sweep_folder import Intent, Refusal, Submitted, SweepFolder
from ttfsrun.sweep.monitor.processes import started
from ttfsrun.sweep.submit import local
from ttfsrun.sweep.submit.plan import GIGABYTE, Plan, Room

log = logging.getLogger(__name__)

Cluster = Local | Debug | Slurm
MEMORY_FIT = 0.9  # share of a task's memory that is planned with


def available_room(cluster: Cluster) -> Room:
    """What a plan has to fit into."""
    if isinstance(cluster, Slurm):
        from ttfsrun.sweep.submit import slurm

        limits = [limit for limit in (cluster.max_tasks, slurm.free_tasks(cluster)) if limit is not None]
        return Room(
            cores=cluster.cores,
            workers=max(1, cluster.cores // (cluster.threads or 1)),
            tasks=min(limits, default=None),
            task_seconds=60 * cluster.task_minutes,
            memory=None if cluster.memory_gb is None else MEMORY_FIT * GIGABYTE * cluster.memory_gb,
        )
    share = local.local_resources(cluster)
    if isinstance(share, int):
        return Room(cores=share, workers=1, tasks=1, task_seconds=None, memory=None)
    memory = None if share.memory is None else MEMORY_FIT * share.memory
    return Room(cores=share.cores, workers=share.workers(share.cores), tasks=1, task_seconds=None, memory=memory)


class Dispatcher:
    """One dispatch of a plan; its token is in the names of its jobs and of its shards."""

    def __init__(self, folder: SweepFolder, cluster: Cluster, made: Plan, package: str) -> None:
        """package: checksum of the code that plans."""
        self.folder, self.cluster, self.plan, self.package = folder, cluster, made, package
        self.token = secrets.token_hex(4)
        self.arrays = [len(made.tasks)]
        if isinstance(cluster, Slurm):
            from ttfsrun.sweep.submit import slurm

            self.arrays = slurm.array_sizes(len(made.tasks), slurm.largest_array())
            self.name = slurm.job_name(folder.path.absolute().name, self.token)
            self._slurm = slurm.ArraySubmitter(folder, cluster, made.memory)

    def script(self) -> str:
        """The batch script of the first array; nothing where there is none."""
        if not isinstance(self.cluster, Slurm):
            return ""
        return self._slurm.script(self.token, f"{self.name}.0", 0, self.arrays[0])

    def start(self, known: int, running: Sequence[str]) -> bool:
        """Hand the tasks over, or run them here. Whether that came to its end.

        known: lines of jobs.jsonl when the plan was made; running: ids of this sweep's jobs that the scheduler has.
        """
        self.folder.note(self._intent())
        rival = self._rival(known)
        if rival is not None:
            self._refuse(0, f"left to submission {rival}")
            raise UserError(
                f"another process (submission {rival}) has just taken points of this sweep: nothing was submitted; "
                "the same command again submits what is left"
            )
        if isinstance(self.cluster, Slurm):
            self._submit(running, throttled=self.cluster.parallel_tasks is not None)
            return True
        return local.run_locally(self.folder, self.token, self._tasks()[0], self.cluster)

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
        )

    def _rival(self, known: int) -> str | None:
        """A submission that wants some of these points, too, and wrote that down earlier."""
        own = {point for task in self._tasks() for population in task for point in population}
        entries = self.folder.jobs()[known:]
        refused = {entry.submission for entry in entries if isinstance(entry, Refusal)}
        for entry in entries:
            if entry.submission == self.token:
                return None
            if isinstance(entry, Intent) and entry.submission not in refused:
                wanted = {point for task in entry.tasks for population in task for point in population}
                if own & wanted:
                    return entry.submission
        return None

    def _submit(self, running: Sequence[str], *, throttled: bool) -> None:
        """One array after the other. A limit on parallel tasks holds over all: each array waits for the one before."""

        after = list(running)
        for array, (size, stop) in enumerate(zip(self.arrays, accumulate(self.arrays), strict=True)):
            try:
                name, waiting = f"{self.name}.{array}", after if throttled else []
                job = self._slurm.submit(self.token, name, stop - size, size, waiting)
            except SchedulerRefused as error:
                for rest in range(array, len(self.arrays)):
                    self._refuse(rest, str(error))
                queued = f"{array} of {len(self.arrays)} arrays are queued" if array else "nothing is queued"
                raise SchedulerRefused(f"{error}; {queued}; the same command again submits what is left") from None
            self.folder.note(Submitted(submission=self.token, time=time.time(), array=array, job=job))
            log.info("array job %s: %d tasks", job, size)
            after = [job]

    def _refuse(self, array: int, message: str) -> None:
        self.folder.note(Refusal(submission=self.token, time=time.time(), array=array, message=message))
