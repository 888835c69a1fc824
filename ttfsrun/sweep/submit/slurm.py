"""Array jobs of a submission. submitit checks the parameters, writes the script and calls sbatch.

The jobs run a command of ttfsrun instead of submitit's pickled functions: everything that a task needs is in the
sweep's folder before the job is submitted, and nothing is unpickled.
"""

from __future__ import annotations

import getpass
import math
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import submitit
from submitit.helpers import clean_env

from ttfsrun.config.cluster import Slurm
from ttfsrun.errors import SchedulerRefused, UserError
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.sweep.slurm_environment import command_environment
from ttfsrun.sweep.worker.interpreter import python_command

SIGNAL_SECONDS = 60  # between the signal and the time limit; Slurm's clock is that coarse
MEGABYTE = 2**20
FORBIDDEN_IN_PATH = re.compile(r"[%\\\n\r]")  # special to Slurm in the names of log files
NOTHING: Mapping[str, str] = MappingProxyType({})
DEFAULT_MAX_ARRAY_SIZE = 1001  # Slurm's own default of MaxArraySize


class ArraySubmitter:
    """Scripts and submission of the array jobs of one dispatch."""

    def __init__(
        self, folder: SweepFolder, cluster: Slurm, memory: float | None, environment: Mapping[str, str] = NOTHING
    ) -> None:
        """memory: bytes that each task requests, if any. environment: variables that sbatch reads.

        Raises UserError where Slurm cannot write into the folder, SchedulerRefused where there is no Slurm.
        """
        if FORBIDDEN_IN_PATH.search(str(folder.path.absolute())):
            raise UserError(f"{folder.path}: Slurm cannot write logs to a path with %, \\ or line breaks; see --out")
        self.folder, self.cluster, self.environment = folder, cluster, environment
        try:
            self._executor = submitit.SlurmExecutor(folder=folder.slurm.absolute())
        except RuntimeError as error:
            raise SchedulerRefused(f"Slurm is not available ({error}); cluster=local runs without it") from None
        self._parameters = _parameters(cluster, memory)

    def script(self, submission: str, name: str, first: int, size: int, after: Sequence[str] = ()) -> str:
        """Return the batch script of one array."""
        self._prepare(name, size, after)
        return self._executor._make_submission_file_text(self._command(submission, first), submission)

    def submit(self, submission: str, name: str, first: int, size: int, after: Sequence[str] = ()) -> str:
        """Submit one array and return the id of its job. Raises SchedulerRefused."""
        self._prepare(name, size, after)
        try:
            self.folder.slurm.mkdir(parents=True, exist_ok=True)
            with clean_env():  # a job's own settings would otherwise apply to the jobs that it submits
                os.environ.update(self.environment)
                return str(self._executor._submit_command(self._command(submission, first)).job_id)
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError, OSError) as error:
            raise SchedulerRefused(f"sbatch: {_last_line(str(error))}") from None

    def _prepare(self, name: str, size: int, after: Sequence[str]) -> None:
        parameters = self._parameters | {"job_name": name, "array_parallelism": self.cluster.parallel_tasks or size}
        if after:
            parameters["dependency"] = "afterany:" + ":".join(after)
        self._executor.update_parameters(**parameters)
        self._executor.parameters["map_count"] = size

    def _command(self, submission: str, first: int) -> str:
        words = [
            *python_command("ttfsrun.sweep.worker.array_task"),
            str(self.folder.path.absolute()),
            submission,
            str(first),
        ]
        return ("" if self.cluster.srun else "exec ") + shlex.join(words)


def _parameters(cluster: Slurm, memory: float | None) -> dict[str, Any]:
    """Return the parameters of sbatch under submitit's names."""
    additional: dict[str, Any] = {"requeue": True}
    if not cluster.srun:  # the task replaces the batch shell, which must get the signal
        additional["signal"] = f"B:USR2@{SIGNAL_SECONDS}"
    additional |= {key.replace("_", "-"): value for key, value in cluster.sbatch.items() if value is not False}
    parameters = {
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "gres": cluster.gres,
        "gpus_per_task": cluster.gpus if cluster.gres is None else None,
        "time": cluster.limit_minutes,
        "nodes": 1,
        "ntasks_per_node": 1,
        "cpus_per_task": cluster.cores,
        "exclusive": cluster.exclusive or None,
        "mem": None if memory is None else f"{math.ceil(memory / MEGABYTE)}M",
        "signal_delay_s": SIGNAL_SECONDS,
        "setup": cluster.setup or None,
        "use_srun": cluster.srun,
        "stderr_to_stdout": True,
        "wckey": None,
        "additional_parameters": additional,
    }
    return {key: value for key, value in parameters.items() if value is not None or key == "wckey"}


@dataclass(frozen=True)
class Limits:
    """What the configuration of a cluster says."""

    name: str | None = None
    largest_array: int = DEFAULT_MAX_ARRAY_SIZE  # tasks of an array


def cluster_limits(cluster: Slurm) -> Limits:
    """Return the name of a cluster, and the largest number of tasks that an array may have there."""
    rows = _rows("scontrol", *_elsewhere(cluster), "show", "config")
    values = {key.strip(): value.strip() for key, _, value in (row[0].partition("=") for row in rows)}
    largest = values.get("MaxArraySize", "")
    return Limits(values.get("ClusterName"), max(1, int(largest)) if largest.isdecimal() else DEFAULT_MAX_ARRAY_SIZE)


def largest_node(cluster: Slurm) -> float | None:
    """Return the memory of the largest node that the tasks may use, in bytes; None: unknown."""
    rows = [row for row in _rows("sinfo", *_elsewhere(cluster), "-a", "-h", "-N", "-o", "%P|%m") if len(row) == 2]
    chosen = [] if cluster.partition is None else cluster.partition.split(",")
    rows = [row for row in rows if row[0].rstrip("*") in chosen or (not chosen and row[0].endswith("*"))] or rows
    return max((float(row[1]) * MEGABYTE for row in rows if row[1].isdecimal()), default=0.0) or None


def _elsewhere(cluster: Slurm) -> list[str]:
    """Return the option that names the cluster, where it is not that of this machine."""
    name = cluster.sbatch.get("clusters")
    return ["-M", str(name)] if name else []


def free_tasks(cluster: Slurm) -> int | None:
    """Return the number of array tasks that the user may still submit; None: the accounting has no limit."""
    user = getpass.getuser()
    account, qos = cluster.account or "", cluster.qos or ""
    associations = _rows("sacctmgr", "-nP", "show", "associations", f"user={user}", "format=Account,MaxSubmitJobs")
    limits = [row[1] for row in associations if len(row) == 2 and account in ("", row[0])]
    if qos:
        limits += [row[1] for row in _rows("sacctmgr", "-nP", "show", "qos", qos, "format=Name,MaxSubmitJobsPerUser")]
    numbers = [int(limit) for limit in limits if limit.isdecimal()]
    if not numbers:
        return None
    queued = len(_rows("squeue", "-a", "-h", "-r", "-u", user, "-o", "%i"))
    return max(1, min(numbers) - queued)


def _rows(*command: str) -> list[list[str]]:
    """Return the output of a command of the scheduler, split at `|`; no rows where it fails."""
    try:
        text = subprocess.run(
            command, env=command_environment(), capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.split("|") for line in text.splitlines()]


def array_sizes(tasks: int, largest: int) -> list[int]:
    """Return the sizes of the fewest arrays, as equal as possible, that hold the tasks."""
    count = math.ceil(tasks / largest)
    return [tasks * (i + 1) // count - tasks * i // count for i in range(count)]


def job_name(sweep: str, submission: str) -> str:
    """Return a name without special characters, by which the arrays of a submission are found."""
    return f"ttfsrun-{re.sub(r'[^A-Za-z0-9_.-]', '_', sweep)[:40]}-{submission}"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Try ")]
    errors = [line for line in lines if "error" in line.lower()] or lines
    return re.sub(r"^sbatch: (error: )?", "", errors[-1].strip()) if errors else "no reason given"
