"""Tests on a real Slurm: they run where `sbatch` works, one at a time, and restore the cluster."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import development_cluster
import pytest
from sweeps import GRID, QUICK, Command, Sweep, wait_until

HERE = Path(__file__).parent
NODE_CORES, NODE_MEGABYTES = "1,1,2", "1500,3000,6000"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the test as soon as it is collected: after the whole collection, xdist has already read the groups."""
    if HERE in item.path.parents:
        item.add_marker(pytest.mark.slurm)
        item.add_marker(pytest.mark.xdist_group("slurm"))


@pytest.fixture(scope="session", autouse=True)
def slurm() -> None:
    """Skip where there is no Slurm."""
    for command in ("sbatch", "sinfo"):
        if shutil.which(command) is None:
            pytest.skip(f"no Slurm here: no {command}; slurm/dev-cluster start sets up a development cluster")
    try:
        subprocess.run(["sinfo"], capture_output=True, timeout=30, check=True)
    except subprocess.SubprocessError as error:
        pytest.skip(f"no Slurm here: {error}; slurm/dev-cluster start repairs the development cluster")


@pytest.fixture(scope="module", autouse=True)
def alone(slurm: None) -> Iterator[None]:
    """Run one file of tests at a time, also with several pytest processes: tests kill daemons."""
    with (Path(tempfile.gettempdir()) / "ttfsrun-tests-slurm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("cwd"))


@pytest.fixture
def new_sweep(command: Command, tmp_path: Path) -> Iterator[Callable[..., Sweep]]:
    """Return a function that makes sweeps, and cancel their jobs after the test."""
    sweeps: list[Sweep] = []

    def make(folder: Path = tmp_path, **arguments: Sequence[str]) -> Sweep:
        sweeps.append(Sweep(command, folder / "sweep", **arguments))
        return sweeps[-1]

    yield make
    for sweep in sweeps:
        if sweep.path.exists() and sweep.queue():
            subprocess.run(["scancel", "--quiet", *sweep.jobs()], check=False)
            wait_until("cancelled jobs leave", lambda sweep=sweep: not sweep.queue())


@pytest.fixture
def sweep(new_sweep: Callable[..., Sweep]) -> Sweep:
    """The common grid, not submitted yet."""
    return new_sweep()


@pytest.fixture
def quick(new_sweep: Callable[..., Sweep]) -> Sweep:
    """The grid of networks that train for a moment, not submitted yet."""
    return new_sweep(grid=QUICK)


@pytest.fixture(scope="session")
def reference(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """The common grid, computed in one process without a scheduler."""
    return _computed(command, tmp_path_factory.mktemp("reference"), GRID)


@pytest.fixture(scope="session")
def quick_reference(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """The grid of `quick`, computed like `reference`."""
    return _computed(command, tmp_path_factory.mktemp("quick"), QUICK)


def _computed(command: Command, folder: Path, grid: Sequence[str]) -> Sweep:
    sweep = Sweep(command, folder / "sweep", grid, ["cluster=debug"])
    sweep.launch("cluster.threads=1")
    return sweep


@pytest.fixture
def dev_cluster() -> Iterator[Callable[..., None]]:
    """Return a function that calls slurm/dev-cluster; after the test, restart what does not run."""
    yield development_cluster.call
    development_cluster.repair()


@pytest.fixture(scope="module")
def three_nodes(alone: None) -> Iterator[None]:
    """Three nodes of different size while the tests of a file run: n1, n2 and n3."""
    development_cluster.call("start", "--nodes", "3", cpus=NODE_CORES, memory=NODE_MEGABYTES)
    yield
    development_cluster.call("start")
