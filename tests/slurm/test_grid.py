"""A realistic grid, and the same points computed in different ways: always the same table."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sweeps import Sweep

#: 3 x 3 x 3 x 8 points.
LARGE = (
    "substrate.v_th.chip_std=0.0,0.05,0.1",
    "substrate.weight.bits=3,5,null",
    "substrate.spike_time.jitter=0.0,0.02,0.05",
    "seed.init=range(8)",
    "training.epochs=3",
    "network.hidden=[30]",
    "data.samples={train:300,valid:50,test:100}",
)


def test_a_large_grid_runs_as_array_jobs_and_its_table_is_complete(new_sweep: Callable[..., Sweep]) -> None:
    cluster = ["cluster=slurm", "cluster.cores=1", "cluster.task_minutes=0.005", "cluster.max_tasks=6"]
    sweep = new_sweep(grid=LARGE, cluster=cluster)
    debug = new_sweep(sweep.path.parent / "debug", grid=LARGE, cluster=["cluster=debug", "cluster.threads=1"])
    messages = sweep.launch()
    debug.launch()
    now = sweep.settled()

    assert now["done"] == now["points"] == 216, messages
    assert len(sweep.jobs()) == 1
    tasks = len(sweep.folder.jobs()[0].tasks)
    assert tasks > 2
    assert len(sweep.records()) == 216  # each was computed once
    assert len(list(sweep.path.rglob("*"))) <= 10 + 3 * tasks  # for a task: results, curves, log
    assert sweep.table() == debug.table()


@pytest.mark.parametrize(
    ("processes", "settings"),
    [
        pytest.param(1, ["cluster.threads=2"], id="one process of two threads"),
        pytest.param(2, ["cluster.threads=1", "cluster.srun=false"], id="two processes, without srun"),
    ],
)
def test_packed_in_another_way_the_table_is_the_same(
    quick: Sweep, quick_reference: Sweep, processes: int, settings: list[str]
) -> None:
    """The other tests here use two tasks of one process each, and populations of one network."""
    quick.cluster = ["cluster=slurm", "cluster.cores=2", *settings]
    quick.launch()
    quick.settled()

    (populations,) = quick.folder.jobs()[0].tasks
    assert len(populations) == processes
    assert {record.execution.threads for record in quick.records()} == {2 // processes}
    assert quick.table() == quick_reference.table()
