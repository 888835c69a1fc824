"""Which log belongs to a point, and which part of it is shown."""

from __future__ import annotations

from pathlib import Path

import made_up
import pytest
from made_up import START

from ttfsrun.sweep.monitor.logs import last_lines, log_path


@pytest.mark.parametrize(
    ("content", "n", "lines"),
    [
        ("", 3, []),
        ("one\ntwo\nthree\n", 2, ["two", "three"]),
        ("one\ntwo\nthree", 2, ["two", "three"]),
        ("one\n", 9, ["one"]),
        ("one\n", 0, []),
        ("10 %\r50 %\r100 %\nend\n", 2, ["100 %", "end"]),
        ("x" * 200_000 + "\nend\n", 1, ["end"]),
        ("line\n" * 100_000, 3, ["line"] * 3),
    ],
)
def test_the_end_of_a_log_is_its_last_lines(content: str, n: int, lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(content, newline="")
    assert last_lines(path, n) == lines


def test_a_log_is_found_by_its_task_or_by_a_job_without_an_array(tmp_path: Path) -> None:
    folder, _ = made_up.seeds(tmp_path, 1)
    folder.slurm.mkdir()
    assert log_path(folder, "12_0") is None
    (folder.slurm / "12_0_log.out").touch()
    assert log_path(folder, "12_0") == folder.slurm / "12_0_log.out"
    (folder.slurm / "12_0_0_log.out").touch()
    assert log_path(folder, "12_0") == folder.slurm / "12_0_0_log.out"
    assert log_path(folder, "12_1") is None
    assert log_path(folder, None) is None


def test_failed_points_show_message_traceback_and_log_once_for_all_that_failed_alike(ttfsrun, tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 4)
    traceback = "Traceback (most recent call last):\n  boom\n"
    own = {"message": "boom", "traceback": traceback, "job": "12_3"}
    made_up.write(folder, [made_up.done(points[0]), *(made_up.failed(point, **own) for point in points[1:])])
    folder.slurm.mkdir()
    (folder.slurm / "12_3_0_log.out").write_text("one\ntwo\nthree\n")
    code, out, _ = ttfsrun("logs", tmp_path, "--failed", "--tail", 2)
    assert code == 0
    assert out.splitlines() == [
        f"point {points[1]} (and 2 more like it): failed, error, job 12_3",
        "  boom",
        "  Traceback (most recent call last):",
        "    boom",
        f"log {folder.slurm / '12_3_0_log.out'}",
        "  two",
        "  three",
    ]
    assert ttfsrun("logs", tmp_path)[1] == ttfsrun("logs", tmp_path, "--failed")[1]


def test_points_are_named_by_the_beginning_of_their_ids(ttfsrun, tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 20)
    made_up.write(folder, [made_up.failed(points[16], time=START)])
    code, out, _ = ttfsrun("logs", tmp_path, points[16][:12], points[3])
    assert (code, out.splitlines()) == (
        0,
        [
            f"point {points[16]}: failed, error",
            "  the loss is nan",
            "  no log",
            "",
            f"point {points[3]}: missing",
            "  no log",
        ],
    )
    assert ttfsrun("logs", tmp_path, "0000")[0] == 2
    assert "no point of this sweep has an id that begins with this" in ttfsrun("logs", tmp_path, "x")[2]


def test_where_there_is_nothing_to_show_it_says_so(ttfsrun, tmp_path: Path) -> None:
    made_up.seeds(tmp_path, 1)
    assert ttfsrun("logs", tmp_path) == (0, "", "ttfsrun: no point failed, and none runs\n")
