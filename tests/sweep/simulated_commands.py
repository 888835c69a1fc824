"""The commands of a simulated Slurm, which answer with text, as the real ones do."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from simulated_slurm import LIVE, ArrayTask, SimulatedSlurm

NO_CONTROLLER = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
NO_DATABASE = "error: slurm_persist_conn_open_without_init: failed to open persistent connection to host:localhost"
NO_ACCOUNTING = "Slurm accounting storage is disabled"
LARGEST_ARRAY = 3


class Refused(Exception):
    """A command fails; its message is what the command prints to stderr."""


class Commands:
    """The commands that the product calls."""

    def __init__(self, slurm: SimulatedSlurm) -> None:
        self.slurm = slurm
        self._commands: dict[str, Callable[[list[str]], str]] = {
            "squeue": self._squeue,
            "sacct": self._sacct,
            "sbatch": self._sbatch,
            "scancel": self._scancel,
            "scontrol": self._scontrol,
            "sinfo": lambda words: "normal*|1000000\n",
            "sacctmgr": lambda words: "",
        }

    def run(self, command: Sequence[str], check: bool = False, **_: Any) -> subprocess.CompletedProcess[str]:
        """Answer a command like `subprocess.run`. Time passes meanwhile, except for a command of a task."""
        if self.slurm.current is None:
            self.slurm.advance(self.slurm.chance.choice([0, 0, 0, 1, 4]))
        try:
            answer = self._commands[command[0]](list(command[1:]))
        except Refused as error:
            if check:
                raise subprocess.CalledProcessError(1, command) from None
            return subprocess.CompletedProcess(command, 1, "", str(error))
        return subprocess.CompletedProcess(command, 0, answer, "")

    def _require_controller(self, message: str = NO_CONTROLLER) -> None:
        if not self.slurm.has_controller:
            raise Refused(message)

    def _squeue(self, words: list[str]) -> str:
        self._require_controller()
        live = self.slurm.of_state(*LIVE)
        asked = [word.partition("=")[2] for word in words if word.startswith("--jobs=")]
        if asked:
            return "".join(f"{task.state}\n" for task in live if task.id in asked)
        names = words[words.index("--name") + 1].split(",") if "--name" in words else [task.name for task in live]
        return "".join(_queue_row(task) for task in live if task.name in names)

    def _sacct(self, words: list[str]) -> str:
        if not self.slurm.has_accounting or not self.slurm.has_database:
            raise Refused(NO_DATABASE if self.slurm.has_accounting else NO_ACCOUNTING)
        by_job = "-j" in words
        wanted = words[words.index("-j" if by_job else "--name") + 1].split(",")
        rows = []
        for task, (name, state, code, node) in self.slurm.accounting.items():
            job, _, index = task.partition("_")
            if (job if by_job else name) in wanted:
                shown = f"{job}_[{index}]" if state == "PENDING" else task
                rows.append("|".join((shown, name, "CANCELLED by 0" if state == "CANCELLED" else state, code, node)))
        return "".join(f"{row}\n" for row in rows)

    def _sbatch(self, words: list[str]) -> str:
        self._require_controller("sbatch: error: Batch job submission failed: Unable to contact slurm controller")
        lines = Path(words[-1]).read_text().strip().splitlines()
        options = [line.removeprefix("#SBATCH").strip() for line in lines if line.startswith("#SBATCH")]
        given = dict(option.lstrip("-").partition("=")[::2] for option in options)
        first, _, last = given["array"].partition("%")[0].partition("-")
        indices = range(int(first), int(last or first) + 1)
        return f"Submitted batch job {self.slurm.submit(given['job-name'], indices, shlex.split(lines[-1])[-3:])}\n"

    def _scancel(self, words: list[str]) -> str:
        self._require_controller(f"scancel: error: {NO_CONTROLLER}")
        for task in self.slurm.tasks:
            if task.job in words or task.id in words:
                self.slurm.cancel(task)
        return ""

    def _scontrol(self, words: list[str]) -> str:
        self._require_controller()
        if words[0] == "show":
            return f"ClusterName             = simulated\nMaxArraySize            = {LARGEST_ARRAY}\n"
        for task in self.slurm.of_state("RUNNING"):
            if task.id == words[1]:
                self.slurm.requeue(task)
        return ""


def _queue_row(task: ArrayTask) -> str:
    reason, node = ("Resources", "") if task.node is None else ("None", task.node.name)
    return "|".join((task.id, task.name, task.state, reason, node)) + "\n"
