"""Tasks become array jobs. submitit checks the parameters, writes the script and calls sbatch.

What the jobs run is a command of our own instead of submitit's pickled functions: all that a task needs lies in the
sweep's folder, so no job can outrun the file that it waits for, and nothing is unpickled.
"""

from __future__ import annotations

import getpass
import math
import re
import shlex
import subprocess
from collections.abc import Sequence
from typing import Any

import submitit
from submitit.helpers import clean_env

from ttfsrun.config.cluster import Slurm
from ttfsrun.errors import SchedulerRefused, UserError
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.sweep.worker.interpreter import python_command

SIGNAL_SECONDS = 60  # between the signal and the time limit; Slurm's clock is that coarse
MEMORY_MARGIN = 1.5  # on what is estimated
MEGABYTE = 2**20
FORBIDDEN_IN_PATH = re.compile(r"[%\\\n\r]")  # Slurm reads these in the names of log files
DEFAULT_ARRAY = 1001  # Slurm's own MaxArraySize


class ArraySubmitter:
    """The array jobs of one submission: their scripts, and how they are submitted."""

    def __init__(self, folder: SweepFolder, cluster: Slurm, memory: float) -> None:
        """memory: bytes that a task is estimated to need."""
        if FORBIDDEN_IN_PATH.search(str(folder.path.absolute())):
            raise UserError(f"{folder.path}: Slurm cannot write logs to a path with %, \\ or line breaks; see --out")
        self.folder, self.cluster = folder, cluster
        try:
            self._executor = submitit.SlurmExecutor(folder=folder.slurm.absolute())
        except RuntimeError as error:
            raise SchedulerRefused(f"there is no Slurm here ({error}); cluster=local runs without one") from None
        self._parameters = _parameters(cluster, memory)

    def script(self, submission: str, name: str, first: int, size: int, after: Sequence[str] = ()) -> str:
        """The batch script of one array."""
        self._prepare(name, size, after)
        return self._executor._make_submission_file_text(self._command(submission, first), submission)

    def submit(self, submission: str, name: str, first: int, size: int, after: Sequence[str] = ()) -> str:
        """Submit one array; the id of its job."""
        self._prepare(name, size, after)
        try:
            self.folder.slurm.mkdir(parents=True, exist_ok=True)
            with clean_env():  # in a job, its own settings would become those of the new one
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


def _parameters(cluster: Slurm, memory: float) -> dict[str, Any]:
    """What sbatch is asked for, in submitit's words."""
    further: dict[str, Any] = {"requeue": True}
    if not cluster.srun:  # then the batch shell, replaced by the task itself, has to be told
        further["signal"] = f"B:USR2@{SIGNAL_SECONDS}"
    further |= {key.replace("_", "-"): value for key, value in cluster.sbatch.items() if value is not False}
    wanted = {
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "gres": cluster.gres,
        "time": cluster.limit_minutes,
        "nodes": 1,
        "ntasks_per_node": 1,
        "cpus_per_task": cluster.cores,
        "exclusive": cluster.exclusive or None,
        "mem": _memory(cluster, memory),
        "signal_delay_s": SIGNAL_SECONDS,
        "setup": cluster.setup or None,
        "use_srun": cluster.srun,
        "stderr_to_stdout": True,
        "wckey": None,
        "additional_parameters": further,
    }
    return {key: value for key, value in wanted.items() if value is not None or key == "wckey"}


def _memory(cluster: Slurm, memory: float) -> str | None:
    """What is set, else what is estimated; nothing for whole nodes, and where the user asks in another way."""
    if cluster.memory_gb is not None:
        return f"{math.ceil(cluster.memory_gb * 1e9 / MEGABYTE)}M"
    if cluster.exclusive or any(key.startswith("mem") for key in cluster.sbatch):
        return None
    return f"{math.ceil(MEMORY_MARGIN * memory / MEGABYTE)}M"


def largest_array() -> int:
    """Tasks that an array of this cluster may have."""
    told = [re.match(r"MaxArraySize\s*=\s*(\d+)", row[0]) for row in _rows("scontrol", "show", "config")]
    return next((max(1, int(found[1])) for found in told if found), DEFAULT_ARRAY)


def free_tasks(cluster: Slurm) -> int | None:
    """Array tasks that the user may still submit, as far as the accounting knows; None: no limit."""
    user = getpass.getuser()
    account, qos = cluster.account or "", cluster.qos or ""
    of_user = _rows("sacctmgr", "-nP", "show", "associations", f"user={user}", "format=Account,MaxSubmitJobs")
    limits = [row[1] for row in of_user if len(row) == 2 and account in ("", row[0])]
    if qos:
        limits += [row[1] for row in _rows("sacctmgr", "-nP", "show", "qos", qos, "format=Name,MaxSubmitJobsPerUser")]
    known = [int(limit) for limit in limits if limit.isdecimal()]
    if not known:
        return None
    queued = len(_rows("squeue", "-h", "-r", "-u", user, "-o", "%i"))
    return max(1, min(known) - queued)


def _rows(*command: str) -> list[list[str]]:
    """What a command of the scheduler prints; nothing where it does not answer."""
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.split("|") for line in text.splitlines()]


def array_sizes(tasks: int, largest: int) -> list[int]:
    """The sizes of equal arrays for so many tasks."""
    count = math.ceil(tasks / largest)
    return [tasks * (i + 1) // count - tasks * i // count for i in range(count)]


def job_name(sweep: str, submission: str) -> str:
    """A name without odd characters, by which the arrays of a submission can be found again."""
    return f"ttfsrun-{re.sub(r'[^A-Za-z0-9_.-]', '_', sweep)[:40]}-{submission}"


def _last_line(text: str) -> str:
    told = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Try ")]
    lines = [line for line in told if "error" in line.lower()] or told
    return re.sub(r"^sbatch: (error: )?", "", lines[-1].strip()) if lines else "no reason given"
