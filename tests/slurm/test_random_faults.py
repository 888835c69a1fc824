"""Ten random sequences of faults at once: whatever fails, nothing is lost, and the table is the same.

TTFSRUN_FAULT_SEEDS=3,17 runs these sequences instead, such as one that failed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import development_cluster
import pytest
from disks import small_disk
from random_faults import FAULTS, Cluster, FaultSequence, cause_faults
from sweeps import SHORT, WAIT_SECONDS, Command, Sweep, output

from ttfsrun.sweep.monitor import submissions

SEEDS = [int(seed) for seed in os.environ.get("TTFSRUN_FAULT_SEEDS", "").split(",") if seed] or list(range(10))
#: Some seconds for each sweep: faults must meet tasks that train.
GRID = ("seed.init=range(2)", "substrate.v_th.chip_std=0.0,0.1", "training.epochs=400", *SHORT[1:])
CLUSTER = ("cluster=slurm", "cluster.cores=1", "cluster.task_minutes=0.001", "cluster.max_tasks=2")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("three_nodes")]


class InThisProcess(Command):
    """The command in the process of the test, which has loaded its modules; jobs are processes of their own."""

    def __init__(self, folder: Path, ttfsrun: Callable[..., tuple[int, str, str]]) -> None:
        super().__init__(folder)
        self._ttfsrun = ttfsrun

    def __call__(self, *words: object, environment: object = None) -> tuple[int, str, str]:
        assert environment is None
        return self._ttfsrun(*words)


@pytest.fixture
def command(
    ttfsrun: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> InThisProcess:
    command = InThisProcess(tmp_path, ttfsrun)
    monkeypatch.setenv("PYTHONPATH", command.environment["PYTHONPATH"])
    monkeypatch.setattr(submissions, "lives", lambda *process: False)  # a command ends before the next one begins
    return command


@pytest.fixture
def disturbed(
    seeds: list[int], command: InThisProcess, tmp_path: Path
) -> Iterator[tuple[Cluster, list[FaultSequence]]]:
    """The cluster, and the sequences, each with a disk of its own; the cluster is repaired after the test."""
    with ExitStack() as stack:
        disks = {seed: stack.enter_context(small_disk(tmp_path / f"disk-{seed}")) for seed in seeds}
        sweeps = {seed: Sweep(command, disk / "sweep", GRID, CLUSTER) for seed, disk in disks.items()}
        cluster = Cluster(list(sweeps.values()))
        yield cluster, [FaultSequence(seed, sweeps[seed], disks[seed], cluster) for seed in seeds]
        development_cluster.repair(wait=False)
        output("scancel", "--me")  # tasks that were given up, or whose lines were torn, may still wait
        development_cluster.repair()


@pytest.mark.parametrize("seeds", [pytest.param(SEEDS, id=f"seeds {','.join(map(str, SEEDS))}")])
def test_whatever_fails_in_whatever_order_the_table_is_the_same(
    seeds: list[int], disturbed: tuple[Cluster, list[FaultSequence]], command: InThisProcess, tmp_path: Path
) -> None:
    cluster, sequences = disturbed
    undisturbed = Sweep(command, tmp_path / "undisturbed", GRID, ["cluster=debug"])
    undisturbed.launch("cluster.threads=1")
    expected = undisturbed.table()
    try:
        for sequence in sequences:
            sequence.submit()
        development_cluster.wait_until_saved(sequences[-1].sweep.jobs()[-1])  # else slurmctld may forget all of them
        happened = cause_faults(sequences, cluster)
        for sequence in sequences:
            sequence.repair()
        development_cluster.repair(wait=False)
        deadline = time.monotonic() + 2 * WAIT_SECONDS
        unfinished = list(sequences)
        while unfinished:
            assert time.monotonic() < deadline, "not complete"
            unfinished = [sequence for sequence in unfinished if not sequence.react()]
            development_cluster.resume()
            time.sleep(1.0)
        for sequence in sequences:
            sequence.check(expected)
        assert len(happened) == len(FAULTS) or len(sequences) < len(FAULTS) // 2
        assert sum(not sequence.may_repeat for sequence in sequences) >= len(sequences) // 4
    finally:
        certain = [number for number, sequence in zip(seeds, sequences, strict=True) if not sequence.may_repeat]
        stories = "\n\n".join("\n".join(sequence.story) for sequence in sequences)
        (tmp_path / "stories.txt").write_text(stories)
        title = f"TTFSRUN_FAULT_SEEDS={','.join(map(str, seeds))}; no point may be computed twice: {certain}"
        sys.stdout.write(f"{title}\n{stories}\n")  # pytest shows it on failure
