"""A sweep on a real Slurm: random faults, and what a user does after them, until the sweep is complete.

Several sequences share the cluster, so that its own faults strike all of them.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import development_cluster
from disks import fill
from made_up import tear_last_line
from sweeps import WAIT_SECONDS, Sweep, environment, kill, processes

from ttfsrun.results.sweep_folder import Intent
from ttfsrun.sweep.monitor.submissions import PointStatus

NODES = ("n1", "n2", "n3")
GIVE_UP_SECONDS = 15.0  # that points are unknown before the user gives them up


class Cluster:
    """What is broken of the cluster, and its repair.

    may_repeat: paths of the sweeps of which a point may be computed twice, since nobody can know that it has been or
    that it is being computed.
    """

    def __init__(self, sweeps: Sequence[Sweep]) -> None:
        self.may_repeat: set[Path] = set()
        self._sweeps = sweeps
        self._broken: list[tuple[str, ...]] = []

    @property
    def has_controller(self) -> bool:
        """Whether slurmctld runs."""
        return ("slurmctld",) not in self._broken

    @property
    def nodes(self) -> list[str]:
        """The nodes that work."""
        return [node for node in NODES if not any(node in part for part in self._broken)]

    def kill(self, *part: str) -> bool:
        """Kill what runs: a daemon, or the daemon or the processes of a node, as `dev-cluster kill` does."""
        if part in self._broken:
            return False
        development_cluster.call("kill", *part)
        self._broken.append(part)
        jobs = set()
        if part == ("slurmctld",):
            jobs = development_cluster.unsaved_jobs()
        elif part[0] == "slurmd":  # Slurm starts the tasks of this node a second time, on another one
            jobs = _jobs_on(part[1])
        self.may_repeat |= {sweep.path for sweep in self._sweeps if sweep.path.exists() and jobs & set(sweep.jobs())}
        return True

    def repair(self) -> None:
        """Start what was killed, and resume what Slurm has stopped."""
        while self._broken:
            development_cluster.call("start", *self._broken.pop())
        development_cluster.resume()


def _jobs_on(node: str) -> set[str]:
    """Return the ids of the jobs with processes on a node."""
    settings = [environment(pid) for pid in processes()]
    return {each.get("SLURM_ARRAY_JOB_ID", "") for each in settings if each.get("SLURMD_NODENAME") == node}


class FaultSequence:
    """One sequence. Its seed determines which faults happen, to what, and when; what they meet differs each time.

    sweep: in a folder of its own on `disk`, a small file system.
    """

    def __init__(self, seed: int, sweep: Sweep, disk: Path, cluster: Cluster) -> None:
        self.sweep = sweep
        self.story = [f"seed {seed}"]  # what happened, for the message of a failure
        self._chance, self._disk, self._cluster = random.Random(seed), disk, cluster
        self._fillers: list[Path] = []
        self._unknown_since: float | None = None

    @property
    def may_repeat(self) -> bool:
        """Whether a point may be computed twice."""
        return self.sweep.path in self._cluster.may_repeat

    def suffer(self, name: str) -> bool:
        """Let a fault happen, if it can; then, sometimes, the user reacts or the cluster is repaired.

        Return whether it happened.
        """
        if not FAULTS[name](self):
            return False
        self._tell(name)
        time.sleep(self._chance.random())
        if self._chance.random() < 0.3:
            self.react()
        if self._chance.random() < 0.5:
            self._cluster.repair()
            self.repair()
        return True

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
            self._cluster.may_repeat.add(self.sweep.path)
            self._call("cancel", self.sweep.path, "--lost", "--yes")
        return False

    def check(self, expected: bytes) -> None:
        """Check that nothing is lost, nothing is computed twice, and the table is that of the undisturbed sweep."""
        assert self.sweep.table() == expected
        times = Counter(record.point for record in self.sweep.records() if record.status == "done")
        assert times.keys() == self.sweep.folder.points.keys()
        assert self.may_repeat or set(times.values()) == {1}

    def _status(self) -> dict[str, Any]:
        before, leaders = self.sweep.done(), self.sweep.leaders()
        status = self.sweep.status()
        leaders = [leader for leader in self.sweep.leaders() if leader in leaders]
        counts = {kind: status[kind] for kind in get_args(PointStatus)}
        self._tell(f"status: { {kind: number for kind, number in counts.items() if number} } {status['notes']}")
        points = set(self.sweep.folder.points)
        assert sum(counts.values()) == status["points"] == len(points)
        assert before <= points - status["not_done"].keys() <= self.sweep.done()
        is_over = bool(status["not_done"]) and counts["missing"] + counts["failed"] == len(status["not_done"])
        assert self.may_repeat or not (leaders and is_over), f"{self.story[-1]}, and tasks run"
        return status

    def _call(self, *words: object) -> None:
        code, _, messages = self.sweep.command(*words)
        self._tell(f"{words[0]}: {code} {messages.strip()[-200:]}")
        assert code in range(6), self.story[-1]
        assert "Traceback" not in messages

    def _tell(self, what: str) -> None:
        self.story.append(f"{time.strftime('%H:%M:%S')} {what}")

    # ---- the faults: methods that return whether it happened, which they do only where it has an effect

    def repair(self) -> None:
        """Free the space of a full disk."""
        while self._fillers:
            self._fillers.pop().unlink(missing_ok=True)

    def kill_a_worker(self) -> bool:
        return self._kill_one(self.sweep.workers())

    def kill_a_leader(self) -> bool:
        return self._kill_one(self.sweep.leaders())

    def _kill_one(self, pids: list[int]) -> bool:
        try:
            kill(self._chance.choice(pids))
        except (IndexError, ProcessLookupError):  # there is none, or it has just ended
            return False
        return True

    def kill_slurmctld(self) -> bool:
        return self._cluster.kill("slurmctld")

    def kill_slurmctld_when_it_has_saved(self) -> bool:
        tasks = self._tasks("RUNNING", "PENDING")
        if tasks:
            development_cluster.wait_until_saved(tasks[0])
        return bool(tasks) and self._cluster.kill("slurmctld")

    def kill_slurmdbd(self) -> bool:
        return self._cluster.kill("slurmdbd")

    def kill_a_slurmd(self) -> bool:
        nodes = self._cluster.nodes
        return bool(nodes) and self._cluster.kill("slurmd", self._chance.choice(nodes))

    def kill_a_node(self) -> bool:
        nodes = self._cluster.nodes
        return bool(nodes) and self._cluster.kill("node", self._chance.choice(nodes))

    def requeue_a_task(self) -> bool:
        return self._of_a_task("scontrol", "requeue")

    def cancel_a_task(self) -> bool:
        return self._of_a_task("scancel")

    def _of_a_task(self, *command: str) -> bool:
        """Call a command for one of the tasks; where the task has just ended, it fails."""
        tasks = self._tasks("RUNNING")
        return bool(tasks) and subprocess.run([*command, self._chance.choice(tasks)], check=False).returncode == 0

    def _tasks(self, *states: str) -> list[str]:
        """Return the tasks that Slurm knows, if it answers."""
        queue = self.sweep.queue() if self._cluster.has_controller else {}
        return [task for task, state in queue.items() if state in states]

    def cancel_the_sweep(self) -> bool:
        tasks = self._tasks("RUNNING", "PENDING")
        if tasks:
            self._call("cancel", self.sweep.path, "--yes")
        return bool(tasks)

    def fill_the_disk(self) -> bool:
        is_needed = bool(self.sweep.leaders()) and not self._fillers
        if is_needed:
            self._fillers.append(fill(self._disk))
        return is_needed

    def tear_a_line(self) -> bool:
        """Cut the last line of a file that nobody writes, as a power failure may; but no intent: it was on the disk."""
        files = sorted(self.sweep.path.glob("shards/*.results.jsonl"))
        if not isinstance(self.sweep.folder.jobs()[-1], Intent):
            files.append(self.sweep.path / "jobs.jsonl")
        if not files or self.sweep.leaders() or self.sweep.workers():
            return False
        file = self._chance.choice(files)
        tear_last_line(file, self._chance)
        if file == self.sweep.folder.jobs_file:
            self._cluster.may_repeat.add(self.sweep.path)
        return True


FAULTS: dict[str, Callable[[FaultSequence], bool]] = {
    name: function
    for name, function in vars(FaultSequence).items()
    if name.startswith(("kill_", "requeue_", "cancel_", "fill_", "tear_"))
}


def cause_faults(sequences: Sequence[FaultSequence], cluster: Cluster) -> Counter[str]:
    """Let each fault happen to one of the sequences, in a random order, then some again; return how often they did.

    The first time, the moment when it has an effect is waited for, unless all sweeps are done.
    """
    chance = random.Random(" ".join(sequence.story[0] for sequence in sequences))
    happened: Counter[str] = Counter()
    for name in [*chance.sample(list(FAULTS), len(FAULTS)), *chance.sample(list(FAULTS), len(FAULTS) // 2)]:
        deadline = time.monotonic() + WAIT_SECONDS
        while not any(sequence.suffer(name) for sequence in chance.sample(sequences, len(sequences))):
            assert time.monotonic() < deadline, f"no moment for {name}"
            cluster.repair()
            unfinished = [sequence for sequence in sequences if not sequence.react()]
            if happened[name] or not unfinished:
                break
        else:
            happened[name] += 1
    return happened
