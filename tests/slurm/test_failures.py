"""Points that cannot be computed: they fail with their reason, and the others of their task continue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sweeps import DONE, SHORT, WITH_FAILURES, Sweep, output


def failed(sweep: Sweep) -> dict[str, str | None]:
    """Return the reasons of failed points, by point."""
    return {point: record.reason for point, record in sweep.folder.latest().items() if record.status == "failed"}


def check_finished_with_failures(sweep: Sweep) -> None:
    """Check that the sweep finished with some failed points, and that every command shows that."""
    now = sweep.settled()
    assert now["failed"] == len(failed(sweep))
    assert now["done"] == now["points"] - now["failed"] > 0
    assert sweep.command("status", sweep.path)[0] == WITH_FAILURES
    exits = output("sacct", "--noheader", "--allocations", "--format=exitcode", f"--jobs={sweep.jobs()[0]}")
    assert exits.split() == ["3:0"]


def test_a_training_that_diverges_fails_alone(new_sweep: Callable[..., Sweep], tmp_path: Path) -> None:
    late = "training.input_noise=0.0,100.0"  # with such a bias in the loss, late inputs are too late
    grid = [*SHORT, "seed.init=0,1", "training.loss.beta=0.05", late]
    sweep = new_sweep(grid=grid, cluster=["cluster=slurm", "cluster.cores=1"])
    local = new_sweep(tmp_path / "local", grid=grid, cluster=["cluster=local"])
    sweep.launch()
    assert local.command(*local.words)[0] == WITH_FAILURES
    check_finished_with_failures(sweep)

    assert list(failed(sweep).values()) == ["error", "error"]
    assert sweep.command(*sweep.words)[0] == WITH_FAILURES  # nothing to run: what failed is for `retry`
    assert sweep.table() == local.table()


def test_a_chip_file_that_has_changed_fails_its_points_alone(new_sweep: Callable[..., Sweep], tmp_path: Path) -> None:
    chips = [tmp_path / name / "chip.safetensors" for name in ("a", "b")]
    sweep = new_sweep(
        grid=[*SHORT, "seed.init=0,1", "substrate=brainscales2", f"substrate.chip.file={chips[0]},{chips[1]}"],
        cluster=["cluster=slurm", "cluster.cores=1", "cluster.sbatch={hold:true}"],
    )
    for seed, chip in enumerate(chips):
        arguments = [*SHORT, "substrate=brainscales2", f"seed.chip={seed}", "--out", str(chip.parent)]
        code, _, err = sweep.command("chip", *arguments)
        assert code == DONE, err
    sweep.launch()

    chips[1].write_bytes(chips[0].read_bytes())
    output("scontrol", "release", sweep.jobs()[0])
    check_finished_with_failures(sweep)

    assert list(failed(sweep).values()) == ["error", "error"]
    assert "has changed since the sweep was made" in sweep.logs()


def test_a_point_that_exhausts_its_memory_fails_alone(new_sweep: Callable[..., Sweep]) -> None:
    few = ["data.samples={train:20,valid:5,test:5}", "training.epochs=5"]
    sweep = new_sweep(
        grid=[*few, "network.hidden=[30],[150000]"],
        cluster=["cluster=slurm", "cluster.cores=1", "cluster.memory_gb=0.75"],
    )
    sweep.launch()
    check_finished_with_failures(sweep)

    assert list(failed(sweep).values()) == ["out of memory"]


def test_a_task_that_ran_out_of_memory_is_retried_with_more(new_sweep: Callable[..., Sweep]) -> None:
    sweep = new_sweep(grid=[*SHORT, "seed.init=0,1"], cluster=["cluster=slurm", "cluster.cores=1"])
    sweep.launch(environment={"SBATCH_MEM_PER_NODE": "144M"})
    now = sweep.settled()
    assert (now["failed"], now["failures"][0]["reason"]) == (2, "out of memory")

    code, _, err = sweep.command("retry", sweep.path, "--yes")
    assert code == DONE
    assert "2 points ran out of memory with 0.151 GB: tasks now request " in err
    assert sweep.settled()["done"] == 2
