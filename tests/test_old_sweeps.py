"""A sweep that an earlier version made: this one gathers it to the same bytes, and continues it.

Everything is asked of the command line, as its users do. See fixtures/sweep_1c340df/README.md.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors import safe_open
from safetensors.numpy import save_file

OLD = Path(__file__).parent / "fixtures" / "sweep_1c340df"
EXPECTED = OLD / "expected"
REQUEST = ("sweep=./request.yaml", "cluster=debug", "cluster.threads=1")
WITH_FAILURES, INCOMPLETE = 3, 4  # exit codes
MARK = 123.0

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of the sweep, its request beside it."""
    shutil.copy(OLD / "request.yaml", tmp_path)
    return Path(shutil.copytree(OLD / "sweep", tmp_path / "sweep"))


@pytest.fixture
def run(tmp_path: Path) -> Call:
    """A command line in the folder that holds the sweep; its exit code must be the expected one."""

    def call(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ttfsrun", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done

    return call


def content(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def points_by_status(table: bytes) -> dict[str, set[bytes]]:
    """The ids of the points of a table, by what stands in its column `status`."""
    found: dict[str, set[bytes]] = {}
    for row in table.splitlines()[1:]:
        _, point, status, _ = row.split(b",", 3)
        found.setdefault(status.decode(), set()).add(point)
    return found


def rows_of(table: bytes, points: set[bytes]) -> list[bytes]:
    return [row for row in table.splitlines() if row.split(b",", 2)[1] in points]


def status(run: Call, code: int) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run("status", "sweep", "--json", code=code).stdout)
    return told


def another_sweep(run: Call, folder: Path) -> str:
    """Another sweep of the same points, `other`, that computes nothing itself; returns the checksum of this code."""
    run("sweep", *REQUEST, "--out", "other", "--reuse", "sweep", "--limit", "1", "--yes", code=INCOMPLETE)
    return str(yaml.safe_load((folder / "other" / "sweep.yaml").read_text())["package"])


def test_an_old_sweep_is_gathered_to_the_same_table_aggregate_and_curves(old: Path, run: Call) -> None:
    run("gather", "sweep", "--agg", "seed", "--curves", code=INCOMPLETE)
    for name in ("table.csv", "aggregate.csv", "curves.csv"):
        assert (old / name).read_bytes() == (EXPECTED / name).read_bytes(), name


def test_an_old_sweep_is_gathered_to_the_same_bare_table_of_every_setting(old: Path, run: Call) -> None:
    run("gather", "sweep", "--all", "--bare", "--out", "all_bare.csv", code=INCOMPLETE)
    assert (old.parent / "all_bare.csv").read_bytes() == (EXPECTED / "all_bare.csv").read_bytes()


def test_the_status_of_an_old_sweep_is_what_it_was(old: Path, run: Call) -> None:
    expected = json.loads((EXPECTED / "status.json").read_text())
    # All of it is stable: every submission in jobs.jsonl has ended, so that no process, host, scheduler or clock is
    # asked, and cores in use and the time left are of what runs. A later version may tell more than this.
    told = status(run, INCOMPLETE)
    assert {key: told.get(key) for key in expected} == expected


def test_failures_of_an_old_sweep_are_still_explained(old: Path, run: Call) -> None:
    told = run("logs", "sweep", "--failed").stdout
    assert "failed, error\n  the loss is inf in epoch 1, batch 9" in told
    assert "failed, out of memory\n  MemoryError: Unable to allocate" in told
    assert 'File "ttfsrun/network.py", line 140, in initial_weights' in told, "the traceback of the record"


def test_the_same_command_finds_the_same_points(old: Path, run: Call) -> None:
    before = content(old)
    told = run("sweep", *REQUEST, "--out", "sweep", "--dry-run").stderr
    assert re.search(r"\b10 points, 5 done, 3 missing, 2 failed; 3 to run\b", told), told
    assert "2 trainings in 1 population" in told, "two of the three points share one"
    assert content(old) == before


def test_another_grid_is_still_told_from_it(old: Path, run: Call) -> None:
    told = run("sweep", *REQUEST, "training.epochs=6", "--out", "sweep", "--dry-run", code=2).stderr
    assert "holds another grid" in told


def test_another_sweep_takes_over_what_an_old_one_has_done(old: Path, run: Call) -> None:
    another_sweep(run, old.parent)
    run("gather", "other", "--bare", code=INCOMPLETE)
    run("gather", "sweep", "--bare", code=INCOMPLETE)
    theirs, ours = ((old.parent / name / "table.csv").read_bytes().splitlines() for name in ("sweep", "other"))
    done = [row for row in theirs if b",done," in row or row.startswith(b"point,")]
    assert len(done) == 1 + 25
    assert [row for row in ours if b",missing," not in row] == done


def test_going_on_computes_what_is_missing_and_keeps_what_is_done(old: Path, run: Call) -> None:
    before, table = content(old), (EXPECTED / "table.csv").read_bytes()
    assert any(name.startswith("checkpoints/") for name in before)
    run("sweep", *REQUEST, "--out", "sweep", "--yes", code=WITH_FAILURES)

    after = content(old)
    # The checkpoint is of the old code, and is only continued by that; either way it goes when its networks are done.
    assert not any(name.startswith("checkpoints/") for name in after)
    for name, bytes_before in before.items():
        if name == "jobs.jsonl":
            assert after[name].startswith(bytes_before), "it is only appended to"
        elif not name.startswith("checkpoints/"):
            assert after[name] == bytes_before, name

    run("gather", "sweep", "--curves", code=WITH_FAILURES)
    gathered = (old / "table.csv").read_bytes()
    then, now = points_by_status(table), points_by_status(gathered)
    assert now == {"done": then["done"] | then["missing"], "failed": then["failed"]}
    assert gathered.splitlines()[0] == table.splitlines()[0]
    for kind in ("done", "failed"):
        assert rows_of(gathered, then[kind]) == rows_of(table, then[kind]), f"what was {kind} is not computed again"
    per_point = len(rows_of(table, then["done"])) // len(then["done"])
    assert len(rows_of(gathered, then["missing"])) == per_point * len(then["missing"]) == 15
    curves = (old / "curves.csv").read_bytes()
    assert curves.startswith((EXPECTED / "curves.csv").read_bytes()), "the points that were missing are the last"


def mark(checkpoint: Path, package: str) -> None:
    """Give a checkpoint a first epoch that no training has, and the checksum of the code that it is said to be of."""
    with safe_open(checkpoint, framework="np") as file:
        members = json.loads(file.metadata()["members"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["curves"][0] = MARK
    members = {training: f"{package} {known.partition(' ')[2]}" for training, known in members.items()}
    save_file(tensors, checkpoint, metadata={"members": json.dumps(members)})


# Nothing promises that a later version reads the state of a training that an earlier one interrupted: it computes it
# anew, as here where the checksum is of other code. Where that state has to change, the first of these two may go.
@pytest.mark.slow
@pytest.mark.parametrize("by", ["this code", "other code"])
def test_an_interrupted_training_goes_on_from_its_checkpoint_by_the_same_code_only(
    old: Path, run: Call, by: str
) -> None:
    package = another_sweep(run, old.parent)
    (checkpoint,) = (old / "checkpoints").iterdir()
    mark(checkpoint, package if by == "this code" else "0" * len(package))
    run("sweep", *REQUEST, "--out", "sweep", "--yes", code=WITH_FAILURES)
    run("gather", "sweep", "--curves", code=WITH_FAILURES)
    first = [row for row in (old / "curves.csv").read_text().splitlines() if row.endswith(f",train,loss,1,{MARK}")]
    assert len(first) == (3 if by == "this code" else 0), "points that were missing"
    assert not checkpoint.exists()


@pytest.mark.slow
def test_retrying_takes_the_cluster_of_the_last_submission_and_tries_the_failures_again(old: Path, run: Call) -> None:
    known = lines(old / "jobs.jsonl")
    run("retry", "sweep", "--yes", code=WITH_FAILURES)
    told = status(run, WITH_FAILURES)
    assert (told["done"], told["failed"], told["missing"]) == (8, 2, 0)
    assert {failures["reason"] for failures in told["failures"]} == {"error", "out of memory"}
    intent, ended = lines(old / "jobs.jsonl")[len(known) :]
    assert intent["cluster"] == known[-2]["cluster"] | {"device": "cpu"}  # a setting that came later
    assert len({point for task in intent["tasks"] for population in task for point in population}) == 5
    assert ended["why"] == "done"
    assert not list((old / "checkpoints").iterdir())


def test_an_old_sweep_is_drawn_and_reported(old: Path, run: Call) -> None:
    run("plot", "sweep", code=INCOMPLETE)
    figures = {path.suffix for path in (old / "figures").iterdir()}
    assert {".png", ".pdf", ".csv"} <= figures
    run("report", "sweep", code=INCOMPLETE)
    page = (old / "report.html").read_text()
    for point in (json.loads(line)["point"] for line in (old / "points.jsonl").read_text().splitlines()):
        assert point in page
