"""A sweep on a simulated Slurm: random faults, and what a user does after them, until the sweep is complete."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from made_up import tear_last_line
from simulated_machine import Machine, SubmitterDied
from simulated_slurm import LIVE, SimulatedSlurm, Start

from ttfsrun.results import lines
from ttfsrun.results.sweep_folder import Intent, SweepFolder
from ttfsrun.results.views import RecordSummary
from ttfsrun.sweep.monitor.submissions import PointStatus

Call = Callable[..., tuple[int, str, str]]

FAULTS = 6  # of a sequence
ROUNDS = 80  # limit of what a user does until the sweep is complete
VERBS = ("kill_", "cut_", "requeue_", "preempt_", "end_", "cancel_", "fill_", "tear_")  # of the names of faults


def table(path: Path) -> bytes:
    """Return the table and the learning curves of a sweep."""
    return (path / "table.csv").read_bytes() + (path / "curves.csv").read_bytes()


class FaultSequence:
    """One sequence; its seed determines all that happens.

    path: the folder of the sweep. command: the words that make the sweep, and submit what is missing.
    """

    def __init__(self, seed: int, path: Path, ttfsrun: Call, command: Sequence[object]) -> None:
        self.slurm = SimulatedSlurm(seed)
        self.machine = Machine(self.slurm)
        self.story: list[str] = []  # what happened, for the message of a failure
        self._path, self._ttfsrun, self._command = path, ttfsrun, command
        self._units: dict[str, list[list[list[str]]]] = {}  # points by submission, array task and population
        self._may_repeat = False  # a point may be computed twice, since nobody can know that it has been
        self._gave_up = False

    @property
    def _chance(self) -> random.Random:
        return self.slurm.chance

    def run(self) -> None:
        """Start the sweep, let faults happen, then repair and submit until it is complete."""
        self._submit()
        for _ in range(FAULTS):
            self.slurm.advance(self._chance.randrange(12))
            self._cause_a_fault()
            if self._chance.random() < 0.5:
                self._react()
        for _ in range(ROUNDS):
            self.slurm.advance(self._chance.randrange(2, 25))
            self._repair()
            if self._react():
                return
        raise AssertionError(f"not complete after {ROUNDS} rounds")

    def check(self, expected: bytes) -> None:
        """Check that nothing is lost, nothing is computed twice, and the table is that of the undisturbed sweep."""
        code, _, messages = self._call("gather", self._path, "--bare", "--curves")
        assert (code, messages) == (0, "")
        assert table(self._path) == expected
        times = Counter(record.point for record in self._attempts() if record.status == "done")
        assert times.keys() == SweepFolder(self._path).points.keys()
        assert self._may_repeat or set(times.values()) == {1}

    def discard(self) -> None:
        """End all of its processes."""
        for start in self.slurm.starts:
            start.discard()

    # ---- the truth, which the product cannot see

    def _attempts(self) -> list[RecordSummary]:
        shards = sorted(self._path.glob("shards/*.results.jsonl"))
        return [record for shard in shards for record in lines.read_lines(shard, RecordSummary)]

    def _done(self) -> set[str]:
        return {attempt.point for attempt in self._attempts() if attempt.status == "done"}

    def _alive(self) -> set[str]:
        """Return the points with a task that runs or waits: Slurm knows it, or nobody has given it up."""
        recorded = {(record.execution.submission, record.point) for record in self._attempts()}
        forgotten = [] if self._gave_up else [start.task for start in self.slurm.running_starts() if start.is_forgotten]
        points = set()
        for task in [*self.slurm.of_state(*LIVE), *forgotten]:
            _, token, first = task.argv
            for population in self._units[token][int(first) + task.index]:
                points |= {point for point in population if (token, point) not in recorded}
        return points

    # ---- the user

    def _call(self, *words: object) -> tuple[int, str, str]:
        code, out, err = self._ttfsrun(*words)
        self._tell(f"{words[0]} {' '.join(map(str, words[2:4]))}: {code} {err.strip()[-200:]}")
        assert code in range(6), self.story[-1]
        assert "Traceback" not in err
        return code, out, err

    def _tell(self, what: str) -> None:
        self.story.append(f"{self.slurm.now}: {what}")

    def _submit(self) -> None:
        """Give the command that makes the sweep, which submits what is missing, or retry."""
        retry = self._units and self._chance.random() < 0.6
        words = ("retry", self._path) if retry else self._command
        try:
            self._call(*words, "--yes")
        except SubmitterDied:
            self._tell(f"{words[0]} was killed")
        intents = [entry for entry in SweepFolder(self._path).jobs() if isinstance(entry, Intent)]
        self._units |= {intent.submission: intent.tasks for intent in intents}

    def _status(self) -> dict[str, Any]:
        """Return the status, after a check that it is true."""
        slurm, done_before, alive_before, since = self.slurm, self._done(), self._alive(), self.slurm.now
        _, out, _ = self._call("status", self._path, "--json")
        status = dict(json.loads(out))
        counts = {kind: status[kind] for kind in get_args(PointStatus)}
        self.story[-1] += f"{ {kind: number for kind, number in counts.items() if number} } {status['notes']}"
        points, done_after, alive_after = set(SweepFolder(self._path).points), self._done(), self._alive()
        assert sum(counts.values()) == status["points"] == len(points)
        assert done_before <= points - status["not_done"].keys() <= done_after
        for point, state in status["not_done"].items():
            kind, told = state["kind"], f"{point}: {state}"
            if kind in ("missing", "failed"):
                assert point not in alive_after, f"{told}, and a task computes it"
            elif kind in ("running", "queued"):
                assert point in alive_before | alive_after | done_after or not slurm.has_controller, told
            else:
                assert kind == "unknown", told
                assert status["notes"] or slurm.may_lack_tasks(since), told
        return status

    def _react(self) -> bool:
        """Do what a user does: look at the status, then submit what is missing. Return whether all is done."""
        status = self._status()
        if status["done"] == status["points"]:
            return True
        if status["missing"] or status["failed"] or self._chance.random() < 0.1:
            self._submit()
        elif status["unknown"] and self._seems_lost(status):
            self._gave_up = self._may_repeat = True
            self._call("cancel", self._path, "--lost", "--yes")
        return False

    def _seems_lost(self, status: Mapping[str, Any]) -> bool:
        """Return whether the user gives up what is unknown: Slurm answers, and still does not know it."""
        return not self.slurm.has_accounting or (not status["notes"] and self._chance.random() < 0.5)

    def _repair(self) -> None:
        """Do what an administrator does: each broken part is repaired sooner or later."""
        slurm, machine = self.slurm, self.machine
        slurm.has_controller = slurm.has_controller or self._chance.random() < 0.5
        slurm.has_database = slurm.has_database or self._chance.random() < 0.5
        machine.disk_is_full = machine.disk_is_full and self._chance.random() < 0.5
        for node in slurm.nodes:
            if not node.is_up and self._chance.random() < 0.4:
                slurm.return_node(node)

    # ---- the faults: methods whose names say what they do

    def _cause_a_fault(self) -> None:
        names = [name for name in vars(FaultSequence) if name.startswith(VERBS)]
        name = self._chance.choice(names)
        self._tell(name)
        getattr(self, name)()

    def _a_running_start(self) -> list[Start]:
        """Return one start that runs and that Slurm knows, or none."""
        starts = [task.start for task in self.slurm.of_state("RUNNING") if task.start and task.start.is_running]
        return [self._chance.choice(starts)] if starts else []

    def kill_a_worker(self) -> None:
        for start in self._a_running_start():
            for worker in start.workers[-1:]:
                worker.kill()

    def kill_a_leader(self) -> None:
        for start in self._a_running_start():
            start.leader.kill()
            start.close_workers()

    def kill_a_leader_while_it_writes(self) -> None:
        for start in self._a_running_start():
            start.torn_write = self._chance.random()

    def kill_a_node(self) -> None:
        self.slurm.lose_node(self._chance.choice(self.slurm.nodes), dies=True)

    def cut_off_a_node(self) -> None:
        self._may_repeat = True
        self.slurm.lose_node(self._chance.choice(self.slurm.nodes), dies=False)

    def kill_slurmctld(self) -> None:
        self.slurm.crash_controller()

    def kill_slurmdbd(self) -> None:
        self.slurm.has_database = False

    def requeue_a_task(self) -> None:
        for start in self._a_running_start():
            self.slurm.stop(start.task, None)

    def preempt_a_task(self) -> None:
        for start in self._a_running_start():
            self.slurm.preempt(start.task)

    def end_a_task_at_its_time_limit(self) -> None:
        for start in self._a_running_start():
            self.slurm.reach_time_limit(start.task)

    def end_a_task_that_exceeds_its_memory(self) -> None:
        for start in self._a_running_start():
            start.task.final = "OUT_OF_MEMORY"
            start.kill()

    def cancel_a_job(self) -> None:
        live = self.slurm.of_state("PENDING", "RUNNING")
        if live and self.slurm.has_controller:
            task = self._chance.choice(live)
            self.machine.commands.run(["scancel", self._chance.choice([task.job, task.id])])

    def cancel_the_sweep(self) -> None:
        self._call("cancel", self._path, "--yes")

    def fill_the_disk(self) -> None:
        self.machine.disk_is_full = True

    def kill_the_next_submission(self) -> None:
        self.machine.submitter_dies = self._chance.choice(["before", "after"])

    def tear_a_line(self) -> None:
        """Cut the last line of a file that nobody writes, as a power failure may.

        An intent stays whole once Slurm has its job, since it is on the disk before Slurm is asked.
        """
        writing = {start.task.argv[1] for start in self.slurm.running_starts()}
        shards = sorted(self._path.glob("shards/*.results.jsonl"))
        files = [shard for shard in shards if shard.name.partition("-")[0] not in writing]
        last_entry = SweepFolder(self._path).jobs()[-1:]
        if not any(isinstance(entry, Intent) and self.slurm.has_had(entry.submission) for entry in last_entry):
            files.append(self._path / "jobs.jsonl")
        if files:
            self._may_repeat = True
            tear_last_line(self._chance.choice(files), self._chance)
