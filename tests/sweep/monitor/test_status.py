"""States of points: results come first, then live tasks; what cannot be determined is unknown."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import made_up
import pytest
from made_up import START, Fake

from ttfsrun.errors import REASONS
from ttfsrun.results.processes import lives, started
from ttfsrun.sweep.monitor.scheduler import QueueSnapshot, ScheduledTask
from ttfsrun.sweep.monitor.status import PointState, SweepStatus, sweep_status

RUNNING, PENDING = ScheduledTask("running", "RUNNING", "node1"), ScheduledTask("queued", "PENDING", "Priority")
FAILED, KILLED = ScheduledTask("ended", "FAILED", "exit code 1"), ScheduledTask("ended", "OUT_OF_MEMORY")


def kinds(status: SweepStatus) -> str:
    return " ".join(state.kind for state in status.points.values())


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Another process of this machine, alive."""
    with subprocess.Popen(["sleep", "600"]) as sleeping:
        yield sleeping
        sleeping.kill()


def of(process: subprocess.Popen[bytes]) -> dict[str, int | None]:
    return {"pid": process.pid, "started": started(process.pid)}


def test_without_submissions_points_are_done_failed_or_missing_and_nobody_is_asked(tmp_path: Path) -> None:
    folder, (a, b, _) = made_up.seeds(tmp_path, 3)
    made_up.write(folder, [made_up.done(a), made_up.failed(b, "out of memory", "too large")])
    fake = Fake()
    status = sweep_status(folder, fake)
    assert kinds(status) == "done failed missing"
    assert status.points[b] == PointState("failed", "out of memory", "too large")
    assert fake.asked == []


def test_a_task_is_what_the_scheduler_says_but_results_come_first(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 6)
    made_up.submit(folder, made_up.gone([points[:2], points[2:4], points[4:]]), made_up.submitted("12"))
    made_up.write(folder, [made_up.done(points[0], job="12_0"), made_up.failed(points[5], time=START + 9, job="12_2")])
    status = sweep_status(folder, Fake({"12_0": RUNNING, "12_1": PENDING, "12_2": KILLED}))
    assert kinds(status) == "done running queued queued failed failed"
    assert status.points[points[4]] == PointState(
        "failed", "out of memory", "Slurm: OUT_OF_MEMORY, and left no result", "12_2", "s1"
    )
    assert status.points[points[5]].message == "the loss is nan"
    assert status.running_jobs() == ["12"]
    assert [unit.job for _, unit in status.units("running")] == ["12_0"]


def test_what_neither_results_nor_scheduler_know_is_unknown_and_is_not_submitted_again(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.submit(folder, made_up.gone([points]), made_up.submitted("12"))
    status = sweep_status(folder, Fake(notes=("sacct did not answer within 10 s",)))
    assert kinds(status) == "unknown unknown"
    assert status.notes == ["sacct did not answer within 10 s"]
    assert not any(status.may_run(point, REASONS) for point in points)
    assert status.exit_code == 4


def test_the_scheduler_is_not_asked_about_what_is_done(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.submit(folder, made_up.gone([points]), made_up.submitted("12"))
    made_up.write(folder, [made_up.done(point) for point in points])
    fake = Fake()
    assert (sweep_status(folder, fake).exit_code, fake.asked) == (0, [])


def test_all_jobs_are_asked_for_at_once(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 4)
    names = ["ttfsrun-bits-s1.0", "ttfsrun-bits-s1.1"]
    made_up.submit(folder, made_up.gone([[point] for point in points], arrays=[3, 1]))
    made_up.submit(folder, made_up.submitted("12"), made_up.submitted("13", array=1))
    fake = Fake({"12_2": RUNNING, "12_0": FAILED, "12_1": PENDING, "13_0": PENDING})
    assert kinds(sweep_status(folder, fake)) == "failed queued running queued"
    assert fake.asked == [{"12": names[0], "13": names[1]}]


def test_a_result_that_appears_while_the_scheduler_is_asked_counts(tmp_path: Path) -> None:
    folder, (point,) = made_up.seeds(tmp_path, 1)
    made_up.submit(folder, made_up.gone([[point]]), made_up.submitted("12"))

    class Slow(Fake):
        def query(self, names: Mapping[str, str], since: float) -> QueueSnapshot:
            made_up.write(folder, [made_up.done(point)])
            return QueueSnapshot({"12_0": ScheduledTask("ended", "COMPLETED")})

    assert kinds(sweep_status(folder, Slow())) == "done"


def test_a_failed_point_that_was_submitted_again_is_what_the_new_task_is(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.submit(folder, made_up.gone([points]), made_up.submitted("12"))
    made_up.write(folder, [made_up.failed(point, time=START + 5) for point in points])
    again = made_up.gone([[points[0]], [points[1]]], submission="s2", time=START + 10)
    made_up.submit(folder, again, made_up.submitted("13", submission="s2"))
    status = sweep_status(folder, Fake({"13_0": RUNNING, "13_1": KILLED}))
    assert kinds(status) == "running failed"
    assert status.points[points[1]].reason == "out of memory"


def test_a_later_dead_submission_does_not_hide_an_earlier_one_that_runs(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 1)
    made_up.submit(folder, made_up.gone([points]), made_up.submitted("12"))
    made_up.submit(folder, made_up.gone([points], submission="s2"), made_up.refused("left to s1", submission="s2"))
    status = sweep_status(folder, Fake({"12_0": RUNNING}))
    assert (kinds(status), status.points[points[0]].submission) == ("running", "s1")


def test_clocks_that_differ_between_hosts_do_not_matter(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.submit(folder, made_up.gone([points]), made_up.submitted("12"))
    made_up.write(folder, [made_up.failed(point, time=START + 5000) for point in points])
    made_up.submit(folder, made_up.gone([points], submission="s2", time=START + 10))
    made_up.submit(folder, made_up.submitted("13", submission="s2"))
    made_up.write(folder, [made_up.failed(points[1], message="again", time=START - 900, submission="s2")])
    status = sweep_status(folder, Fake({"13_0": RUNNING}))
    assert kinds(status) == "running failed"


def test_refused_points_are_missing_with_what_the_scheduler_said(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 3)
    made_up.submit(folder, made_up.gone([[point] for point in points], arrays=[1, 1, 1]))
    made_up.submit(folder, made_up.submitted("12"), made_up.refused("Invalid account", array=1))
    fake = Fake({"12_0": PENDING})
    status = sweep_status(folder, fake)
    assert kinds(status) == "queued missing missing"
    assert status.points[points[2]].message == "refused: Invalid account"
    assert fake.asked == [{"12": "ttfsrun-bits-s1.0"}]


def test_a_submission_without_an_answer_is_being_submitted_while_its_process_lives(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.submit(folder, made_up.intent([points[:1], points[1:]], arrays=[1, 1]), made_up.submitted("12"))
    fake = Fake({"12_0": PENDING})
    assert kinds(sweep_status(folder, fake)) == "queued submitting"
    assert fake.asked == [{"12": "ttfsrun-bits-s1.0"}]


def test_once_its_process_is_gone_its_jobs_are_found_by_name_or_were_never_submitted(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.submit(folder, made_up.gone([points[:1], points[1:]], arrays=[1, 1]))
    fake = Fake({"77_0": RUNNING}, {"ttfsrun-bits-s1.0": "77"})
    status = sweep_status(folder, fake)
    assert kinds(status) == "running missing"
    assert status.points[points[0]].job == "77_0"
    assert status.points[points[1]].message == "its submission was cut short"
    assert status.may_run(points[1])


def test_where_nobody_can_say_whether_it_was_submitted_it_is_unknown(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 1)
    made_up.submit(folder, made_up.gone([points]))
    status = sweep_status(folder, Fake(names=None))
    assert kinds(status) == "unknown"
    assert status.notes != []


def test_a_submission_on_another_host_is_given_some_time_to_be_answered(tmp_path: Path) -> None:
    for name, age, kind in (("a", 10, "submitting"), ("b", 1000, "missing")):
        folder, points = made_up.seeds(tmp_path / name, 1)
        made_up.submit(folder, made_up.gone([points], host="elsewhere", time=time.time() - age))
        assert kinds(sweep_status(folder, Fake())) == kind


def test_on_this_machine_as_many_populations_run_as_there_are_processes(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 8)
    pairs = [points[i : i + 2] for i in range(0, 8, 2)]
    made_up.submit(folder, made_up.intent([], tasks=[pairs], arrays=[1], cluster=made_up.LOCAL))
    made_up.write(folder, [made_up.done(point) for point in points[:3]])
    fake = Fake()
    assert kinds(sweep_status(folder, fake)) == "done done done running running running queued queued"
    assert fake.asked == []


@pytest.mark.parametrize(
    ("fields", "reasons", "kind"),
    [
        ({}, [], "running"),
        ({}, ["done"], "missing"),
        ({}, ["interrupted"], "missing"),
        ({}, ["cancelled"], "running"),  # it may still save its state
        ({}, ["cancelled", "interrupted"], "missing"),
        ({"started": 1}, [], "missing"),
        ({"host": "elsewhere"}, [], "unknown"),
        ({"host": "elsewhere"}, ["done"], "missing"),
    ],
)
def test_a_submission_to_this_machine_lives_as_long_as_its_process(
    fields: dict[str, object], reasons: list[str], kind: str, tmp_path: Path
) -> None:
    folder, points = made_up.seeds(tmp_path, 1)
    made_up.submit(folder, made_up.intent([points], cluster=made_up.LOCAL, **fields), *map(made_up.ended, reasons))
    assert kinds(sweep_status(folder, Fake())) == kind


def test_a_cancelled_submission_is_over_without_asking_anybody(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 1)
    made_up.submit(folder, made_up.gone([points]), made_up.submitted("12"), made_up.ended("cancelled"))
    fake = Fake()
    status = sweep_status(folder, fake)
    assert (kinds(status), fake.asked, status.may_run(points[0])) == ("missing", [], True)
    assert status.points[points[0]].message == "cancelled before it had a result"


def test_only_failures_of_the_wanted_classes_run_again(tmp_path: Path) -> None:
    folder, (a, b, c) = made_up.seeds(tmp_path, 3)
    made_up.write(folder, [made_up.failed(a, "out of memory"), made_up.failed(b, "error")])
    status = sweep_status(folder, Fake())
    assert [status.may_run(point) for point in (a, b, c)] == [False, False, True]
    assert [status.may_run(point, ["out of memory"]) for point in (a, b, c)] == [True, False, True]
    assert status.exit_code == 4
    made_up.write(folder, [made_up.done(c)])
    assert sweep_status(folder, Fake()).exit_code == 3


def test_a_process_id_that_was_given_to_another_process_is_not_it(process: subprocess.Popen[bytes]) -> None:
    start = started(process.pid)
    assert start is not None
    assert lives(socket.gethostname(), process.pid, start)
    assert not lives(socket.gethostname(), process.pid, start - 1)
    process.kill()
    while lives(socket.gethostname(), process.pid, start):  # a zombie until it is waited for
        time.sleep(0.01)
    assert lives("elsewhere", process.pid, start) is None


def test_ten_thousand_points_are_told(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 10_000)
    tasks = [points[i : i + 20] for i in range(0, len(points), 20)]
    made_up.submit(folder, made_up.gone(tasks), made_up.submitted("12"))
    made_up.write(folder, [made_up.done(point) for point in points[:9000]])
    (tmp_path / "bin").mkdir()
    for name, row in (("sacct", "12_[450-499]|ttfsrun-bits-s1.0|PENDING|0:0|None"), ("squeue", "")):
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\necho '{row}'\n")
        path.chmod(0o755)
    command = [sys.executable, "-m", "ttfsrun", "status", str(tmp_path)]
    env = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert "9000 of 10000 points done" in done.stdout
    assert done.returncode == 4


def test_telling_imports_nothing_heavy(tmp_path: Path) -> None:
    made_up.seeds(tmp_path, 2)
    code = f"""
import sys
from ttfsrun.cli.main import main
main(["status", {str(tmp_path)!r}])
assert not {{"torch", "numba", "numpy", "pandas", "hydra", "submitit", "rich"}} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_folder_that_is_no_sweep_is_a_mistake(ttfsrun, tmp_path: Path) -> None:
    for verb in ("status", "logs", "cancel", "gather"):
        code, out, err = ttfsrun(verb, tmp_path)
        assert (code, out) == (2, "")
        assert "is not the folder of a sweep" in err
