"""A sweep computes on the data that it was made with, or not at all."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from ttfsrun.errors import INCOMPLETE
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.sweep.worker.interpreter import python_command

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sweep(two_datasets: tuple[Path, Path], tiny_images: tuple[str, ...], ttfsrun: Call, tmp_path: Path) -> SweepFolder:
    """A sweep of two points on the first dataset, of which one is done."""
    words = ("sweep", *tiny_images, "seed.init=0,1", "cluster=debug", "--out", tmp_path / "sweep")
    assert ttfsrun(*words, "--limit", 1)[0] == INCOMPLETE
    return SweepFolder(tmp_path / "sweep")


def sources(sweep: SweepFolder) -> list[dict[str, str]]:
    """Return the data of each result."""
    return [record.result["data"] for record in sweep.latest().values() if record.result]


@pytest.mark.slow
def test_a_retry_without_the_environment_of_the_submission_reads_the_same_data(
    sweep: SweepFolder, ttfsrun: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TTFSRUN_DATA")
    assert ttfsrun("retry", sweep.path)[0] == 0
    one, two = sources(sweep)
    assert one == two
    assert one["dataset"] == "in MNIST's format"


@pytest.mark.slow
def test_a_sweep_is_not_continued_on_other_data(
    sweep: SweepFolder, two_datasets: tuple[Path, Path], ttfsrun: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two_datasets
    monkeypatch.setenv("TTFSRUN_DATA", str(other))
    code, _, messages = ttfsrun("retry", sweep.path)
    assert code == 2
    assert f"{other}: not the data of this sweep, which were read from {one}" in messages
    assert len(sources(sweep)) == 1

    one.rename(one.parent / "moved")  # the same files elsewhere are the same data
    monkeypatch.setenv("TTFSRUN_DATA", str(one.parent / "moved"))
    assert ttfsrun("retry", sweep.path)[0] == 0
    assert len(sources(sweep)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["none", "other data"])
def test_a_task_computes_on_the_frozen_data_whatever_its_environment_names(
    environment: str, sweep: SweepFolder, two_datasets: tuple[Path, Path], tmp_path: Path
) -> None:
    """As with `--export=NONE`, and as with a profile on the node that sets the variable."""
    _, other = two_datasets
    _plan_missing_points(sweep)
    variables = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path / "empty")}
    variables |= {"TTFSRUN_DATA": str(other)} if environment == "other data" else {}
    variables |= {name: os.environ[name] for name in ("PYTHONPATH", "NUMBA_CACHE_DIR") if name in os.environ}
    command = [*python_command("ttfsrun.sweep.worker.array_task"), str(sweep.path), "later", "0"]
    left = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    if environment == "none":
        assert left.returncode == 0, left.stderr
        one, two = sources(sweep)
        assert one == two
    else:
        assert left.returncode == 3, left.stderr
        assert f"{other}: not the data of this sweep" in left.stderr
        assert [record.status for record in sweep.records()] == ["done", "failed"]


@pytest.mark.slow
def test_networks_with_other_augmentations_share_population_and_data_and_have_the_results_they_have_alone(
    two_datasets: tuple[Path, Path], tiny_images: tuple[str, ...], ttfsrun: Call, tmp_path: Path
) -> None:
    lively = ("network.init.mean=[0.5,2]", "training.bumping.silent_fraction=[1,1]", "training.keep=last")
    common = ("sweep", *tiny_images, *lively, "cluster=debug")
    for name, shifts in (("together", "0,4,8"), ("alone", "8")):
        assert ttfsrun(*common, f"data.augmentation.shift={shifts}", "--out", tmp_path / name)[0] == 0
    together, alone = SweepFolder(tmp_path / "together"), SweepFolder(tmp_path / "alone")
    assert len(yaml.safe_load(together.sweep.read_text())["data"]) == 1
    results = {point: record.result for point, record in together.latest().items()}
    assert {record.execution.population for record in together.records()} == {3}
    (point,) = alone.points
    assert alone.latest()[point].result == results[point]
    assert len({str(result["test"]["loss"]) for result in results.values() if result}) == 3


def test_a_sweep_of_generated_data_freezes_none(ttfsrun: Call, tiny_overrides: tuple[str, ...], tmp_path: Path) -> None:
    words = ("sweep", *tiny_overrides[:-1], "cluster=debug", "training.epochs=1", "--out", tmp_path / "sweep")
    assert ttfsrun(*words)[0] == 0
    assert yaml.safe_load((tmp_path / "sweep" / "sweep.yaml").read_text())["data"] == []


def _plan_missing_points(sweep: SweepFolder) -> None:
    """Write the intent of a submission of the missing points to Slurm, as a task finds it."""
    import msgspec

    from ttfsrun.config.compose import compose
    from ttfsrun.results.provenance import package_checksum
    from ttfsrun.results.sweep_folder import Intent

    missing = [point for point in sweep.points if point not in sweep.latest()]
    sweep.note(
        Intent(
            submission="later",
            time=0.0,
            cluster=msgspec.to_builtins(compose(["cluster=slurm", "cluster.cores=1"]).cluster),
            tasks=[[missing]],
            arrays=[1],
            job_name="later",
            host="",
            pid=0,
            started=0,
            package=package_checksum(),
        )
    )
