"""Whatever fails on a cluster, in whatever order: the status is true, nothing is lost, and the table is the same.

TTFSRUN_FAULT_SEEDS=3,17 runs these sequences alone, such as one that failed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from fault_sequence import Call, FaultSequence, table

from ttfsrun.cli import main
from ttfsrun.sweep.cost import Cost
from ttfsrun.sweep.submit import launch

SEQUENCES, PARTS = 120, 8
SEEDS = [int(seed) for seed in os.environ.get("TTFSRUN_FAULT_SEEDS", "").split(",") if seed] or list(range(SEQUENCES))
GRID = (
    "seed.init=range(3)",
    "substrate.v_th.chip_std=0.0,0.1",
    "training.epochs=2",
    "network.hidden=[5]",
    "training.batch_size=20",
    "data.samples={train:40,valid:20,test:20}",
)
CLUSTER = ("cluster=slurm", "cluster.cores=1", "cluster.max_tasks=4", "cluster.srun=false")
COST = Cost(600.0, 600.0, 1.0, 1e8, 1e6)  # such that tasks have one or two populations


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same sweep, computed in one process."""
    path = tmp_path_factory.mktemp("undisturbed") / "sweep"
    assert main.main(["sweep", *GRID, "cluster=debug", "cluster.threads=1", "--out", str(path)]) == 0
    assert main.main(["gather", str(path), "--bare", "--curves"]) == 0
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is measured before a submission; the commands of Slurm exist."""
    monkeypatch.setattr(launch, "estimate_costs", lambda points, *_: dict.fromkeys((p.shape for p in points), COST))
    (tmp_path / "bin").mkdir()
    for name in ("srun", "sbatch"):
        (tmp_path / "bin" / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))])
def test_whatever_fails_the_table_is_the_same_and_the_status_is_true(
    part: int, undisturbed: Path, ttfsrun: Call, quick: None, tmp_path: Path
) -> None:
    for seed in SEEDS[part::PARTS]:
        path = tmp_path / f"{seed}" / "sweep"
        path.mkdir(parents=True)
        for name in ("sweep.yaml", "points.jsonl"):
            shutil.copy(undisturbed / name, path / name)
        sequence = FaultSequence(seed, path, ttfsrun, ["sweep", *GRID, *CLUSTER, "--out", path])
        try:
            with pytest.MonkeyPatch.context() as patch:
                sequence.machine.install(patch)
                sequence.run()
                sequence.check(table(undisturbed))
        except Exception as error:
            raise AssertionError("\n".join([f"TTFSRUN_FAULT_SEEDS={seed}", *sequence.story])) from error
        finally:
            sequence.discard()
