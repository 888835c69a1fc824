"""Cancelling: live jobs and processes end, unreachable ones are reported, and repeating it is safe."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import made_up
import pytest
from made_up import Fake

from ttfsrun.errors import SchedulerRefused
from ttfsrun.results.processes import started
from ttfsrun.results.sweep_folder import Ended
from ttfsrun.sweep.monitor.cancel import cancel, planned_cancellations
from ttfsrun.sweep.monitor.lost import give_up
from ttfsrun.sweep.monitor.scheduler import ScheduledTask
from ttfsrun.sweep.monitor.status import sweep_status

RUNNING = ScheduledTask("running", "RUNNING", "node1")
OBEYS = "import time; time.sleep(600)"
REFUSES = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('.', flush=True); time.sleep(600)"


@pytest.fixture
def process() -> Iterator[Callable[[str], dict[str, int]]]:
    """Start another process; return its id and its start."""
    running = []

    def start(code: str) -> dict[str, int]:
        running.append(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE))
        if code == REFUSES:
            running[-1].stdout.readline()
        begun = started(running[-1].pid)
        assert begun is not None
        return {"pid": running[-1].pid, "started": begun}

    yield start
    for each in running:
        each.kill()
        each.communicate()


def test_jobs_are_cancelled_adopted_ones_too_and_once(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    made_up.submit(folder, made_up.gone([points[:1], points[1:]], arrays=[1, 1]), made_up.submitted("12"))
    fake = Fake({"12_0": RUNNING, "77_0": RUNNING}, {"ttfsrun-bits-s1.1": "77"})
    assert planned_cancellations(sweep_status(folder, fake)) == ["Slurm job 12, 77: 2 unfinished points"]
    assert list(cancel(folder, fake)) == ["cancelled: Slurm job 12, 77"]
    assert fake.cancelled == ["12", "77"]
    (last,) = folder.jobs()[2:]
    assert isinstance(last, Ended)
    assert last.why == "cancelled"
    fake = Fake(names={"ttfsrun-bits-s1.1": "77"})
    assert list(cancel(folder, fake)) == ["nothing runs or waits"]
    assert fake.cancelled == []
    assert set(sweep_status(folder, fake).counts()) == {"missing"}


def test_what_was_cancelled_runs_until_it_has_saved_its_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, points = made_up.seeds(tmp_path, 1)
    made_up.submit(folder, made_up.gone([points]), made_up.submitted("12"))
    saving = Fake({"12_0": ScheduledTask("running", "COMPLETING", "node1")})
    silent = Fake(notes=("squeue did not answer",), queue_answered=False)
    list(cancel(folder, saving))
    assert set(sweep_status(folder, saving).counts()) == {"running"}
    assert set(sweep_status(folder, silent).counts()) == {"unknown"}
    assert set(sweep_status(folder, Fake(notes=("sacct did not answer",))).counts()) == {"missing"}
    monkeypatch.setattr("ttfsrun.sweep.monitor.submissions.SAVING_SECONDS", -1.0)
    for forgotten in (saving, silent):  # nobody asks Slurm any more
        assert set(sweep_status(folder, forgotten).counts()) == {"missing"}


def test_a_process_of_this_machine_is_told_to_end(tmp_path: Path, process: Callable[[str], dict[str, int]]) -> None:
    folder, points = made_up.seeds(tmp_path, 1)
    own = process(OBEYS)
    made_up.submit(folder, made_up.intent([points], cluster=made_up.LOCAL, **own))
    assert list(cancel(folder, Fake())) == [f"process {own['pid']} has ended"]
    assert set(sweep_status(folder, Fake()).counts()) == {"missing"}


def test_a_process_that_takes_its_time_still_runs(
    tmp_path: Path, process: Callable[[str], dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ttfsrun.sweep.monitor.cancel.EXIT_SECONDS", 0.2)
    folder, points = made_up.seeds(tmp_path, 1)
    own = process(REFUSES)
    made_up.submit(folder, made_up.intent([points], cluster=made_up.LOCAL, **own))
    assert list(cancel(folder, Fake())) == [f"process {own['pid']} was asked to end"]
    assert set(sweep_status(folder, Fake()).counts()) == {"running"}


def test_a_process_that_is_submitting_ends_first_and_then_what_it_submitted(
    tmp_path: Path, process: Callable[[str], dict[str, int]]
) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    own = process(OBEYS)
    made_up.submit(folder, made_up.intent([points[:1], points[1:]], arrays=[1, 1], **own), made_up.submitted("12"))
    fake = Fake({"12_0": RUNNING, "77_0": RUNNING}, {"ttfsrun-bits-s1.1": "77"})
    assert list(cancel(folder, fake)) == [f"process {own['pid']} has ended", "cancelled: Slurm job 12, 77"]


def test_what_runs_elsewhere_is_left_alone_and_told(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 1)
    made_up.submit(folder, made_up.intent([points], cluster=made_up.LOCAL, host="elsewhere", pid=7))
    assert list(cancel(folder, Fake())) == ["not cancelled: process 7 on elsewhere, which cannot be reached from here"]
    assert len(folder.jobs()) == 1
    expected = "given up: process 7 on elsewhere, which cannot be checked from here: 1 unfinished point"
    assert list(give_up(folder, Fake())) == [expected]
    assert set(sweep_status(folder, Fake()).counts()) == {"missing"}


def test_where_the_scheduler_refuses_nothing_is_noted(tmp_path: Path) -> None:
    class Refusing(Fake):
        def cancel(self, jobs):
            raise SchedulerRefused("scancel: Access/permission denied")

    folder, points = made_up.seeds(tmp_path, 1)
    made_up.submit(folder, made_up.gone([points]), made_up.submitted("12"))
    with pytest.raises(SchedulerRefused):
        list(cancel(folder, Refusing({"12_0": RUNNING})))
    assert len(folder.jobs()) == 2


def test_where_one_cannot_be_cancelled_the_others_are(tmp_path: Path) -> None:
    class Refusing(Fake):
        def cancel(self, jobs):
            if "12" in jobs:
                raise SchedulerRefused("scancel: Access/permission denied")
            super().cancel(jobs)

    folder, points = made_up.seeds(tmp_path, 3)
    fake = Refusing({f"{job}_0": RUNNING for job in ("11", "12", "13")})
    for point, job in zip(points, ("11", "12", "13"), strict=True):
        made_up.submit(folder, made_up.gone([[point]], submission=job), made_up.submitted(job, submission=job))
    messages = []
    with pytest.raises(SchedulerRefused, match="denied"):
        messages.extend(cancel(folder, fake))
    assert fake.cancelled == ["11", "13"]
    assert [entry.submission for entry in folder.jobs() if isinstance(entry, Ended)] == ["11", "13"]


def full_file() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def broken_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize(("stdout", "code"), [(full_file, 1), (broken_pipe, 141)])
def test_all_are_cancelled_although_no_line_can_be_printed(
    tmp_path: Path, process: Callable[[str], dict[str, int]], stdout: Callable[[], int], code: int
) -> None:
    folder, points = made_up.seeds(tmp_path, 2)
    processes = [process(OBEYS) for _ in points]
    for number, (point, own) in enumerate(zip(points, processes, strict=True)):
        made_up.submit(folder, made_up.intent([[point]], cluster=made_up.LOCAL, submission=f"s{number}", **own))
    command, handle = [sys.executable, "-m", "ttfsrun", "cancel", tmp_path, "--yes"], stdout()
    done = subprocess.run(command, stdout=handle, stderr=subprocess.PIPE, text=True, check=False)
    os.close(handle)
    assert done.returncode == code
    assert ("standard output: cannot be written" in done.stderr) == (code == 1)
    assert [started(own["pid"]) for own in processes] == [None, None]
    assert len([entry for entry in folder.jobs() if isinstance(entry, Ended)]) == 2


def test_nobody_is_cancelled_without_having_said_yes(
    ttfsrun, tmp_path: Path, process: Callable[[str], dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    folder, points = made_up.seeds(tmp_path, 1)
    own = process(OBEYS)
    made_up.submit(folder, made_up.intent([points], cluster=made_up.LOCAL, **own))
    code, _, err = ttfsrun("cancel", tmp_path)
    assert code == 2
    assert f"process {own['pid']}: 1 unfinished point: add --yes to cancel" in err
    assert started(own["pid"]) == own["started"]
    assert ttfsrun("cancel", tmp_path, "--yes")[:2] == (0, f"process {own['pid']} has ended\n")
    assert ttfsrun("cancel", tmp_path)[:2] == (0, "nothing runs or waits\n")
