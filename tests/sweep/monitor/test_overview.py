"""The report of `status`: counts, failures with their logs, the time left, and the next command."""

from __future__ import annotations

import json
import os
from pathlib import Path

import made_up
import pytest
from made_up import START, Fake

from ttfsrun.results.wording import duration
from ttfsrun.sweep.monitor.overview import StatusReport, watch_status
from ttfsrun.sweep.monitor.scheduler import ScheduledTask
from ttfsrun.sweep.monitor.status import sweep_status
from ttfsrun.sweep.monitor.submissions import concurrency


@pytest.fixture
def half_done(tmp_path: Path) -> StatusReport:
    """Twelve points: six are done, three failed, two run, and one is held in the queue; tasks have four cores."""
    folder, points = made_up.seeds(tmp_path, 12)
    made_up.submit(folder, made_up.gone([points[:10], points[10:11], points[11:]]), made_up.submitted("12"))
    entries = [made_up.done(point, seconds=30.0, threads=2, job="12_0") for point in points[:6]]
    entries += [made_up.failed(point, time=START + 9, job="12_0") for point in points[6:8]]
    entries += [made_up.failed(points[8], "out of memory", "needs 9 GB\nmore", time=START + 9)]
    made_up.write(folder, entries)
    folder.slurm.mkdir()
    (folder.slurm / "12_0_0_log.out").write_text("one\ntwo\n")
    held = ScheduledTask("queued", "PENDING", "JobHeldUser")
    tasks = {"12_0": ScheduledTask("running", "RUNNING"), "12_1": ScheduledTask("running", "RUNNING"), "12_2": held}
    return StatusReport(sweep_status(folder, Fake(tasks, notes=("sacct did not answer within 10 s",))))


def test_it_reads_as_a_page(half_done: StatusReport) -> None:
    folder, points = half_done.states.folder, list(half_done.states.points)
    assert list(half_done.as_lines()) == [
        f"{folder.path}: 6 of 12 points done",
        "  done        6   50.0%",
        "  failed      3   25.0%",
        "  running     2   16.7%",
        "  queued      1    8.3%",
        "failed: 2 x error: the loss is nan",
        f"        e.g. point {points[6]}, log {folder.slurm / '12_0_0_log.out'}",
        "failed: 1 x out of memory: needs 9 GB",
        f"        e.g. point {points[8]}",
        "tasks: 2 running, 1 queued; 8 cores in use",
        "waiting: 1 task, pending: JobHeldUser",
        "time left: about 22 s",  # 3 points of 60 core-seconds on 8 cores
        "warning: sacct did not answer within 10 s",
    ]


def test_a_script_gets_the_same_as_one_object(half_done: StatusReport) -> None:
    values = json.loads(json.dumps(half_done.as_json()))
    counts = {"points": 12, "done": 6, "failed": 3, "running": 2, "queued": 1, "missing": 0, "unknown": 0}
    assert {key: values[key] for key in counts} == counts
    assert (values["units_running"], values["cores"], values["seconds_left"], values["exit_code"]) == (2, 8, 22.5, 4)
    assert [group["points"] for group in values["failures"]] == [2, 1]
    assert len(values["not_done"]) == 6


@pytest.mark.parametrize(("n_done", "verb"), [(2, "gather"), (1, "retry")])
def test_the_next_command_goes_on(n_done: int, verb: str, tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path / "my sweep", 2)
    made_up.write(folder, [made_up.done(point) for point in points[:n_done]])
    assert list(StatusReport(sweep_status(folder, Fake())).as_lines())[-1] == f"next: ttfsrun {verb} '{folder.path}'"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (99, "99 s"), (600, "10 min"), (12_000, "3 h 20 min"), (190_800, "2 d 5 h")]
)
def test_durations_are_told_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_local_sweep_on_gpus_runs_a_population_on_each(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    local = made_up.LOCAL | {"processes": None, "threads": None}
    assert concurrency(made_up.intent([["a"]], cluster=local)) == (cores, 1)
    assert concurrency(made_up.intent([["a"]], cluster=local, gpus=1)) == (1, cores)


def test_it_names_the_devices_where_a_gpu_computed(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 4)
    made_up.write(folder, [made_up.done(points[0])])
    report = StatusReport(sweep_status(folder, Fake()))
    assert report.as_json()["devices"] == {"cpu": 1}
    assert not any(line.startswith("computed on") for line in report.as_lines())
    made_up.write(folder, [made_up.done(point, device="NVIDIA H100") for point in points[1:]], shard="1")
    report = StatusReport(sweep_status(folder, Fake()))
    assert list(report.as_json()["devices"].items()) == [("NVIDIA H100", 3), ("cpu", 1)]
    assert "computed on: NVIDIA H100 (3 points), cpu (1 point)" in list(report.as_lines())


def test_watching_without_a_terminal_is_a_line_per_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.submit(folder, made_up.gone([points]), made_up.submitted("12"))

    class Progressing(Fake):
        def query(self, names, since):
            if len(self.asked) in (2, 4):
                made_up.write(folder, [made_up.done(points[len(self.asked) // 2 - 1])])
            return super().query(names, since)

    assert watch_status(folder, 0.0, Progressing({"12_0": ScheduledTask("running", "RUNNING")})) == 0
    lines = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "2 running"
    assert lines[-1] == "2 done"
    assert len(lines) == len(set(lines)) <= 4


def test_watching_ends_where_nothing_is_left_to_wait_for(tmp_path: Path) -> None:
    folder, _ = made_up.seeds(tmp_path, 2)
    assert watch_status(folder, 0.0, Fake()) == 4


def test_the_command_line_tells_and_leaves_with_the_state_of_the_sweep(ttfsrun, tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.write(folder, [made_up.done(points[0])])
    assert ttfsrun("status", tmp_path)[0] == 4
    made_up.write(folder, [made_up.failed(points[1])])
    code, out, err = ttfsrun("status", tmp_path, "--json")
    assert (code, json.loads(out)["failed"], err) == (3, 1, "")
    assert ttfsrun("status", tmp_path, "--watch", "0.1")[0] == 3
    assert ttfsrun("status", tmp_path, "--watch", "soon")[0] == 2
    assert ttfsrun("status", tmp_path, "--watch", "--json")[0] == 2
