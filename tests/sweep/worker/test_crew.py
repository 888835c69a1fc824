"""Worker processes that die, and what that costs: nothing but time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from ttfsrun.config.compose import Composer, conf_dir
from ttfsrun.results.record import Curves, Record
from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.submit.freeze import freeze_points
from ttfsrun.sweep.worker.crew import Crew, Resources, _Worker
from ttfsrun.sweep.worker.messages import Greeting

PATIENCE = 120.0  # seconds

TWO = Resources(cores=2, processes=None, threads=None, memory=None)
ONE = Resources(cores=1, processes=None, threads=None, memory=None)


class Heard:
    """Keeps what it is told, and answers the first epochs with `deed`, given the worker's process id."""

    def __init__(self, deed: Callable[[int], None] = lambda pid: None, times: int = 1) -> None:
        self.records: dict[str, Record] = {}
        self.deaths: list[tuple[list[str], str, str]] = []
        self.epochs: list[tuple[int, int, int]] = []
        self._deed, self._times = deed, times

    def epoch(self, worker: int, done: int, epochs: int, networks: int) -> None:
        self.epochs.append((worker, done, networks))
        if self._times:
            self._times -= 1
            self._deed(worker)

    def finished(self, record: Record, curves: Curves | None) -> None:
        self.records[record.point] = record

    def died(self, points: Sequence[SweepPoint], reason: str, message: str) -> None:
        self.deaths.append(([point.point for point in points], reason, message))

    def results(self) -> dict[str, object]:
        return {name: record.result for name, record in self.records.items()}


@pytest.fixture
def grid(tiny_overrides: tuple[str, ...]) -> list[SweepPoint]:
    """Four points that train for a moment."""
    words = [*tiny_overrides, "seed.init=range(4)", "training.epochs=40"]
    return freeze_points([(p.overrides, p.config) for p in Composer(conf_dir()).expand(words)], ["seed.init"])


@pytest.fixture
def greeting(tmp_path: Path) -> Greeting:
    (tmp_path / "checkpoints").mkdir()
    return Greeting(checkpoints=str(tmp_path / "checkpoints"), submission="s1", job=None, package="code", made_by={})


def ran(grid: Sequence[SweepPoint], greeting: Greeting, share: Resources = ONE, heard: Heard | None = None) -> Heard:
    heard = heard or Heard()
    Crew(share, greeting, heard).run([grid])
    return heard


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def orphans() -> Iterator[Callable[[], list[int]]]:
    """Workers of this process that still live."""

    def found() -> list[int]:
        output = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
        rows = [line.split(None, 2) for line in output.splitlines()]
        return [int(row[0]) for row in rows if row[1] == str(os.getpid()) and "ttfsrun.sweep.worker.process" in row[2]]

    yield found
    assert not found()


@pytest.mark.slow
def test_a_killed_worker_costs_no_point_and_no_bit(grid, greeting, orphans):
    expected = ran(grid, greeting)
    heard = ran(grid, greeting, heard=Heard(kill))
    assert heard.results() == expected.results()
    assert len(heard.records) == 4
    assert len({worker for worker, *_ in heard.epochs}) == 2, "another worker took over"
    assert {networks for *_, networks in heard.epochs} == {4, 2}, "in smaller populations"


@pytest.mark.slow
def test_a_point_that_kills_every_process_fails_after_a_second_try_alone(grid, greeting, orphans):
    heard = ran(grid[:1], greeting, heard=Heard(kill, times=5))
    assert heard.deaths == [([grid[0].point], "out of memory", "its process died of SIGKILL")]
    assert len({worker for worker, *_ in heard.epochs}) == 2


@pytest.mark.slow
def test_a_worker_that_holds_too_much_memory_goes_and_says_how_much(grid, greeting, orphans):
    little = Resources(cores=1, processes=None, threads=None, memory=50_000_000)
    heard = ran(grid[:1], greeting, little)
    ((_, reason, message),) = heard.deaths
    assert reason == "out of memory"
    assert "GB of the 0.05 GB of the task" in message


@pytest.mark.slow
def test_workers_for_which_there_is_no_room_become_fewer(grid, greeting, orphans, monkeypatch):
    """As if each held 1 GB, and there were room for two of the four."""
    hired = []
    monkeypatch.setattr(_Worker, "resident", lambda worker: 10**9)
    monkeypatch.setattr(Crew, "_hired", lambda crew, hire=Crew._hired: hired.append(hire(crew)) or hired[-1])
    heard, four = Heard(), Resources(cores=4, processes=None, threads=None, memory=2_500_000_000)
    many = [msgspec.structs.replace(grid[n % 4], point=f"{n}", training=f"{n}") for n in range(12)]
    Crew(four, greeting, heard).run([[point] for point in many])
    assert len(heard.records) == 12
    assert len(hired) == 4, "none in the place of those that had to go"
    assert {worker for worker, *_ in heard.epochs} == {worker.process.pid for worker in hired if not worker.killed}


@pytest.mark.slow
def test_a_stopped_crew_saves_its_states_and_another_goes_on(grid, greeting, orphans):
    expected = ran(grid, greeting)
    heard = Heard(lambda pid: crew.stop())
    crew = Crew(TWO, greeting, heard)
    crew.run([grid[:2], grid[2:]])
    assert len(heard.records) < 4
    again = Heard()
    Crew(ONE, greeting, again).run([[p for p in half if p.point not in heard.records] for half in (grid[:2], grid[2:])])
    assert heard.results() | again.results() == expected.results()
    assert len(again.epochs) < 2 * 40, "the second went on where the first had stopped"


LEADER = """
import json, sys, msgspec
from ttfsrun.sweep.worker.crew import Crew, Share, _Worker
from ttfsrun.results.sweep_folder import SweepPoint
from ttfsrun.sweep.worker.messages import Greeting
class Heard:
    def epoch(self, worker, *numbers): print(worker, flush=True)
    def finished(self, *record): pass
grid = msgspec.json.decode(sys.stdin.buffer.read(), type=list[SweepPoint])
greeting = Greeting(checkpoints=sys.argv[1], submission="s1", job=None, package="code", made_by={})
Crew(Share(cores=1, processes=None, threads=None, memory=None), greeting, Heard()).run([grid])
"""


@pytest.mark.slow
def test_a_worker_whose_leader_is_killed_saves_its_state_and_leaves(grid, greeting):
    import msgspec

    words = [sys.executable, "-c", LEADER, greeting.checkpoints]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as leader:
        assert leader.stdin is not None
        assert leader.stdout is not None
        leader.stdin.write(msgspec.json.encode(grid))
        leader.stdin.close()
        worker = int(leader.stdout.readline())
        leader.kill()
    until = time.monotonic() + PATIENCE
    while Path(f"/proc/{worker}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
    assert list(Path(greeting.checkpoints).glob("*.safetensors"))


def test_cores_are_shared_out():
    assert [(TWO.workers(n), TWO.threads_of(TWO.workers(n))) for n in (1, 2, 9)] == [(1, 2), (2, 1), (2, 1)]
    big = Resources(cores=16, processes=None, threads=4, memory=None)
    assert (big.workers(100), big.threads_of(4)) == (4, 4)
    few = Resources(cores=16, processes=3, threads=None, memory=None)
    assert (few.workers(100), few.threads_of(3)) == (3, 5)
