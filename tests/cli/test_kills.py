"""Trainings that are killed at each change of their folder: all networks resume, or the folder is as before."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ttfsrun.results.claim import is_occupied
from ttfsrun.run.folder import PopulationFolder

pytestmark = pytest.mark.slow

KILLED = -9
TRAIN = "train data.samples={train:110,valid:40,test:50} network.hidden=[20] training.batch_size=25 cluster.threads=1"
TRAIN += " training.epochs=1"

Run = Callable[..., int]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Runs a command line, which is killed before its n-th change of a folder; without n, it is not."""
    command = [sys.executable, str(Path(__file__).with_name("killed.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def send(words: str, folder: Path, n: int = 0) -> int:
            stdin.write(json.dumps([[*words.split(), str(folder)], n, str(folder)]) + "\n")
            stdin.flush()
            code: int = json.loads(stdout.readline())
            return code

        yield send
        stdin.close()


def files(folder: Path) -> dict[str, bytes]:
    """Each file but the metrics, which hold times, and what a killed process leaves hidden."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.name != "metrics.json"}


@pytest.mark.parametrize("earlier", [[], ["seed.init=7", "seed.init=8"]], ids=["new", "overwrite"])
def test_a_kill_while_the_folder_is_made_loses_no_network(run: Run, tmp_path: Path, earlier: list[str]) -> None:
    whole, before = tmp_path / "whole", tmp_path / "before"
    assert run(f"{TRAIN} seed.init=3,4 --out", whole) == 0
    if earlier:
        assert run(f"{TRAIN} seed.init=7,8 --out", before) == 0
    else:
        before.mkdir()
    resumed = 0
    for n in range(1, 1000):
        folder = tmp_path / f"killed-{n}"
        shutil.copytree(before, folder)
        assert run(f"{TRAIN} seed.init=3,4 {'--overwrite' if earlier else ''} --out", folder, n) == KILLED
        is_made = not PopulationFolder(folder).population.exists()
        if is_made and resumed == 0:
            assert files(folder) == files(before)
            assert earlier or not is_occupied(folder)
            continue
        assert PopulationFolder(folder).names() == ["seed.init=3", "seed.init=4"]
        resumed += 1
        if is_made or resumed % 12 == 1:
            assert run("train --resume", folder) == 0
            assert files(folder) == files(whole)
        if is_made:
            break
    assert resumed > 10
