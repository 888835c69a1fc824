"""Simulated Slurm: its queue, its accounting that lags behind, its nodes, and their faults.

Time is a counter: `advance` lets each running task take a step. All choices follow from one seed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from simulated_processes import Process, WorkerProcess

from ttfsrun.sweep.worker import array_task

WARNING = signal.SIGUSR2
LIVE = ("PENDING", "RUNNING", "COMPLETING")
DELAYS = (0, 0, 2, 6)  # of the accounting
SAVE_DELAYS = (0, 3, 40)  # until Slurm kills a task that it has asked to end
FRESH = 3  # age of the jobs that a controller forgets when it is killed


@dataclass(eq=False)
class Node:
    name: str
    is_up: bool = True  # Slurm can reach it
    tasks: list[ArrayTask] = field(default_factory=list)


@dataclass(eq=False)
class ArrayTask:
    """An array task in the controller's memory, and its processes."""

    job: str
    index: int
    name: str
    argv: Sequence[str]
    submitted: int
    state: str = "PENDING"
    code: str = "0:0"
    node: Node | None = None
    eligible: int = 0  # earliest start
    deadline: int | None = None  # of its end, after a signal
    final: str | None = None  # state in which it is to end; None: as its exit code says
    is_requeued: bool = False  # at its end
    start: Start | None = None

    @property
    def id(self) -> str:
        return f"{self.job}_{self.index}"


class Start:
    """One start of an array task on a node: a leader, and the workers that it starts."""

    def __init__(self, slurm: SimulatedSlurm, task: ArrayTask, node: Node) -> None:
        self.slurm, self.task, self.node = slurm, task, node
        self.leader = Process(array_task.main)
        self.workers: list[WorkerProcess] = []
        self.handler: Any = None  # of signals
        self.torn_write: float | None = None  # the leader is killed in its next write, after this share of it
        self.is_forgotten = False  # Slurm does not know its job any more
        self._environment = {"SLURM_ARRAY_JOB_ID": task.job, "SLURM_ARRAY_TASK_ID": str(task.index)}
        self._argv = [sys.argv[0], *task.argv]

    @property
    def is_running(self) -> bool:
        return self.leader.exit_code is None

    def step(self) -> None:
        """Let the leader and its workers run to their next pause."""
        with self._as_current(), mock.patch.dict(os.environ, self._environment), mock.patch("sys.argv", self._argv):
            self.leader.step()
        if not self.is_running:
            self.close_workers()

    def close_workers(self) -> None:
        """The end of the leader makes its workers save their states and exit."""
        with self._as_current():
            for worker in self.workers:
                worker.close()
                worker.wait()

    @contextmanager
    def _as_current(self) -> Iterator[None]:
        self.slurm.current = self
        yield
        self.slurm.current = None

    def signal(self, number: int) -> None:
        if self.is_running and self.handler is not None:
            self.handler(number)
        elif self.is_running:
            self.leader.kill(-number)

    def kill(self) -> None:
        """Kill all of its processes."""
        self.leader.kill()
        for worker in self.workers:
            worker.kill()

    def discard(self) -> None:
        """End its threads."""
        self.kill()
        for process in (self.leader, *self.workers):
            process.discard()


class SimulatedSlurm:
    """A cluster of three nodes with one core each."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = 0
        self.nodes = [Node(f"n{number}") for number in range(1, 4)]
        self.tasks: list[ArrayTask] = []
        self.starts: list[Start] = []  # all of them, also those that Slurm has forgotten
        self.current: Start | None = None  # the one that runs at this moment
        self.has_controller = self.has_database = True
        self.has_accounting = self.chance.random() < 0.8  # else it is disabled
        self.has_forgotten = False  # a job
        self.accounting: dict[str, tuple[str, str, str, str]] = {}  # by task: name, state, exit code, node
        self._events: deque[tuple[int, str, tuple[str, str, str, str]]] = deque()  # on their way to the accounting
        self._lagged_until = 0
        self._last_job = 100

    # ---- time

    def advance(self, ticks: int = 1) -> None:
        """Let time pass."""
        for _ in range(ticks):
            self.now += 1
            for start in list(self.starts):
                if start.is_running and self.chance.random() < 0.7:
                    start.step()
            if self.has_controller:
                self._end_tasks()
                self._start_tasks()
            while self.has_database and self._events and self._events[0][0] <= self.now:
                _, task, row = self._events.popleft()
                self.accounting[task] = row
            if self._events:
                self._lagged_until = self.now

    def _start_tasks(self) -> None:
        for task in self.of_state("PENDING"):
            free = [node for node in self.nodes if node.is_up and not node.tasks]
            if task.eligible <= self.now and free:
                task.node = self.chance.choice(free)
                task.node.tasks.append(task)
                task.start = Start(self, task, task.node)
                self.starts.append(task.start)
                self._set(task, "RUNNING")

    def _end_tasks(self) -> None:
        """Notice the tasks whose leader has ended; first kill those that take too long to end."""
        for task in self.of_state("RUNNING", "COMPLETING"):
            assert task.start is not None
            if task.deadline is not None and self.now >= task.deadline:
                task.start.kill()
            code = task.start.leader.exit_code
            if code is not None:
                self._end(task, code)

    def _end(self, task: ArrayTask, code: int) -> None:
        assert task.node is not None
        task.node.tasks.remove(task)
        state = task.final or ("COMPLETED" if code == 0 else "FAILED")
        task.code = f"0:{-code}" if code < 0 else f"{code}:0"
        task.deadline, task.final = None, None
        if task.is_requeued:
            self._requeue(task)
        else:
            self._set(task, state)

    def _requeue(self, task: ArrayTask) -> None:
        task.eligible, task.is_requeued = self.now + self.chance.randrange(1, 6), False
        self._set(task, "PENDING")
        task.node = task.start = None

    def _set(self, task: ArrayTask, state: str) -> None:
        task.state = state
        node = "None assigned" if task.node is None else task.node.name
        self._events.append((self.now + self.chance.choice(DELAYS), task.id, (task.name, state, task.code, node)))
        self._lagged_until = self.now

    # ---- what can be seen of it

    def of_state(self, *states: str) -> list[ArrayTask]:
        return [task for task in self.tasks if task.state in states]

    def running_starts(self) -> list[Start]:
        """Return the starts that compute, whether Slurm knows it or not."""
        return [start for start in self.starts if start.is_running]

    def may_lack_tasks(self, since: int) -> bool:
        """Return whether answers since a time may lack a task: it was forgotten, or the accounting lagged behind."""
        complete = self.has_accounting and self.has_controller and self.has_database and not self.has_forgotten
        return not complete or self._lagged_until >= since

    def has_had(self, submission: str) -> bool:
        """Return whether it has ever known, or forgotten, a task of a submission."""
        return any(submission in task.argv for task in (*self.tasks, *(start.task for start in self.starts)))

    # ---- what its commands do

    def submit(self, name: str, indices: Sequence[int], argv: Sequence[str]) -> str:
        """Queue an array job, and return its id."""
        self._last_job += 1
        job = str(self._last_job)
        for index in indices:
            self.tasks.append(ArrayTask(job, index, name, argv, self.now, eligible=self.now + 1))
            self._set(self.tasks[-1], "PENDING")
        return job

    def cancel(self, task: ArrayTask) -> None:
        if task.state == "PENDING":
            self._set(task, "CANCELLED")
        elif task.state == "RUNNING":
            self.stop(task, "CANCELLED")

    def stop(self, task: ArrayTask, final: str | None, number: int = signal.SIGTERM) -> None:
        """Signal a task; kill it after a while. final: the state in which it ends; None: it is requeued."""
        assert task.start is not None
        task.final, task.is_requeued = final, final is None
        task.deadline = self.now + self.chance.choice(SAVE_DELAYS)
        if final in (None, "CANCELLED"):
            task.state = "COMPLETING"
        task.start.signal(number)

    def reach_time_limit(self, task: ArrayTask) -> None:
        """Warn a task of its time limit; end it a while later."""
        self.stop(task, "TIMEOUT", WARNING)

    def preempt(self, task: ArrayTask) -> None:
        """Signal a task, which squeue still shows as running; it is requeued in any case."""
        self.stop(task, None)
        task.state = "RUNNING"

    def requeue(self, task: ArrayTask) -> None:
        """Requeue a running task, as it wishes itself."""
        task.is_requeued, task.deadline, task.state = True, self.now + max(SAVE_DELAYS), "COMPLETING"

    # ---- faults

    def lose_node(self, node: Node, *, dies: bool) -> None:
        """Slurm takes a node for failed. dies: so it is; otherwise its processes live on, unreachable."""
        for task in list(node.tasks):
            assert task.start is not None
            if dies:
                task.start.kill()
            task.code, task.deadline, task.final = "0:0", None, None
            self._set(task, "NODE_FAIL")
            self._requeue(task)
        node.tasks, node.is_up = [], False

    def return_node(self, node: Node) -> None:
        """Bring a node back; its slurmd kills what Slurm has given up."""
        current = [task.start for task in self.tasks]
        for start in self.starts:
            if start.node is node and start not in current:
                start.kill()
        node.is_up = True

    def crash_controller(self) -> None:
        """Kill slurmctld: it forgets the jobs that were submitted a moment ago, although their tasks may run."""
        self.has_controller = False
        for task in [task for task in self.tasks if task.submitted > self.now - FRESH]:
            self.has_forgotten = True
            self.tasks.remove(task)
            if task.node is not None and task in task.node.tasks:
                task.node.tasks.remove(task)
            if task.start is not None:
                task.start.is_forgotten = True
