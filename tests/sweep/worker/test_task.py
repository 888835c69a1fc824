"""A task that is started again computes only its unfinished points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made_up
import pytest

from ttfsrun.config.compose import Composer, conf_dir
from ttfsrun.results import lines
from ttfsrun.results.record import Curves, Record
from ttfsrun.results.sweep_folder import SweepFolder, SweepPoint
from ttfsrun.sweep.submit.freeze import freeze_points
from ttfsrun.sweep.worker.in_process import ThisProcess
from ttfsrun.sweep.worker.task import Task
from ttfsrun.training.progress import Progress


class Silent:
    """Observer that ignores everything."""

    def progressed(self, worker: int, progress: Progress) -> None:
        pass

    def finished(self, record: Record, curves: Curves | None) -> None:
        pass


@pytest.fixture
def points(tiny_overrides: tuple[str, ...]) -> list[SweepPoint]:
    """A point that can be trained, and one whose loss is infinite."""
    words = [*tiny_overrides, "training.epochs=1", "training.loss.beta=0.05", "training.input_noise=0.0,100.0"]
    return freeze_points([(point.overrides, point.config) for point in Composer(conf_dir()).expand(words)], [])


@pytest.fixture
def folder(tmp_path: Path, points: list[SweepPoint]) -> SweepFolder:
    folder = SweepFolder(tmp_path / "sweep")
    folder.create({"points": len(points)}, points)
    return folder


def started(folder: SweepFolder, points: list[SweepPoint], submission: str) -> Task:
    task = Task(folder, submission, 0, Silent())
    task.run([points], ThisProcess(1))
    return task


def test_a_task_that_is_queued_again_passes_over_what_failed_in_it_before(folder, points):
    first = started(folder, points, "one")
    assert (first.progress, first.failed) == (True, 1)
    again = started(folder, points, "one")
    assert len(list(folder.records())) == 2, "one result, one failure"
    assert not again.progress, "else it would be requeued for ever"
    assert again.failed == 1, "the task has failed points, whenever they did"


def test_another_submission_tries_again_what_failed(folder, points):
    started(folder, points, "one")
    assert started(folder, points, "two").progress
    assert len(list(folder.records())) == 3


def test_a_task_that_is_told_to_stop_before_it_works_does_not_begin(folder, points):
    task = Task(folder, "one", 0, Silent())
    task.stop()
    task.run([points], ThisProcess(1))
    assert not list(folder.records())


def test_the_number_of_shards_that_a_task_opens_does_not_depend_on_that_of_the_tasks(tmp_path, monkeypatch):
    def number_of_reads(n_tasks: int) -> int:
        folder, points = made_up.seeds(tmp_path / str(n_tasks), n_tasks)
        for submission in ("s1", "s2"):
            folder.note(made_up.intent([[point] for point in points], submission=submission))
            for number, point in enumerate(points):
                made_up.write(folder, [made_up.done(point)], f"{submission}-{number:05d}-0")
        made_up.write(folder, [made_up.done(points[0])], "ab12cd34-00000-0")  # from another sweep, by --reuse
        read: list[Path] = []
        read_lines = lines.read_lines

        def counted(path: Path, kind: type[Any]) -> Iterator[Any]:
            read.append(path)
            return read_lines(path, kind)

        with monkeypatch.context() as patch:
            patch.setattr(lines, "read_lines", counted)
            attempts = list(folder.attempts_at({points[1]}))
        assert [attempt.point for attempt in attempts] == [points[1]] * 2
        return len(read)

    assert number_of_reads(40) == number_of_reads(3) <= 4
