"""Sweeps run by the command line, as a user would, and the faults that tests cause while they run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ttfsrun.results.record import Record
from ttfsrun.results.sweep_folder import Submitted, SweepFolder
from ttfsrun.results.table_files import TableFiles

CHECKOUT = Path(__file__).parents[2]
WAIT_SECONDS = 150.0  # limit for a condition; twenty times what it takes on an idle machine
DONE, FAILED, USAGE, WITH_FAILURES, INCOMPLETE, REFUSED = 0, 1, 2, 3, 4, 5

#: Eight networks that train for about a second each.
GRID = (
    "seed.init=range(4)",
    "substrate.v_th.chip_std=0.0,0.1",
    "training.epochs=50",
    "network.hidden=[30]",
    "data.samples={train:1500,valid:200,test:200}",
)
POINTS = 8
#: Networks that train for a moment.
SHORT = ("training.epochs=5", "network.hidden=[30]", "data.samples={train:300,valid:50,test:50}")
#: As many as in GRID, for tests that cause no fault while they train.
QUICK = ("seed.init=range(4)", "substrate.v_th.chip_std=0.0,0.1", *SHORT)
#: Two array tasks of four populations of one network, on machines of any speed: results come one by one.
ONE_BY_ONE = ("cluster=slurm", "cluster.cores=1", "cluster.task_minutes=0.001", "cluster.max_tasks=2")


def wait_until(what: str, condition: Callable[[], object], seconds: float = WAIT_SECONDS) -> None:
    """Wait until the condition holds. Raises AssertionError after so many seconds. what: the condition, in words."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def output(*command: object) -> str:
    """Return the output of a command of the scheduler."""
    words = [str(word) for word in command]
    result = subprocess.run(words, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)
    assert result.returncode == 0, f"{' '.join(words)}: {result.stderr}"
    return result.stdout.strip()


class Command:
    """The `ttfsrun` command of this checkout, also in the jobs that it submits."""

    def __init__(self, folder: Path, package: Path = CHECKOUT) -> None:
        """folder: the current folder of the command; package: the folder that `ttfsrun` is imported from."""
        self.folder = folder
        path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
        self.environment = os.environ | {"PYTHONPATH": path}

    def start(self, *words: object, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ttfsrun", *map(str, words)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: object, environment: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        """Run it; return the exit code, the standard output and the standard error."""
        process = self.start(*words, environment=environment)
        out, err = process.communicate(timeout=2 * WAIT_SECONDS)
        return process.returncode, out, err


class Sweep:
    """A sweep on the cluster."""

    def __init__(
        self, command: Command, path: Path, grid: Sequence[str] = GRID, cluster: Sequence[str] = ONE_BY_ONE
    ) -> None:
        self.command, self.path, self.grid, self.cluster = command, path, grid, cluster

    @property
    def folder(self) -> SweepFolder:
        """The sweep's folder, read again."""
        return SweepFolder(self.path)

    @property
    def words(self) -> list[str]:
        """Arguments of the command that makes the sweep or submits its missing points."""
        return ["sweep", *self.grid, *self.cluster, "--out", str(self.path), "--yes"]

    def launch(self, *words: str, environment: Mapping[str, str] | None = None) -> str:
        """Submit the missing points; return the standard error."""
        code, _, err = self.command(*self.words, *words, environment=environment)
        assert code == DONE, err
        return err

    def records(self) -> list[Record]:
        """Return the records of all attempts."""
        return list(self.folder.records())

    def done(self) -> set[str]:
        return {record.point for record in self.records() if record.status == "done"}

    def wait_for_results(self, count: int = 1) -> int:
        """Wait until so many points are done, but not all; return how many are."""
        wait_until(f"{count} results in {self.path}", lambda: len(self.done()) >= count)
        done = len(self.done())
        assert done < len(self.folder.points), "too fast: all points are done before the fault"
        return done

    def freeze(self) -> str:
        """Stop a worker in the middle of a training with SIGSTOP; return the id of its array task."""
        self.wait_for_results()
        worker = self.workers()[0]
        number = int(environment(worker)["SLURM_ARRAY_TASK_ID"])
        done = len(self._shards(number))
        wait_until("a further result of this task", lambda: len(self._shards(number)) > done)
        last = msgspec.json.decode(self._shards(number)[-1], type=Record)
        time.sleep(last.execution.seconds / 2)  # the next network takes as long, on this machine at this time
        os.kill(worker, signal.SIGSTOP)
        return f"{self.jobs()[-1]}_{number}"

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Suspend all workers while the block lasts."""
        workers = self.workers()
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        yield
        for worker in workers:
            os.kill(worker, signal.SIGCONT)

    def _shards(self, task: int) -> list[bytes]:
        """Return the records of one task, as lines."""
        shards = self.path.glob(f"shards/*-{task:05d}-*.results.jsonl")
        return [line for shard in shards for line in shard.read_bytes().splitlines()]

    def jobs(self) -> list[str]:
        return [entry.job for entry in self.folder.jobs() if isinstance(entry, Submitted)]

    def queue(self) -> dict[str, str]:
        """Return the states of the tasks that are still in the queue."""
        lines = output("squeue", "--noheader", "--array", "--format=%i %T %j").splitlines()
        tasks = [line.split() for line in lines]
        return {task: state for task, state, name in tasks if name.startswith("ttfsrun-") and self._includes(task)}

    def _includes(self, task: str) -> bool:
        return task.partition("_")[0] in self.jobs()

    def running(self) -> list[str]:
        return [task for task, state in self.queue().items() if state == "RUNNING"]

    def wait_until_over(self) -> None:
        """Wait until none of its tasks is in the queue."""
        wait_until(f"{self.path} leaves the queue: {self.logs()}", lambda: not self.queue())

    def restarts(self) -> dict[str, int]:
        """Return how often each task was requeued, of those that the scheduler still remembers."""
        shown = output("scontrol", "--oneliner", "show", "job", ",".join(self.jobs()))
        matches = re.findall(r"ArrayJobId=(\d+) ArrayTaskId=(\d+) .*Restarts=(\d+)", shown)
        return {f"{job}_{task}": int(count) for job, task, count in matches}

    def status(self) -> dict[str, Any]:
        """Return the output of `ttfsrun status --json`."""
        code, out, err = self.command("status", self.path, "--json")
        assert code in (DONE, WITH_FAILURES, INCOMPLETE), err
        return dict(json.loads(out))

    def settled(self) -> dict[str, Any]:
        """Wait until nothing runs or waits; return the status."""
        self.wait_until_over()
        status: dict[str, Any] = {}

        def is_settled() -> bool:
            status.update(self.status())  # the accounting may lag behind
            return not any(status[kind] for kind in ("running", "queued", "submitting", "unknown"))

        wait_until(f"the status shows that nothing of {self.path} runs", is_settled)
        return status

    def complete(self) -> None:
        """Do what a user does after a fault: check the status, and retry the missing points."""
        for _ in range(3):
            if self.settled()["done"] == len(self.folder.points):
                return
            code, _, err = self.command("retry", self.path, "--yes")
            assert code == DONE, err
        raise AssertionError(f"{self.path} still lacks points after three retries: {self.logs()}")

    def table(self) -> bytes:
        """Return results and learning curves as bytes, which must be the same wherever they were computed."""
        code, _, err = self.command("gather", self.path, "--bare", "--curves")
        assert not err
        assert code in (DONE, WITH_FAILURES, INCOMPLETE)
        return self.folder.table.read_bytes() + TableFiles(self.folder.table).curves.read_bytes()

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.path.glob("slurm/*.out")))

    def first_epochs(self, task: str) -> list[int]:
        """Return, for each start of a task, the first epoch in its log."""
        log = (self.path / "slurm" / f"{task}_0_log.out").read_text()
        epochs = re.findall(r" process (\d+): epoch (\d+) of", log)
        return list({process: int(epoch) for process, epoch in reversed(epochs)}.values())[::-1]

    def leaders(self) -> list[int]:
        """Return the leaders of this sweep's tasks: process ids."""
        return [pid for pid in pythons("ttfsrun.sweep.worker.array_task") if str(self.path) in argv(pid)]

    def workers(self) -> list[int]:
        """Return the workers of this sweep: process ids."""
        leaders = self.leaders()
        return [pid for pid in pythons("ttfsrun.sweep.worker.process") if parent(pid) in leaders]


def pythons(module: str) -> list[int]:
    """Return the ids of the Python processes that run a module."""
    return [pid for pid in processes() if any(module in word for word in argv(pid))]


def processes() -> list[int]:
    """Return the ids of all processes of this machine."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def argv(pid: int) -> list[str]:
    """Return the command line of a Python process; empty for others, e.g. srun, which repeats the task's."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
    return words if "python" in Path(words[0]).name else []


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def environment(pid: int) -> dict[str, str]:
    """Return the environment of a process; empty where it has ended."""
    try:
        settings = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return {}
    return dict(setting.split("=", 1) for setting in settings if "=" in setting)


def kill(pid: int) -> None:
    """Kill a process as the kernel does when memory is short."""
    os.kill(pid, signal.SIGKILL)
