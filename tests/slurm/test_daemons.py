"""Failures of the scheduler or of the node during a sweep."""

from __future__ import annotations

import time
from collections.abc import Callable

from development_cluster import wait_until_saved
from sweeps import POINTS, Sweep, output, wait_until

Cluster = Callable[..., None]


def test_a_node_that_goes_down_and_comes_back_loses_nothing(
    sweep: Sweep, reference: Sweep, dev_cluster: Cluster
) -> None:
    sweep.launch()
    sweep.wait_for_results()
    node = output("sinfo", "--noheader", "--format=%n").splitlines()[0]

    output("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    wait_until("its processes are gone", lambda: not sweep.leaders())
    missing = POINTS - len(sweep.done())
    output("scontrol", "update", f"nodename={node}", "state=resume")
    sweep.complete()

    assert missing
    assert sweep.table() == reference.table()


def test_a_slurmctld_that_is_killed_and_started_again_loses_nothing(
    sweep: Sweep, reference: Sweep, dev_cluster: Cluster
) -> None:
    sweep.launch()
    before = sweep.wait_for_results()
    with sweep.suspended():
        wait_until_saved(sweep.jobs()[-1])

    dev_cluster("kill", "slurmctld")
    missing = POINTS - len(sweep.done())
    wait_until("results come without slurmctld", lambda: len(sweep.done()) > before)
    blind = sweep.status()
    dev_cluster("start", "slurmctld")
    sweep.complete()

    assert missing
    assert blind["notes"]  # squeue does not answer
    assert blind["missing"] == blind["failed"] == 0
    assert sweep.table() == reference.table()


def test_a_sweep_does_without_slurmdbd_and_its_status_stays_true(
    sweep: Sweep, reference: Sweep, dev_cluster: Cluster
) -> None:
    sweep.launch()
    sweep.wait_for_results()

    dev_cluster("stop", "slurmdbd")
    missing = POINTS - len(sweep.done())
    while (now := sweep.status())["done"] < POINTS:
        assert now["missing"] == now["failed"] == 0
        time.sleep(0.2)
    dev_cluster("start", "slurmdbd")
    sweep.wait_until_over()

    assert missing
    assert sweep.table() == reference.table()
