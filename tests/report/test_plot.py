"""`ttfsrun plot` for a sweep: from its folder, its table, or a folder with its table; and why there is no figure."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import made_up
import pytest
from tables import BITS, JITTER, MISMATCH, combinations, one_at_a_time

from ttfsrun.cli.main import main
from ttfsrun.errors import COMPLETE, INCOMPLETE, WITH_FAILURES
from ttfsrun.report.plot import find_source
from ttfsrun.report.selection import PlotOptions, select_figures
from ttfsrun.results.gather import GatherOptions, gather
from ttfsrun.results.record import Curves
from ttfsrun.results.sweep_folder import SweepFolder

GRID = [{MISMATCH: strength, "seed.init": seed} for strength in (0.0, 0.1) for seed in range(3)]


def swept(path: Path, done: int = len(GRID), failed: int = 0) -> SweepFolder:
    """Return a sweep whose first points are done and whose next ones failed."""
    folder, points = made_up.sweep(path, GRID)
    last = points[done : done + failed]
    made_up.write(folder, [*map(made_up.done, points[:done]), *map(made_up.failed, last)])
    curves = {split: {"accuracy": [0.5, 0.9]} for split in ("train", "valid")}
    made_up.write(folder, [Curves(point=point, curves=curves) for point in points[:done]])
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_of_a_sweep_gets_a_picture_in_png_and_pdf_and_the_numbers_of_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = swept(tmp_path)
    assert main(["plot", str(tmp_path)]) == COMPLETE
    names_of_files = set(files_of(folder.path / "figures"))
    names = ("strength", "trade_off", "curves", "confusion")
    assert names_of_files == {f"{name}.{kind}" for name in names for kind in ("png", "pdf", "csv")}
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(
        f"{tmp_path}/figures/strength.png (.pdf, .csv): Test error (%) against threshold mismatch"
    )
    assert printed[-1] == "6 points: 6 done"


def test_a_folder_a_table_and_a_folder_with_a_table_give_the_same_pictures(tmp_path: Path) -> None:
    folder = swept(tmp_path / "sweep")
    gather(folder, GatherOptions(every_setting=True, bare=True, curves=True))
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("table.csv", "curves.csv"):
        shutil.copy(folder.path / name, alone)
    made = []
    for number, path in enumerate([folder.path, alone, alone / "table.csv"]):
        out = tmp_path / str(number)
        assert main(["plot", str(path), "--out", str(out)]) == COMPLETE
        made.append({name: content for name, content in files_of(out).items() if not name.startswith("confusion.")})
    assert made[0] == made[1] == made[2]
    assert "curves.png" in made[0]


# Settings whose cells have other types in a data frame of the records than in one of CSV
MIXED_TYPES: dict[str, list[dict[str, object]]] = {
    "whole numbers and null": combinations({BITS: [2, 4, None], MISMATCH: [0.0, 0.1], "seed.init": [0, 1]}),
    "booleans and null": combinations({"data.shuffle": [True, False, None], BITS: [None, 3], "seed.init": [0, 1]}),
    "text and null": combinations({"data.folder": ["a", None, "b"], "seed.init": [0, 1]}),
    "whole numbers and fractions": combinations({JITTER: [0, 0.1, 1 / 3], "seed.init": [0, 1]}),
    "one at a time": one_at_a_time(),
}
CONDITIONS: list[dict[str, object]] = [
    {"condition": "simulation", "perturbed": False, "chip": None},
    *({"condition": "own, other chips", "chip": chip} for chip in (4, 5)),
]


@pytest.mark.parametrize("metric", ["test_accuracy", "test_trials"])
@pytest.mark.parametrize("grid", MIXED_TYPES.values(), ids=MIXED_TYPES)
def test_a_sweeps_folder_and_its_table_alone_give_the_same_figures(
    grid: list[dict[str, object]], metric: str, tmp_path: Path
) -> None:
    folder, points = made_up.sweep(tmp_path, grid)
    done = points[:-2]
    made_up.write(folder, [*(made_up.done(point, conditions=CONDITIONS) for point in done), made_up.failed(points[-2])])
    curves = {split: {"accuracy": [0.5, None, 1 / 3]} for split in ("train", "valid")}
    made_up.write(folder, [Curves(point=point, curves=curves) for point in done])
    gather(folder, GatherOptions(curves=True))
    lists = []
    for path in (folder.path, folder.table):
        source = find_source(path)
        supplement = replace(source.supplement(), confusion=None)  # a table has none
        figures = select_figures(source.table, source.varying, PlotOptions(y=metric), supplement)
        lists.append([(figure.name, figure.caption, figure.hover, figure.numbers.to_csv()) for figure in figures])
    assert lists[0] == lists[1]
    assert {"strength", "curves"} <= {name for name, *_ in lists[0]}


def test_the_same_sweep_is_drawn_to_the_same_bytes(tmp_path: Path) -> None:
    folder = swept(tmp_path)
    main(["plot", str(tmp_path), "--x", MISMATCH])
    first = files_of(folder.path / "figures")
    main(["plot", str(tmp_path), "--x", MISMATCH])
    assert files_of(folder.path / "figures") == first


@pytest.mark.parametrize(
    ("done", "failed", "code", "line"),
    [
        (3, 0, INCOMPLETE, "6 points: 3 done, 3 missing"),
        (4, 2, WITH_FAILURES, "6 points: 4 done, 2 failed"),
        (1, 2, INCOMPLETE, "6 points: 1 done, 2 failed, 3 missing"),
    ],
)
def test_what_is_there_of_an_unfinished_sweep_is_drawn(
    done: int, failed: int, code: int, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(tmp_path, done, failed)
    assert main(["plot", str(tmp_path), "--x", MISMATCH]) == code
    assert capsys.readouterr().out.splitlines()[-1] == line
    assert (tmp_path / "figures" / "strength.png").exists()


@pytest.mark.parametrize(("failed", "code"), [(0, INCOMPLETE), (2, INCOMPLETE), (6, WITH_FAILURES)])
def test_a_sweep_without_results_says_why_there_is_nothing(
    failed: int, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(tmp_path, 0, failed)
    assert main(["plot", str(tmp_path)]) == code
    printed = capsys.readouterr().out
    assert "nothing to plot: none of 6 points is done" in printed
    assert (f"{failed} failed: error: the loss is nan" in printed) == (failed > 0)
    assert not (tmp_path / "figures").exists()


def test_a_single_point_is_drawn(tmp_path: Path) -> None:
    folder, points = made_up.seeds(tmp_path, 1)
    made_up.write(folder, [made_up.done(points[0])])
    assert main(["plot", str(tmp_path)]) == COMPLETE
    assert (tmp_path / "figures" / "strength.png").exists()


def test_what_is_wished_is_drawn_alone(tmp_path: Path) -> None:
    swept(tmp_path)
    assert main(["plot", str(tmp_path), "--x", "seed.init", "--hue", MISMATCH, "--y", "test_loss"]) == COMPLETE
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"strength"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--x", BITS], f"--x {BITS}: the table has no such column; choose from {MISMATCH}, seed.init"),
        (["--y", "loss"], "--y loss: the table has no such metric; choose from test_accuracy"),
    ],
)
def test_a_wish_that_cannot_be_is_told_with_the_choices(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(tmp_path)
    assert main(["plot", str(tmp_path), *words]) == 2
    assert message in capsys.readouterr().err


def test_what_is_no_sweep_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", str(tmp_path)]) == 2
    assert "is neither a sweep, nor a run, nor a table of a sweep: it has no table.csv" in capsys.readouterr().err
    (tmp_path / "table.csv").write_text("run,test_accuracy\na,0.5\n")
    assert main(["plot", str(tmp_path)]) == 2
    assert "no column point, status, condition" in capsys.readouterr().err
    assert main(["plot", str(tmp_path / "none.csv")]) == 2


def test_a_sweep_is_drawn_without_torch(tmp_path: Path) -> None:
    swept(tmp_path)
    program = "import sys; from ttfsrun.cli.main import main; "
    program += "sys.exit(main() or bool({'torch', 'numba'} & sys.modules.keys()))"
    left = subprocess.run(
        [sys.executable, "-c", program, "plot", str(tmp_path), "--x", MISMATCH], capture_output=True, check=False
    )
    assert left.returncode == COMPLETE, left.stderr
