"""A real Slurm: these tests run wherever `sbatch` answers, one at a time, and leave the cluster as it was."""

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
OWN = "# Written by ttfsrun slurm/dev-cluster"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Here, and not when all are collected: by then xdist has looked for groups."""
    if HERE in item.path.parents:
        item.add_marker(pytest.mark.slurm)
        item.add_marker(pytest.mark.xdist_group("slurm"))


@pytest.fixture(scope="session", autouse=True)
def slurm() -> None:
    """Skips where there is no Slurm."""
    for command in ("sbatch", "sinfo"):
        if shutil.which(command) is None:
            pytest.skip(f"no Slurm here: there is no {command}; slurm/dev-cluster start brings one up")
    try:
        subprocess.run(["sinfo"], capture_output=True, timeout=30, check=True)
    except subprocess.SubprocessError as error:
        pytest.skip(f"no Slurm here: {error}; slurm/dev-cluster start repairs the development cluster")


@pytest.fixture(autouse=True)
def alone(slurm: None) -> Iterator[None]:
    """One test at a time, however many processes pytest has: they kill daemons."""
    with (Path(tempfile.gettempdir()) / "ttfsrun-tests-slurm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("cwd"))


@pytest.fixture
def new_sweep(command: Command, tmp_path: Path) -> Iterator[Callable[..., Sweep]]:
    """Makes sweeps; none of their jobs outlives the test."""
    made: list[Sweep] = []

    def make(place: Path = tmp_path, **more: Sequence[str]) -> Sweep:
        made.append(Sweep(command, place / "sweep", **more))
        return made[-1]

    yield make
    for sweep in made:
        if sweep.path.exists() and sweep.queue():
            subprocess.run(["scancel", "--quiet", *sweep.jobs()], check=False)
            wait_until("cancelled jobs leave", lambda sweep=sweep: not sweep.queue())


@pytest.fixture
def sweep(new_sweep: Callable[..., Sweep]) -> Sweep:
    """The common grid, not launched yet."""
    return new_sweep()


@pytest.fixture(scope="session")
def reference(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """The common grid, computed in one process without a scheduler."""
    reference = Sweep(command, tmp_path_factory.mktemp("reference") / "sweep", GRID, ["cluster=debug"])
    reference.launch("cluster.threads=1")
    return reference


@pytest.fixture
def dev_cluster() -> Iterator[Callable[..., None]]:
    """Calls slurm/dev-cluster, and starts again in the end what does not run. Skips on clusters of others."""
    configuration = Path("/etc/slurm/slurm.conf")
    if not configuration.exists() or OWN not in configuration.read_text():
        pytest.skip("this Slurm is not the development cluster: its daemons are not ours to kill")

    def call(*words: str) -> None:
        subprocess.run([DEV_CLUSTER, *words], capture_output=True, timeout=150, check=True)

    yield call
    for name in DAEMONS:
        call("start", name)
    node = output("sinfo", "--noheader", "--format=%n").splitlines()[0]
    if any(word in output("sinfo", "--noheader", "--format=%T") for word in ("down", "drain", "fail")):
        output("scontrol", "update", f"nodename={node}", "state=resume")
    wait_until("the node takes jobs", lambda: "idle" in output("sinfo", "--noheader", "--format=%T"))
