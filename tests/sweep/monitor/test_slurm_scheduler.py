"""Parsing of Slurm's answers: output of real commands, and commands that hang, fail, or are missing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up import START

from ttfsrun.errors import SchedulerRefused
from ttfsrun.sweep.monitor.scheduler import QueueSnapshot, ScheduledTask
from ttfsrun.sweep.monitor.slurm_scheduler import SlurmScheduler, expand_task_ids

Commands = Callable[..., None]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Put scripts with the given names first in PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def make(**scripts: str) -> None:
        for name, script in scripts.items():
            path = tmp_path / name
            path.write_text(f"#!/bin/bash\n{script}\n")
            path.chmod(0o755)

    return make


def printing(*lines: str) -> str:
    return "cat <<'EOF'\n" + "".join(f"{line}\n" for line in lines) + "EOF"


def query(*jobs: str, timeout: float = 10.0) -> QueueSnapshot:
    return SlurmScheduler(timeout).query({job: f"bits.{job}" for job in jobs}, START)


@pytest.mark.parametrize(
    ("job", "tasks"),
    [
        ("12", "12"),
        ("12_3", "12_3"),
        ("12_[0-3%2]", "12_0 12_1 12_2 12_3"),
        ("12_[0,2,5-6]", "12_0 12_2 12_5 12_6"),
        ("12_[0-6:3%1]", "12_0 12_3 12_6"),
        ("12_[7]", "12_7"),
        ("12_[0,2,54,5...%1]", "12_0 12_2 12_54"),
    ],
)
def test_pending_tasks_that_share_a_line_are_told_apart(job: str, tasks: str) -> None:
    assert expand_task_ids(job) == tasks.split()


@pytest.mark.parametrize(
    ("row", "reason", "message"),
    [
        ("COMPLETED|0:0", "error", "Slurm: COMPLETED"),
        ("FAILED|0:53", "error", "Slurm: FAILED (its log could not be written)"),
        ("FAILED|3:0", "error", "Slurm: FAILED (exit code 3)"),
        ("FAILED|0:9", "out of memory", "Slurm: FAILED (SIGKILL)"),
        ("FAILED|140:0", "time-out", "Slurm: FAILED (exit code 140, SIGUSR2)"),
        ("FAILED|12:0", "time-out", "Slurm: FAILED (exit code 140, SIGUSR2)"),  # the same, as Slurm 22.05 shows it
        ("FAILED|9:0", "out of memory", "Slurm: FAILED (exit code 137, SIGKILL)"),
        ("TIMEOUT|0:0", "time-out", "Slurm: TIMEOUT"),
        ("OUT_OF_MEMORY|0:125", "out of memory", "Slurm: OUT_OF_MEMORY"),
        ("NODE_FAIL|1:0", "node failure", "Slurm: NODE_FAIL (exit code 1)"),
        ("BOOT_FAIL|0:0", "node failure", "Slurm: BOOT_FAIL"),
        ("CANCELLED by 1000|0:15", "cancelled", "Slurm: CANCELLED (SIGTERM)"),
        ("PREEMPTED|0:0", "cancelled", "Slurm: PREEMPTED"),
    ],
)
def test_how_a_task_ended_is_a_class_of_failure(row: str, reason: str, message: str, commands: Commands) -> None:
    commands(sacct=printing(f"12_0|bits.12|{row}|node1"), squeue="true")
    task = query("12").task("12", 0, alone=False)
    assert (task.phase, task.reason, task.message) == ("ended", reason, message)


@pytest.mark.parametrize(
    ("accounting", "queue", "phase"),
    [
        ("PENDING|0:0|None assigned", "PENDING|JobHeldUser|", "queued"),
        ("RUNNING|0:0|node1", "RUNNING|None|node1", "running"),
        ("PENDING|0:0|None assigned", "RUNNING|None|node1", "running"),  # the accounting lags behind
        ("FAILED|1:0|node1", "PENDING|BeginTime|", "queued"),  # requeued
        ("FAILED|1:0|node1", "COMPLETING|None|node1", "ended"),
        ("RUNNING|0:0|node1", "COMPLETING|None|node1", "running"),
        ("REQUEUED|0:0|node1", "PENDING|BeginTime|", "queued"),
        ("PREEMPTED|0:0|node1", "PENDING|BeginTime|", "queued"),
        (None, "RUNNING|None|node1", "running"),
        ("RUNNING|0:0|node1", None, "unknown"),  # forgotten by the controller, or just ended
    ],
)
def test_the_queue_knows_what_lives_and_the_accounting_what_ended(
    accounting: str | None, queue: str | None, phase: str, commands: Commands
) -> None:
    commands(
        sacct=printing(f"12_3|bits.12|{accounting}") if accounting else "true",
        squeue=printing(f"12_3|bits.12|{queue}") if queue else "true",
    )
    assert query("12").task("12", 3, alone=False).phase == phase


def test_a_task_that_its_known_job_has_no_more_was_cancelled_while_it_waited(commands: Commands) -> None:
    commands(sacct=printing("12_[0,2%1]|bits.12|PENDING|0:0|None"), squeue="true")
    task = query("12").task("12", 1, alone=False)
    assert (task.phase, task.reason, task.message) == ("ended", "cancelled", "Slurm: CANCELLED (while it waited)")
    commands(squeue="exit 1")
    assert query("12").task("12", 1, alone=False).phase == "unknown"


def test_a_job_that_neither_knows_is_unknown(commands: Commands) -> None:
    commands(sacct="true", squeue="true")
    task = query("12").task("12", 0, alone=False)
    assert (task.phase, task.about) == ("unknown", "neither sacct nor squeue shows job 12")


def test_a_job_of_the_same_id_but_another_name_is_not_ours(commands: Commands) -> None:
    commands(sacct=printing("12_0|somebody else's|FAILED|1:0|node1"), squeue="true")
    assert query("12").task("12", 0, alone=False).phase == "unknown"


def test_a_job_without_an_array_is_its_only_task(commands: Commands) -> None:
    commands(sacct=printing("12|bits.12|FAILED|1:0|node1"), squeue="true")
    assert query("12").task("12", 0, alone=True).message == "Slurm: FAILED (exit code 1)"


def test_a_command_that_hangs_costs_its_time_limit_and_is_told(commands: Commands) -> None:
    commands(sacct="sleep 60", squeue=printing("12_0|bits.12|RUNNING|None|node1"))
    start = time.monotonic()
    snapshot = query("12", timeout=0.5)
    assert time.monotonic() - start < 2
    assert snapshot.notes == ("sacct did not answer within 0.5 s",)
    assert snapshot.task("12", 0, alone=False).phase == "running"
    unknown = snapshot.task("12", 1, alone=False)
    assert (unknown.phase, unknown.about) == ("unknown", "sacct did not answer within 0.5 s")


def test_what_sacct_takes_for_alive_lives_where_the_queue_cannot_be_asked(commands: Commands) -> None:
    commands(sacct=printing("12_[0-1]|bits.12|PENDING|0:0|None assigned"), squeue="sleep 60")
    assert query("12", timeout=0.5).task("12", 1, alone=False).phase == "queued"


def test_a_machine_without_slurm_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    snapshot = query("12")
    assert snapshot.notes == tuple(
        f"{name} cannot be run here (No such file or directory)" for name in ("sacct", "squeue")
    )
    assert SlurmScheduler().find(["bits.0"], START) is None


def test_a_cluster_without_accounting_is_asked_for_its_queue(commands: Commands) -> None:
    commands(
        sacct="echo 'Slurm accounting storage is disabled' >&2; exit 1",
        squeue=printing("12_0|bits.12|PENDING|Resources|"),
    )
    snapshot = query("12")
    assert snapshot.notes == ("sacct: Slurm accounting storage is disabled",)
    assert snapshot.task("12", 0, alone=False) == ScheduledTask("queued", "PENDING", "Resources")


def test_nothing_is_asked_about_nothing(commands: Commands, tmp_path: Path) -> None:
    commands(sacct=f"touch {tmp_path}/asked", squeue=f"touch {tmp_path}/asked")
    assert SlurmScheduler().query({}, START) == QueueSnapshot()
    assert not (tmp_path / "asked").exists()


def test_the_users_own_formats_and_filters_do_not_reach_the_commands(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    monkeypatch.setenv("SACCT_FORMAT", "JobID")
    commands(sacct="env | grep -q SACCT_ && exit 1; true", squeue="env | grep -q SQUEUE_ && exit 1; true")
    assert query("12").notes == ()


def test_jobs_are_found_by_their_names_and_the_newest_counts(commands: Commands) -> None:
    commands(
        sacct=printing("9_[0-3]|a.0|PENDING|0:0|None assigned", "12_0|a.0|RUNNING|0:0|node1", "8_0|b.0|FAILED|1:0|n"),
        squeue=printing("12_0|a.0|RUNNING|None|node1"),
    )
    assert SlurmScheduler().find(["a.0", "a.1"], START) == {"a.0": "12"}


def test_a_refused_cancel_is_an_error_and_one_that_comes_late_is_not(commands: Commands) -> None:
    commands(scancel="echo 'scancel: error: Kill job error on job id 12: Access/permission denied' >&2; exit 1")
    with pytest.raises(SchedulerRefused, match="permission denied") as caught:
        SlurmScheduler().cancel(["12"])
    assert caught.value.exit_code == 5
    commands(scancel="echo 'Job/step already completing or completed' >&2; exit 1")
    SlurmScheduler().cancel(["12"])
