"""How the bookkeeping of a sweep grows with its points, in operations and memory, not in seconds."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import made_up
import pytest

from ttfsrun.config.compose import Composer, conf_dir
from ttfsrun.config.conf_folder import ConfFolder
from ttfsrun.report import snapshot
from ttfsrun.report.write import write_report
from ttfsrun.results.gather import GatherOptions, gather
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.results.table import read_table
from ttfsrun.sweep.grid.request import read_request
from ttfsrun.sweep.monitor.status import sweep_status
from ttfsrun.sweep.submit.freeze import freeze_points

READERS: dict[str, Callable[[SweepFolder], object]] = {
    "status": sweep_status,
    "gather": lambda folder: gather(folder, GatherOptions()),
    "report": lambda folder: write_report(folder, None),
}


class OpenedFiles:
    """The files that this process opens while `active`; a hook cannot be removed again."""

    def __init__(self) -> None:
        self.active = False
        self.names: list[str] = []

    def note(self, event: str, args: tuple[object, ...]) -> None:
        if self.active and event == "open":
            self.names.append(str(args[0]))


OPENED = OpenedFiles()
sys.addaudithook(OPENED.note)


@contextmanager
def opened_below(path: Path) -> Iterator[list[str]]:
    """Yield a list that has, afterwards, the files within a folder that the block opened."""
    files: list[str] = []
    OPENED.names, OPENED.active = [], True
    try:
        yield files
    finally:
        OPENED.active = False
        files += [name for name in OPENED.names if name.startswith(str(path))]


def finished(path: Path, n: int) -> SweepFolder:
    folder, points = made_up.seeds(path, n)
    made_up.write(folder, [made_up.done(point) for point in points])
    return folder


@pytest.mark.parametrize("verb", READERS)
def test_the_number_of_files_opened_does_not_depend_on_the_number_of_points(verb: str, tmp_path: Path) -> None:
    counts = []
    for n in (4, 40):
        folder = finished(tmp_path / str(n), n)
        with opened_below(folder.path) as files:
            READERS[verb](folder)
        counts.append(len(files))
    assert counts[0] == counts[1] > 0


def request(n: int) -> tuple[Composer, list[tuple[str, ...]], tuple[str, ...]]:
    composer = Composer(conf_dir())
    asked = read_request(["substrate.weight.bits=2,3", f"seed.init=range({n // 2})"], composer)
    return composer, asked.points, asked.keys


def test_yaml_files_are_merged_once_whatever_the_number_of_points(monkeypatch: pytest.MonkeyPatch) -> None:
    merged = []
    original = ConfFolder.merged

    def counted(self: ConfFolder, choices: object) -> object:
        merged.append(choices)
        return original(self, choices)  # type: ignore[arg-type]

    monkeypatch.setattr(ConfFolder, "merged", counted)
    composer, points, _ = request(200)
    assert len(composer.compose_all(points)) == 200
    assert len(merged) == 1


def test_points_of_a_grid_share_the_parts_in_which_they_do_not_differ(tmp_path: Path) -> None:
    composer, overrides, keys = request(200)
    points = freeze_points(zip(overrides, composer.configs(overrides), strict=True), keys)
    folder = SweepFolder(tmp_path / "sweep")
    folder.create({"points": len(points)}, points)
    for some in (points, list(folder.points.values())):
        assert len(some) == 200
        different = {name: len({id(point.config[name]) for point in some}) for name in some[0].config}
        assert different.pop("seed") == 100
        assert different.pop("substrate") == 2
        assert set(different.values()) == {1}


def peak(call: Callable[[], object]) -> int:
    """Return the largest number of bytes that a call has allocated at once."""
    call()  # what is loaded once does not count
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_no_faster_than_the_number_of_points(tmp_path: Path) -> None:
    small, large = (finished(tmp_path / str(n), n) for n in (40, 400))
    for read in (read_table, sweep_status):
        fresh = [lambda path=folder.path, read=read: read(SweepFolder(path)) for folder in (small, large)]
        assert peak(fresh[1]) <= 10 * peak(fresh[0])


def test_a_large_sweep_has_a_page_with_main_columns_and_figures_of_all_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, points = made_up.sweep(tmp_path / "many", [{"substrate.weight.bits": bits} for bits in (2, 3, 4, 5, 6, 8)])
    made_up.write(folder, [made_up.done(point) for point in points])
    write_report(folder, tmp_path / "whole.html")
    monkeypatch.setattr(snapshot, "MAX_WITH_ALL_COLUMNS", 5)
    write_report(folder, tmp_path / "large.html")
    whole, large = ((tmp_path / name).read_text() for name in ("whole.html", "large.html"))
    assert len(large) < len(whole)
    assert "sample of" not in large
    assert large.count("<svg") == whole.count("<svg") > 0
    assert snapshot.MAIN_COLUMNS_ONLY in large
    assert snapshot.MAIN_COLUMNS_ONLY not in whole
    assert all(point in large for point in points)
    assert '"train_loss"' in whole
    assert '"train_loss"' not in large
