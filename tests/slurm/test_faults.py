"""Faults of the processes and jobs of a running sweep: the table stays the same, to the last byte."""

from __future__ import annotations

import pytest
from sweeps import POINTS, Sweep, kill, output, wait_until


def test_a_worker_that_is_killed_costs_its_task_nothing_but_time(sweep: Sweep, reference: Sweep) -> None:
    sweep.launch()
    sweep.wait_for_results()

    kill(sweep.workers()[0])
    missing = POINTS - len(sweep.done())
    now = sweep.settled()

    assert missing
    assert now["done"] == POINTS  # without a retry
    assert sweep.table() == reference.table()


def test_a_task_whose_leader_is_killed_is_made_up_for(sweep: Sweep, reference: Sweep) -> None:
    sweep.launch()
    sweep.wait_for_results()

    kill(sweep.leaders()[0])
    now = sweep.settled()
    sweep.complete()

    assert now["failed"] == POINTS - now["done"] > 0
    assert now["failures"][0]["reason"] == "out of memory"  # for which the kernel would send the same signal
    assert "SIGKILL" in now["failures"][0]["message"]
    assert sweep.table() == reference.table()


def test_a_task_that_is_cancelled_is_made_up_for(sweep: Sweep, reference: Sweep) -> None:
    sweep.launch()
    sweep.wait_for_results()

    output("scancel", sweep.running()[0])
    now = sweep.settled()
    sweep.complete()

    assert now["failed"] == POINTS - now["done"] > 0
    assert now["failures"][0]["reason"] == "cancelled"
    assert sweep.table() == reference.table()


def test_a_task_that_is_requeued_goes_on_where_it_was(sweep: Sweep, reference: Sweep) -> None:
    sweep.launch()
    task = sweep.freeze()

    output("scontrol", "requeue", task)
    check_resumes(sweep, task, reference)


def test_a_task_that_meets_its_time_limit_saves_and_queues_itself_again(sweep: Sweep, reference: Sweep) -> None:
    sweep.cluster = [*sweep.cluster, "cluster.time_minutes=2"]
    sweep.launch()
    task = sweep.freeze()

    output("scontrol", "update", f"jobid={task}", "timelimit=1")
    wait_until("the task waits again", lambda: sweep.queue().get(task) == "PENDING")
    output("scontrol", "update", f"jobid={task}", "timelimit=60")  # the next start may take longer on a busy machine
    check_resumes(sweep, task, reference)


def test_a_preempted_task_goes_on_where_it_was(sweep: Sweep, reference: Sweep) -> None:
    if not {"low", "high"} <= set(output("sinfo", "--noheader", "--format=%R").split()):
        pytest.skip("this Slurm has no partitions low and high")
    sweep.cluster = [*sweep.cluster, "cluster.partition=low"]
    sweep.launch()
    task = sweep.freeze()

    output("sbatch", "--partition=high", "--exclusive", "--output=/dev/null", "--wrap=true")
    check_resumes(sweep, task, reference)


def check_resumes(sweep: Sweep, task: str, reference: Sweep) -> None:
    """Check that the task is requeued in the same job and resumes from its checkpoint."""
    wait_until("the task waits again", lambda: sweep.queue().get(task) == "PENDING")
    missing = POINTS - len(sweep.done())
    now = sweep.settled()

    assert missing
    assert now["done"] == POINTS
    assert sweep.restarts()[task] == 1
    assert len(sweep.jobs()) == 1
    before, after = sweep.first_epochs(task)
    assert before == 1
    assert after > 1
    assert sweep.table() == reference.table()
