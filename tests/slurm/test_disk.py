"""Full and read-only disks, and a file that ends in the middle of a line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from disks import fill, small_disk
from sweeps import FAILED, POINTS, QUICK, Sweep, output


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A separate small file system."""
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def test_a_disk_that_runs_full_in_the_middle_costs_only_time(
    new_sweep: Callable[..., Sweep], disk: Path, reference: Sweep
) -> None:
    sweep = new_sweep(disk)
    sweep.launch()
    sweep.wait_for_results()

    filler = fill(disk)
    now = sweep.settled()
    filler.unlink()
    sweep.complete()

    assert now["done"] < POINTS
    assert now["done"] + now["failed"] == POINTS
    assert sweep.table() == reference.table()


def test_nothing_is_submitted_where_nothing_can_be_written(new_sweep: Callable[..., Sweep], disk: Path) -> None:
    sweep = new_sweep(disk, grid=QUICK)
    fill(disk)
    full, _, of_full = sweep.command(*sweep.words)
    (disk / "filler").unlink()
    sweep.launch("--limit", "1")
    sweep.settled()

    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    again, _, of_sweep = sweep.command(*sweep.words)
    elsewhere = Sweep(sweep.command, disk / "another")
    new, _, of_another = elsewhere.command(*elsewhere.words)
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)

    assert full == again == new == FAILED
    assert "No space left on device" in of_full
    for words in (of_full, of_sweep, of_another):
        assert str(disk) in words
        assert "Traceback" not in words
    assert "Read-only file system" in of_sweep
    assert "Read-only file system" in of_another
    assert len(sweep.jobs()) == 1
    assert "ttfsrun" not in output("squeue", "--noheader", "--format=%j")


def test_a_torn_line_costs_only_its_own_point(sweep: Sweep, reference: Sweep) -> None:
    sweep.launch()
    sweep.wait_for_results()
    output("scancel", *sweep.jobs())
    sweep.settled()
    shard = max(sweep.path.glob("shards/*.results.jsonl"), key=lambda path: path.stat().st_size)
    before = len(sweep.done())

    shard.write_bytes(shard.read_bytes()[:-40])
    torn = sweep.settled()
    sweep.complete()

    assert torn["done"] == before - 1
    assert sweep.table() == reference.table()
