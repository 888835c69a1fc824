"""A sweep on a real Slurm: random faults, and what a user does after them, until the sweep is complete.

Several sequences share the cluster, so that its own faults strike all of them.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import development_cluster
from disks import fill
from made_up import tear_last_line
from sweeps import Sweep, kill

from ttfsrun.results.sweep_folder import Intent
from ttfsrun.sweep.monitor.submissions import PointStatus

NODES = ("n1", "n2", "n3")
GIVE_UP_SECONDS = 15.0  # that points are unknown before the user gives them up


class Cluster:
    """What is broken of the cluster, and its repair.

    has_forgotten: slurmctld may have forgotten tasks that it had not saved, and have started them a second time.
    """

    def __init__(self) -> None:
        self.has_forgotten = False
        self._broken: list[tuple[str, ...]] = []

    def kill(self, *part: str) -> None:
        """Kill a daemon, or the daemon or the processes of a node, as `dev-cluster kill` does."""
        development_cluster.call("kill", *part)
        self._broken.append(part)
        self.has_forgotten |= part == ("slurmctld",)

    def repair(self) -> None:
        """Start what was killed."""
        while self._broken:
            development_cluster.call("start", *self._broken.pop())


class FaultSequence:
    """One sequence. Its seed determines which faults happen, to what, and when; what they meet differs each time.

    sweep: in a folder of its own on `disk`, a small file system.
    """

    def __init__(self, seed: int, sweep: Sweep, disk: Path, cluster: Cluster) -> None:
        self.sweep = sweep
        self.story = [f"seed {seed}"]  # what happened, for the message of a failure
        self.may_repeat = False  # a point may be computed twice, since nobody can know that it has been
        self._chance, self._disk, self._cluster = random.Random(seed), disk, cluster
        self._fillers: list[Path] = []
        self._unknown_since: float | None = None

    # ---- the user

    def submit(self) -> None:
        """Give the command that makes the sweep, which submits what is missing, or retry."""
        retry = self.sweep.path.exists() and self._chance.random() < 0.6
        self._call(*(("retry", self.sweep.path, "--yes") if retry else self.sweep.words))

    def react(self) -> bool:
        """Do what a user does: look at the status, then submit what is missing. Return whether all is done."""
        status = self._status()
        if status["done"] == status["points"]:
            return True
        is_lost = status["unknown"] and not (status["running"] or status["queued"] or status["notes"])
        self._unknown_since = (self._unknown_since or time.monotonic()) if is_lost else None
        if status["missing"] or status["failed"]:
            self.submit()
        elif self._unknown_since and time.monotonic() - self._unknown_since > GIVE_UP_SECONDS:
            self.may_repeat = True
            self._call("cancel", self.sweep.path, "--lost", "--yes")
        return False

    def check(self, expected: bytes) -> None:
        """Check that nothing is lost, nothing is computed twice, and the table is that of the undisturbed sweep."""
        assert self.sweep.table() == expected
        times = Counter(record.point for record in self.sweep.records() if record.status == "done")
        assert times.keys() == self.sweep.folder.points.keys()
        assert self.may_repeat or self._cluster.has_forgotten or set(times.values()) == {1}

    def _status(self) -> dict[str, Any]:
        before = self.sweep.done()
        status = self.sweep.status()
        counts = {kind: status[kind] for kind in get_args(PointStatus)}
        self._tell(f"status: { {kind: number for kind, number in counts.items() if number} } {status['notes']}")
        points = set(self.sweep.folder.points)
        assert sum(counts.values()) == status["points"] == len(points)
        assert before <= points - status["not_done"].keys() <= self.sweep.done()
        return status

    def _call(self, *words: object) -> None:
        code, _, messages = self.sweep.command(*words)
        self._tell(f"{words[0]}: {code} {messages.strip()[-200:]}")
        assert code in range(6), self.story[-1]
        assert "Traceback" not in messages

    def _tell(self, what: str) -> None:
        self.story.append(f"{time.strftime('%H:%M:%S')} {what}")

    # ---- the faults

    def cause_a_fault(self) -> None:
        """Let one of the faults happen, where there is something to fail."""
        name = self._chance.choice(list(FAULTS))
        self._tell(name)
        FAULTS[name](self)

    def repair(self) -> None:
        """Free the space of a full disk."""
        while self._fillers:
            self._fillers.pop().unlink(missing_ok=True)

    def kill_a_worker(self) -> None:
        self._kill_one(self.sweep.workers())

    def kill_a_leader(self) -> None:
        self._kill_one(self.sweep.leaders())

    def _kill_one(self, processes: list[int]) -> None:
        if processes:
            try:
                kill(self._chance.choice(processes))
            except ProcessLookupError:
                self._tell("it has ended")

    def kill_slurmctld(self) -> None:
        self._cluster.kill("slurmctld")

    def kill_slurmdbd(self) -> None:
        self._cluster.kill("slurmdbd")

    def kill_a_slurmd(self) -> None:
        self._cluster.kill("slurmd", self._chance.choice(NODES))

    def kill_a_node(self) -> None:
        self._cluster.kill("node", self._chance.choice(NODES))

    def requeue_a_task(self) -> None:
        self._of_a_task("scontrol", "requeue")

    def cancel_a_task(self) -> None:
        self._of_a_task("scancel")

    def _of_a_task(self, *command: str) -> None:
        """Call a command for one of the tasks; where slurmctld is down, or the task has just ended, it fails."""
        jobs = self.sweep.jobs()
        tasks = [f"{job}_{index}" for job in jobs[-1:] for index in range(2)]
        if tasks:
            answer = subprocess.run([*command, self._chance.choice(tasks)], capture_output=True, text=True, check=False)
            self._tell(answer.stderr.strip())

    def cancel_the_sweep(self) -> None:
        self._call("cancel", self.sweep.path, "--yes")

    def fill_the_disk(self) -> None:
        self._fillers.append(fill(self._disk))

    def tear_a_line(self) -> None:
        """Cut the last line of a file that nobody writes, as a power failure may; but no intent: it was on the disk."""
        if self.sweep.leaders() or self.sweep.workers():
            return
        files = sorted(self.sweep.path.glob("shards/*.results.jsonl"))
        if not isinstance(self.sweep.folder.jobs()[-1], Intent):
            files.append(self.sweep.path / "jobs.jsonl")
        if files:
            self.may_repeat = True
            tear_last_line(self._chance.choice(files), self._chance)


FAULTS: dict[str, Callable[[FaultSequence], None]] = {
    name: function
    for name, function in vars(FaultSequence).items()
    if name.startswith(("kill_", "requeue_", "cancel_", "fill_", "tear_"))
}
