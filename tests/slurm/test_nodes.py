"""Nodes that die, differ, drain, or are reserved, in a cluster of three: the table stays the same, to the last byte."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sweeps import DONE, POINTS, Sweep, environment, output, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("three_nodes")]

#: Four array tasks of two networks, more than n1 and n2 can run at once: n3 has some of them.
SPREAD = (
    "cluster=slurm",
    "cluster.cores=1",
    "cluster.task_minutes=0.001",
    "cluster.max_tasks=4",
    "cluster.memory_gb=1",
)
SKEW_SECONDS = 600.0
LIBFAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@pytest.fixture
def sweep(new_sweep: Callable[..., Sweep]) -> Sweep:
    return new_sweep(cluster=SPREAD)


def nodes(sweep: Sweep) -> dict[str, str]:
    """Return the node of each running task."""
    lines = output("squeue", "--noheader", "--array", "--states=running", "--format=%i %N").splitlines()
    return {task: node for task, node in map(str.split, lines) if task.partition("_")[0] in sweep.jobs()}


def wait_for_worker(sweep: Sweep, node: str) -> str:
    """Wait until a task computes on a node; return its id."""

    def computing() -> list[str]:
        of_worker = [environment(pid) for pid in sweep.workers()]
        return [
            f"{settings['SLURM_ARRAY_JOB_ID']}_{settings['SLURM_ARRAY_TASK_ID']}"
            for settings in of_worker
            if settings.get("SLURMD_NODENAME") == node
        ]

    wait_until(f"a task computes on {node}: {sweep.logs()}", computing)
    return computing()[0]


def places(sweep: Sweep) -> dict[str, str]:
    """Return the node on which each task ended, according to the accounting."""
    command = ["sacct", "--noheader", "--parsable2", "--allocations", "--format=jobid,nodelist"]
    return dict(line.split("|") for line in output(*command, f"--jobs={','.join(sweep.jobs())}").splitlines())


def test_tasks_of_nodes_that_die_or_come_back_drained_end_on_the_others(
    sweep: Sweep, reference: Sweep, dev_cluster: Callable[..., None]
) -> None:
    sweep.launch()
    tasks = [wait_for_worker(sweep, node) for node in ("n2", "n3")]

    dev_cluster("kill", "node", "n2")  # for good
    output("scontrol", "update", "nodename=n3", "state=drain", "reason=test")
    dev_cluster("kill", "node", "n3")
    dev_cluster("start", "slurmd", "n3")
    missing = POINTS - len(sweep.done())
    now = sweep.settled()

    assert missing
    assert now["done"] == POINTS  # without a retry
    assert {places(sweep)[task] for task in tasks} == {"n1"}
    assert all(sweep.restarts()[task] == 1 for task in tasks)
    assert "drain" in output("sinfo", "--noheader", "--nodes=n3", "--format=%T")
    assert sweep.table() == reference.table()


def test_a_clock_that_is_ten_minutes_fast_changes_nothing(sweep: Sweep, reference: Sweep) -> None:
    """A task saves its training on the node with that clock, and resumes on another one."""
    if LIBFAKETIME is None:
        pytest.skip("no libfaketime: apt-get install faketime")
    fast = f"export LD_PRELOAD={LIBFAKETIME} FAKETIME=+{SKEW_SECONDS:.0f}s FAKETIME_DONT_FAKE_MONOTONIC=1"
    sweep.cluster = [*sweep.cluster, f'cluster.setup=["[ $SLURMD_NODENAME != n2 ] || {fast}"]']
    sweep.launch()
    task = wait_for_worker(sweep, "n2")
    wait_until("a result of it", lambda: any(record.execution.job == task for record in sweep.records()))

    output("scontrol", "update", "nodename=n2", "state=drain", "reason=test")
    output("scontrol", "requeue", task)
    now = sweep.settled()
    output("scontrol", "update", "nodename=n2", "state=resume")
    ahead = {record.execution.job for record in sweep.records() if record.time > time.time() + SKEW_SECONDS / 2}

    assert ahead == {task}
    assert places(sweep)[task] in ("n1", "n3")
    assert now["done"] == POINTS
    assert len(sweep.records()) == POINTS  # none was computed twice
    assert sweep.table() == reference.table()


def test_a_node_without_the_shared_folder_fails_its_tasks_and_is_named(
    sweep: Sweep, reference: Sweep, dev_cluster: Callable[..., None]
) -> None:
    dev_cluster("kill", "node", "n3")
    dev_cluster("start", "slurmd", "n3", hide=str(sweep.path.parents[1]))
    wait_until("n3 takes jobs", lambda: output("sinfo", "--noheader", "--nodes=n3", "--format=%t").startswith("idle"))
    sweep.launch()
    now = sweep.settled()
    code, _, err = sweep.command("retry", sweep.path, "--yes", "cluster.sbatch={exclude: n3}")
    again = sweep.settled()
    dev_cluster("kill", "node", "n3")  # it starts with the folder again

    assert 0 < now["done"] < POINTS
    assert now["done"] + now["failed"] == POINTS
    (failure,) = now["failures"]
    assert "FAILED (its log could not be written)" in failure["message"]
    assert failure["nodes"] == ["n3"]
    assert code == DONE, err
    assert again["done"] == POINTS
    assert sweep.table() == reference.table()


def test_whole_nodes_of_different_memory_and_a_reservation_that_begins(sweep: Sweep, reference: Sweep) -> None:
    sweep.cluster = [*sweep.cluster, "cluster.exclusive=true", "cluster.memory_gb=2"]
    sweep.launch()
    for node in ("n2", "n3"):  # n1 has less memory
        wait_for_worker(sweep, node)
    running = set(nodes(sweep))
    reservation = output(
        *("scontrol", "create", "reservation", "starttime=now+2", "duration=10", "nodes=ALL", "users=root"),
        "flags=maint,ignore_jobs",
    ).split()[-1]
    try:
        wait_until("the tasks that ran are done", lambda: not running & set(sweep.queue()))
        wait_until("the others wait for the reservation", lambda: "eserv" in str(sweep.status()))
        waiting = sweep.status()
    finally:
        output("scontrol", "delete", f"reservation={reservation}")
    now = sweep.settled()

    assert waiting["queued"] > 0
    assert waiting["done"] + waiting["queued"] == POINTS
    assert now["done"] == POINTS
    assert set(places(sweep).values()) == {"n2", "n3"}
    assert sweep.table() == reference.table()
