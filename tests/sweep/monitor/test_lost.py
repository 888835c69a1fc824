"""Giving up lost tasks: all that the queue no longer knows, and nothing that may still run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_up
import pytest
from made_up import Fake

from ttfsrun.errors import SchedulerRefused
from ttfsrun.results.sweep_folder import GivenUp, SweepFolder
from ttfsrun.sweep.monitor.lost import give_up, lost_units
from ttfsrun.sweep.monitor.scheduler import ScheduledTask
from ttfsrun.sweep.monitor.status import sweep_status

DISABLED = ("sacct: Slurm accounting storage is disabled",)
QUEUED = ScheduledTask("queued", "PENDING")


@pytest.fixture
def vanish(tmp_path: Path) -> Callable[..., tuple[SweepFolder, list[str], Fake]]:
    """Make a sweep of four tasks of which the queue knows only the third; accounting is disabled."""

    def make(**own: Any) -> tuple[SweepFolder, list[str], Fake]:
        folder, points = made_up.seeds(tmp_path, 4)
        fields = {"uid": os.getuid(), "slurm": "cluster"} | own
        made_up.submit(folder, made_up.gone([[point] for point in points], **fields), made_up.submitted("12"))
        return folder, points, Fake({"12_2": QUEUED}, notes=DISABLED)

    return make


def kinds(folder: SweepFolder, fake: Fake) -> list[str]:
    return [state.kind for state in sweep_status(folder, fake).points.values()]


def test_one_command_gives_up_all_that_the_queue_no_longer_knows(vanish) -> None:
    folder, points, fake = vanish()
    assert kinds(folder, fake) == ["unknown", "unknown", "queued", "unknown"]
    assert list(give_up(folder, fake)) == [
        "given up: 3 tasks of Slurm job 12, unknown to the queue: 3 unfinished points"
    ]
    status = sweep_status(folder, fake)
    assert [status.may_run(point) for point in points] == [True, True, False, True]
    assert not fake.cancelled
    assert list(give_up(folder, fake)) == ["nothing is lost"]


def test_several_submissions_of_the_same_points_are_given_up_at_once(vanish) -> None:
    folder, points, fake = vanish()
    again = made_up.gone([points[:1]], submission="s2", job_name="again", uid=os.getuid(), slurm="cluster")
    made_up.submit(folder, again, made_up.submitted("13", submission="s2"))
    assert len(list(give_up(folder, fake))) == 2
    assert kinds(folder, fake) == ["missing", "missing", "queued", "missing"]


def test_a_task_that_was_given_up_but_lives_is_alive(vanish) -> None:
    folder, _, fake = vanish()
    list(give_up(folder, fake))
    assert kinds(folder, Fake({"12_0": QUEUED}, notes=DISABLED)) == ["queued", "missing", "unknown", "missing"]


@pytest.mark.parametrize(
    ("own", "fields", "why"),
    [
        ({}, {"refusal": "squeue: Unable to contact slurm controller"}, "Unable to contact slurm controller"),
        ({"slurm": "elsewhere"}, {}, "they were submitted to the cluster elsewhere, and cluster answers"),
        ({"slurm": None, "host": "login2"}, {}, "they were submitted on login2"),
        ({"uid": 1001}, {}, "which the queue may hide from others"),
        ({}, {"hidden": {"12_0", "12_1", "12_3"}}, "squeue lists their tasks"),
    ],
)
def test_what_may_still_run_is_never_given_up(own, fields, why, vanish, monkeypatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 1000)  # root sees all jobs
    folder, _, fake = vanish(**own)
    for name, value in fields.items():
        setattr(fake, name, value)
    before = kinds(folder, fake)
    with pytest.raises(SchedulerRefused, match=f"3 points may still run .*{why}") as caught:
        list(give_up(folder, fake))
    assert caught.value.exit_code == 5
    assert kinds(folder, fake) == before
    assert not any(isinstance(entry, GivenUp) for entry in folder.jobs())


def test_some_are_given_up_though_others_may_still_run(vanish) -> None:
    folder, _, fake = vanish()
    fake.hidden = {"12_0"}
    messages = give_up(folder, fake)
    assert next(messages).startswith("given up: 2 tasks")
    with pytest.raises(SchedulerRefused, match="1 point may still run"):
        next(messages)
    assert kinds(folder, fake) == ["unknown", "missing", "queued", "missing"]


def test_each_cluster_is_asked_about_its_own_jobs(vanish) -> None:
    cluster = made_up.SLURM | {"sbatch": {"clusters": "c2"}}
    folder, _, fake = vanish(cluster=cluster, slurm="c2")
    fake.cluster = "c2"
    assert len(lost_units(sweep_status(folder, fake), fake)) == 1
    assert fake.asked.count("c2") == 2


def test_nothing_is_given_up_without_a_yes(vanish, ttfsrun, monkeypatch) -> None:
    folder, _, fake = vanish()
    monkeypatch.setattr("ttfsrun.sweep.monitor.status.SlurmScheduler", lambda: fake)
    monkeypatch.setattr("ttfsrun.sweep.monitor.lost.SlurmScheduler", lambda: fake)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    code, _, err = ttfsrun("cancel", folder.path, "--lost")
    assert code == 2
    assert "3 tasks of Slurm job 12, unknown to the queue: 3 unfinished points: add --yes to give up" in err
    assert kinds(folder, fake).count("unknown") == 3
    assert f"ttfsrun cancel {folder.path} --lost" in ttfsrun("status", folder.path)[1]
    assert ttfsrun("cancel", folder.path, "--lost", "--yes")[0] == 0
    assert kinds(folder, fake).count("unknown") == 0
    assert not fake.cancelled
