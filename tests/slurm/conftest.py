"""Tests on a real Slurm: they run where `sbatch` works, one at a time, and restore the cluster."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sweeps import CHECKOUT, GRID, Command, Sweep, output, wait_until

HERE = Path(__file__).parent
DEV_CLUSTER = CHECKOUT / "slurm" / "dev-cluster"
DAEMONS = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd")
MARK = "# Written by ttfsrun slurm/dev-cluster"


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


@pytest.fixture(autouse=True)
def alone(slurm: None) -> Iterator[None]:
    """Run one test at a time, also with several pytest processes: tests kill daemons."""
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


@pytest.fixture(scope="session")
def reference(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """The common grid, computed in one process without a scheduler."""
    reference = Sweep(command, tmp_path_factory.mktemp("reference") / "sweep", GRID, ["cluster=debug"])
    reference.launch("cluster.threads=1")
    return reference


@pytest.fixture
def dev_cluster() -> Iterator[Callable[..., None]]:
    """Return a function that calls slurm/dev-cluster; after the test, restart what does not run.

    Skips where Slurm is not the development cluster.
    """
    configuration = Path("/etc/slurm/slurm.conf")
    if not configuration.exists() or MARK not in configuration.read_text():
        pytest.skip("this Slurm is not the development cluster: its daemons must not be killed")

    def call(*words: str) -> None:
        subprocess.run([DEV_CLUSTER, *words], capture_output=True, timeout=150, check=True)

    yield call
    for name in DAEMONS:
        call("start", name)
    node = output("sinfo", "--noheader", "--format=%n").splitlines()[0]
    if any(word in output("sinfo", "--noheader", "--format=%T") for word in ("down", "drain", "fail")):
        output("scontrol", "update", f"nodename={node}", "state=resume")
    wait_until("the node takes jobs", lambda: "idle" in output("sinfo", "--noheader", "--format=%T"))
