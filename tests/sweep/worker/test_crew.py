"""Worker processes that die: that costs time, and no results."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from ttfsrun.config.compose import Composer, conf_dir
from ttfsrun.results.record import Curves, Record
from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.run.devices import Gpu
from ttfsrun.sweep.submit.freeze import freeze_points
from ttfsrun.sweep.worker import crew
from ttfsrun.sweep.worker.crew import Crew, Resources, _Worker
from ttfsrun.sweep.worker.messages import Greeting
from ttfsrun.training.progress import Progress

EXIT_SECONDS = 120.0  # for a worker to exit

TWO = Resources(cores=2, processes=None, threads=None, memory=None)
ONE = Resources(cores=1, processes=None, threads=None, memory=None)


class Recorder:
    """Observer that keeps what it receives, and calls `action` with the worker's process id at the first epochs."""

    def __init__(self, action: Callable[[int], None] = lambda pid: None, times: int = 1) -> None:
        self.records: dict[str, Record] = {}
        self.epochs: list[tuple[int, int, int]] = []
        self._action, self._times = action, times

    def progressed(self, worker: int, progress: Progress) -> None:
        self.epochs.append((worker, progress.epoch, progress.networks))
        if self._times:
            self._times -= 1
            self._action(worker)

    def finished(self, record: Record, curves: Curves | None) -> None:
        self.records[record.point] = record

    def deaths(self) -> list[tuple[str, str | None, str | None]]:
        """The points that failed, with reason and message."""
        failed = [record for record in self.records.values() if record.status == "failed"]
        return [(record.point, record.reason, record.message) for record in failed]

    def results(self) -> dict[str, object]:
        return {name: record.result for name, record in self.records.items()}


@pytest.fixture
def grid(tiny_overrides: tuple[str, ...]) -> list[SweepPoint]:
    """Four points that train for a moment."""
    return four(tiny_overrides, epochs=40)


def four(tiny_overrides: tuple[str, ...], epochs: int) -> list[SweepPoint]:
    words = [*tiny_overrides, "seed.init=range(4)", f"training.epochs={epochs}"]
    return freeze_points([(p.overrides, p.config) for p in Composer(conf_dir()).expand(words)], ["seed.init"])


@pytest.fixture
def greeting(tmp_path: Path) -> Greeting:
    (tmp_path / "checkpoints").mkdir()
    return Greeting(checkpoints=str(tmp_path / "checkpoints"), submission="s1", job=None, package="code", made_by={})


def ran(
    grid: Sequence[SweepPoint], greeting: Greeting, resources: Resources = ONE, recorder: Recorder | None = None
) -> Recorder:
    recorder = recorder or Recorder()
    Crew(resources, greeting, recorder).run([grid])
    return recorder


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def orphans() -> Iterator[Callable[[], list[int]]]:
    """Workers of this process that still live; there must be none in the end."""

    def workers() -> list[int]:
        output = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in output.splitlines()]
        return [int(row[0]) for row in rows if row[1] == str(os.getpid()) and "ttfsrun.sweep.worker.process" in row[2]]

    yield workers
    assert not workers()


@pytest.mark.slow
def test_a_killed_worker_costs_no_point_and_no_bit(grid, greeting, orphans):
    expected = ran(grid, greeting)
    recorder = ran(grid, greeting, recorder=Recorder(kill))
    assert recorder.results() == expected.results()
    assert len(recorder.records) == 4
    assert len({worker for worker, *_ in recorder.epochs}) == 2, "another worker took over"
    assert {networks for *_, networks in recorder.epochs} == {4, 2}, "in smaller populations"


@pytest.mark.slow
def test_a_point_that_kills_every_process_fails_after_a_second_try_alone(grid, greeting, orphans):
    recorder = ran(grid[:1], greeting, recorder=Recorder(kill, times=5))
    assert recorder.deaths() == [(grid[0].point, "out of memory", "its process died of SIGKILL")]
    assert len({worker for worker, *_ in recorder.epochs}) == 2


@pytest.mark.slow
def test_a_worker_that_holds_too_much_memory_goes_and_says_how_much(grid, greeting, orphans):
    little = Resources(cores=1, processes=None, threads=None, memory=50_000_000)
    recorder = ran(grid[:1], greeting, little)
    ((_, reason, message),) = recorder.deaths()
    assert reason == "out of memory"
    assert "GB of the 0.05 GB of the task" in message


@pytest.mark.slow
def test_workers_for_which_there_is_no_room_become_fewer(grid, greeting, orphans, monkeypatch):
    """As if each held 1 GB, and there were room for two of the four; what this process holds does not count."""
    started = []
    monkeypatch.setattr(crew, "_resident", lambda pid: 0)
    monkeypatch.setattr(_Worker, "resident", lambda worker: 10**9)
    monkeypatch.setattr(Crew, "_spawn", lambda crew, spawn=Crew._spawn: started.append(spawn(crew)) or started[-1])
    recorder, four = Recorder(), Resources(cores=4, processes=None, threads=None, memory=2_500_000_000)
    many = [msgspec.structs.replace(grid[n % 4], point=f"{n}", training=f"{n}") for n in range(12)]
    Crew(four, greeting, recorder).run([[point] for point in many])
    assert len(recorder.records) == 12
    assert len(started) == 4, "those that were killed are not replaced"
    assert {worker for worker, *_ in recorder.epochs} == {worker.process.pid for worker in started if not worker.killed}


@pytest.mark.slow
def test_a_stopped_crew_saves_its_states_and_another_goes_on(grid, greeting, orphans):
    expected = ran(grid, greeting)
    recorder = Recorder(lambda pid: crew.stop())
    crew = Crew(TWO, greeting, recorder)
    crew.run([grid[:2], grid[2:]])
    assert len(recorder.records) < 4
    again = Recorder()
    Crew(ONE, greeting, again).run(
        [[p for p in half if p.point not in recorder.records] for half in (grid[:2], grid[2:])]
    )
    assert recorder.results() | again.results() == expected.results()
    assert len(again.epochs) < 2 * 40, "the second resumed where the first had stopped"


LEADER = """
import json, sys, msgspec
from ttfsrun.run.devices import Gpu
from ttfsrun.sweep.worker import crew
from ttfsrun.sweep.worker.crew import Crew, Resources
from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.worker.messages import Greeting
class Recorder:
    def progressed(self, worker, progress): print(worker, flush=True)
    def finished(self, *record): pass
grid = msgspec.json.decode(sys.stdin.buffer.read(), type=list[SweepPoint])
greeting = Greeting(checkpoints=sys.argv[1], submission="s1", job=None, package="code", made_by={})
Crew(Resources(cores=1, processes=None, threads=None, memory=None), greeting, Recorder()).run([grid])
"""


@pytest.mark.slow
def test_a_worker_whose_leader_is_killed_saves_its_state_and_leaves(tiny_overrides, greeting):
    grid = four(tiny_overrides, epochs=3000)  # it must not be over when the worker notices
    words = [sys.executable, "-c", LEADER, greeting.checkpoints]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as leader:
        assert leader.stdin is not None
        assert leader.stdout is not None
        leader.stdin.write(msgspec.json.encode(grid))
        leader.stdin.close()
        worker = int(leader.stdout.readline())
        leader.kill()
    deadline = time.monotonic() + EXIT_SECONDS
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
    assert list(Path(greeting.checkpoints).glob("*.safetensors"))


def test_cores_are_shared_out():
    assert [(TWO.workers(n), TWO.threads_of(TWO.workers(n))) for n in (1, 2, 9)] == [(1, 2), (2, 1), (2, 1)]
    big = Resources(cores=16, processes=None, threads=4, memory=None)
    assert (big.workers(100), big.threads_of(4)) == (4, 4)
    few = Resources(cores=16, processes=3, threads=None, memory=None)
    assert (few.workers(100), few.threads_of(3)) == (3, 5)


WORKER = """
import json, os, sys
def lines():
    while line := sys.stdin.readline():
        yield json.loads(line)
said = lines()
greeting = next(said)
for assignment in said:
    for point in assignment["points"]:
        values = dict(seconds=1.0, memory_mb=1.0, population=1, threads=assignment["threads"], submission="s1")
        values |= dict(host=os.environ["CUDA_VISIBLE_DEVICES"], device=greeting["device"], job=None)
        values |= dict(package="code", made_by={})
        record = dict(point=point["point"], training="t", status="done", time=0.0, execution=values)
        print(json.dumps(dict(type="finished", record=record, curves=None)), flush=True)
    print(json.dumps(dict(type="ready")), flush=True)
"""
FOUR_GPUS = [Gpu(name, 2**30, number) for name, number in zip("AABB", "2367", strict=True)]


def test_each_worker_has_a_gpu_of_its_own_and_names_it(grid, greeting, orphans, monkeypatch):
    monkeypatch.setattr(crew, "python_command", lambda module: [sys.executable, "-c", WORKER])
    recorder = Recorder()
    Crew(replace(TWO, gpus=FOUR_GPUS), greeting, recorder).run([[point] for point in grid])
    executions = [record.execution for record in recorder.records.values()]
    assert {(execution.host, execution.device) for execution in executions} == {*zip("2367", "AABB", strict=True)}
    assert {execution.threads for execution in executions} == {1}


def test_gpus_are_shared_out():
    assert [replace(TWO, gpus=FOUR_GPUS).workers(n) for n in (1, 3, 9)] == [1, 3, 4]
    few = Resources(cores=16, processes=2, threads=None, memory=None, gpus=FOUR_GPUS)
    assert (few.workers(100), few.threads_of(2)) == (2, 8)
