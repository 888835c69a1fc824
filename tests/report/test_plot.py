"""`ttfsrun plot` of a sweep: from its folder, its table, or a folder with its table; and why there is nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import made_up
import pytest
from tables import BITS, MISMATCH

from ttfsrun.cli.main import main
from ttfsrun.errors import COMPLETE, INCOMPLETE, WITH_FAILURES
from ttfsrun.results.gather import GatherOptions, gather
from ttfsrun.results.record import Curves
from ttfsrun.results.sweep_folder import SweepFolder

GRID = [{MISMATCH: strength, "seed.init": seed} for strength in (0.0, 0.1) for seed in range(3)]


def swept(path: Path, done: int = len(GRID), failed: int = 0) -> SweepFolder:
    """A sweep of which the first points are done and the next ones failed."""
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
    made = set(files_of(folder.path / "figures"))
    names = ("strength", "trade_off", "curves", "confusion")
    assert made == {f"{name}.{kind}" for name in names for kind in ("png", "pdf", "csv")}
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(
        f"{tmp_path}/figures/strength.png (.pdf, .csv): Test error (%) against threshold mismatch"
    )
    assert said[-1] == "6 points: 6 done"


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


def test_the_same_sweep_is_drawn_to_the_same_bytes(tmp_path: Path) -> None:
    folder = swept(tmp_path)
    main(["plot", str(tmp_path), "--x", MISMATCH])
    first = files_of(folder.path / "figures")
    main(["plot", str(tmp_path), "--x", MISMATCH])
    assert files_of(folder.path / "figures") == first


@pytest.mark.parametrize(
    ("done", "failed", "code", "told"),
    [
        (3, 0, INCOMPLETE, "6 points: 3 done, 3 missing"),
        (4, 2, WITH_FAILURES, "6 points: 4 done, 2 failed"),
        (1, 2, INCOMPLETE, "6 points: 1 done, 2 failed, 3 missing"),
    ],
)
def test_what_is_there_of_an_unfinished_sweep_is_drawn(
    done: int, failed: int, code: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(tmp_path, done, failed)
    assert main(["plot", str(tmp_path), "--x", MISMATCH]) == code
    assert capsys.readouterr().out.splitlines()[-1] == told
    assert (tmp_path / "figures" / "strength.png").exists()


@pytest.mark.parametrize(("failed", "code"), [(0, INCOMPLETE), (2, INCOMPLETE), (6, WITH_FAILURES)])
def test_a_sweep_without_results_says_why_there_is_nothing(
    failed: int, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(tmp_path, 0, failed)
    assert main(["plot", str(tmp_path)]) == code
    said = capsys.readouterr().out
    assert "nothing to draw: none of 6 points is done" in said
    assert (f"{failed} failed: error: the loss is nan" in said) == (failed > 0)
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
    ("words", "told"),
    [
        (["--x", BITS], f"--x {BITS}: the table has no such column; choose from {MISMATCH}, seed.init"),
        (["--y", "loss"], "--y loss: the table has no such metric; choose from test_accuracy"),
    ],
)
def test_a_wish_that_cannot_be_is_told_with_the_choices(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(tmp_path)
    assert main(["plot", str(tmp_path), *words]) == 2
    assert told in capsys.readouterr().err


def test_what_is_no_sweep_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", str(tmp_path)]) == 2
    assert "has no table.csv, and is neither a sweep, nor a run, nor a table" in capsys.readouterr().err
    (tmp_path / "table.csv").write_text("run,test_accuracy\na,0.5\n")
    assert main(["plot", str(tmp_path)]) == 2
    assert "it lacks point, status, condition" in capsys.readouterr().err
    assert main(["plot", str(tmp_path / "none.csv")]) == 2


def test_a_sweep_is_drawn_without_torch(tmp_path: Path) -> None:
    swept(tmp_path)
    program = "import sys; from ttfsrun.cli.main import main; "
    program += "sys.exit(main() or bool({'torch', 'numba'} & sys.modules.keys()))"
    left = subprocess.run(
        [sys.executable, "-c", program, "plot", str(tmp_path), "--x", MISMATCH], capture_output=True, check=False
    )
    assert left.returncode == COMPLETE, left.stderr
