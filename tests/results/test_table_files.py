"""The files of a table are named after it and belong to it; no other file is replaced."""

from __future__ import annotations

from pathlib import Path

import made_up
import pytest

from ttfsrun.cli.main import main
from ttfsrun.results.record import Curves
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.results.table_files import TableFiles

CURVES = {split: {"accuracy": [0.5, 0.9]} for split in ("train", "valid")}
EVERYTHING = ["--agg", "seed", "--curves"]


def finished(path: Path, n: int = 3, done: int | None = None) -> SweepFolder:
    """Return a sweep over n seeds, the first of which are done, all by default."""
    folder, points = made_up.seeds(path, n)
    add_results(folder, points[:done])
    return folder


def add_results(folder: SweepFolder, points: list[str]) -> None:
    made_up.write(folder, list(map(made_up.done, points)))
    made_up.write(folder, [Curves(point=point, curves=CURVES) for point in points])


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_tables_of_two_sweeps_share_a_folder_and_each_has_its_own_files(tmp_path: Path) -> None:
    for name, n in (("A", 3), ("B", 4)):
        finished(tmp_path / name, n)
        assert main(["gather", str(tmp_path / name), *EVERYTHING, "--out", str(tmp_path / f"tables/{name}.csv")]) == 0
        assert main(["gather", str(tmp_path / name), *EVERYTHING]) == 0
    shared = files_of(tmp_path / "tables")
    assert set(shared) == {f"{name}.{kind}" for name in "AB" for kind in ("csv", "aggregate.csv", "curves.csv")}
    for name in "AB":
        alone = files_of(tmp_path / name)
        assert shared[f"{name}.csv"] == alone["table.csv"]
        assert shared[f"{name}.aggregate.csv"] == alone["aggregate.csv"]
        assert shared[f"{name}.curves.csv"] == alone["curves.csv"]
        assert main(["plot", str(tmp_path / f"tables/{name}.csv")]) == 0
        assert main(["plot", str(tmp_path / name / "table.csv")]) == 0
        figures = files_of(tmp_path / f"tables/{name}.figures")
        assert "curves.png" in figures
        assert figures == files_of(tmp_path / name / "figures")


def test_the_default_table_has_the_plain_names() -> None:
    names = ("aggregate", "curves", "parquet", "figures")
    plain, named = TableFiles(Path("a/table.csv")), TableFiles(Path("a/bits.v2.csv"))
    assert [getattr(plain, name).name for name in names] == ["aggregate.csv", "curves.csv", "table.parquet", "figures"]
    assert [getattr(named, name).name for name in names] == [
        "bits.v2.aggregate.csv",
        "bits.v2.curves.csv",
        "bits.v2.parquet",
        "bits.v2.figures",
    ]


@pytest.mark.parametrize("flags", [[], ["--bare"]], ids=["named", "bare"])
@pytest.mark.parametrize("other", ["more points", "another sweep", "a later gathering"])
def test_curves_of_another_table_are_not_plotted(
    other: str, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder = finished(tmp_path / "A", 3, done=None if other != "a later gathering" else 2)
    table = tmp_path / "x.csv"
    assert main(["gather", str(folder.path), "--curves", "--out", str(table), *flags]) in (0, 4)
    if other == "a later gathering":
        add_results(folder, list(folder.points)[2:])
    else:
        folder = finished(tmp_path / "B", 4 if other == "more points" else 3)
    assert main(["gather", str(folder.path), "--out", str(table), *flags]) == 0
    same = other == "another sweep" and flags == ["--bare"]  # the same points, so the same bytes
    expected = [f"{tmp_path}/x.curves.csv: is of an earlier table; gather with --curves to renew it"]
    assert caplog.messages == expected * (not same)
    caplog.clear()
    assert main(["plot", str(table)]) == 0
    assert ("curves.png" in capsys.readouterr().out) == same
    different = "sweeps" if other != "a later gathering" and not flags else "points"
    reason = f"other {different}); gather both again with --curves"
    expected = [f"{tmp_path}/x.curves.csv: not plotted, as it belongs to another table than {table} ({reason}"]
    assert caplog.messages == expected * (not same)
    caplog.clear()
    assert main(["gather", str(folder.path), "--curves", "--out", str(table), *flags]) == 0
    assert main(["plot", str(table)]) == 0
    assert "curves.png" in capsys.readouterr().out
    assert not caplog.messages


@pytest.mark.parametrize("name", ["x.csv", "x.aggregate.csv", "x.curves.csv", "x.parquet"])
def test_a_file_of_another_kind_is_not_replaced(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished(tmp_path / "A")
    (tmp_path / name).write_text("mine\n")
    assert main(["gather", str(folder.path), *EVERYTHING, "--out", str(tmp_path / "x.csv")]) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path / name}: exists and is not" in told
    assert "name another file with --out" in told
    assert files_of(tmp_path) == {name: b"mine\n"}


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("A", "A: the table is CSV; its name must end in .csv, as "),
        ("x.parquet", "the table is CSV; its name must end in .csv, as "),
        ("A/sweep.yaml", "the table is CSV; its name must end in .csv, as "),
        ("A/points", "the table is CSV; its name must end in .csv, as "),
    ],
)
def test_a_name_that_is_no_table_is_refused(
    out: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished(tmp_path / "A")
    before = files_of(folder.path)
    assert main(["gather", str(folder.path), "--out", str(tmp_path / out)]) == 2
    assert message in capsys.readouterr().err
    assert files_of(folder.path) == before


def test_a_table_its_aggregate_and_its_curves_do_not_replace_each_other(tmp_path: Path) -> None:
    folder = finished(tmp_path / "A")
    assert main(["gather", str(folder.path), *EVERYTHING]) == 0
    before = files_of(folder.path)
    for name in ("aggregate.csv", "curves.csv"):
        assert main(["gather", str(folder.path), "--out", str(folder.path / name)]) == 2
    assert main(["plot", str(folder.path), "--out", str(folder.path)]) == 2  # a figure named curves, with its numbers
    assert files_of(folder.path) == before


def test_gathering_again_replaces_what_it_wrote_and_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = finished(tmp_path / "A")
    for flags in (EVERYTHING, EVERYTHING, []):
        assert main(["gather", str(folder.path), *flags]) == 0
    assert not caplog.messages


def test_a_report_does_not_replace_another_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished(tmp_path / "A")
    before = folder.sweep.read_bytes()
    assert main(["report", str(folder.path), "--out", str(folder.sweep)]) == 2
    assert f"{folder.sweep}: exists and is not a report of a sweep" in capsys.readouterr().err
    assert folder.sweep.read_bytes() == before
    for _ in range(2):
        assert main(["report", str(folder.path)]) == 0


def test_figures_of_two_tables_in_one_folder_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = finished(tmp_path / "A")
    assert main(["plot", str(folder.path), "--out", str(tmp_path / "figures")]) == 0
    assert main(["gather", str(folder.path), "--out", str(tmp_path / "x.csv")]) == 0
    assert not caplog.messages
    assert main(["plot", str(tmp_path / "x.csv"), "--out", str(tmp_path / "figures")]) == 0
    assert caplog.messages == [f"{tmp_path}/figures: also has figures of an earlier plot: confusion, curves"]
