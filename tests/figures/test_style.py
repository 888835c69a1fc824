from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from ttfsrun.errors import CannotWrite
from ttfsrun.figures import style
from ttfsrun.figures.confusion import confusion_matrix, table
from ttfsrun.figures.decision import first_output

COUNTS = np.array([[8, 2, 0], [0, 9, 0], [0, 0, 10]])
SILENT = np.array([0, 0, 3])


FIGURES = ("chip", "conditions", "confusion", "curves", "raster", "decision_map")


def example_figure() -> Figure:
    return confusion_matrix(COUNTS, SILENT)


def test_picture_vector_and_numbers_lie_side_by_side(tmp_path: Path) -> None:
    written = style.save(example_figure(), tmp_path / "new" / "matrix", table(COUNTS, SILENT), vector=True)
    assert [path.name for path in written] == ["matrix.png", "matrix.pdf", "matrix.csv"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in written)
    with Image.open(written[0]) as image:
        image.load()  # raises on a torn file
        assert image.size[0] == pytest.approx(style.COLUMN * style.RESOLUTIONS[0], abs=1)
    assert written[1].read_bytes().startswith(b"%PDF")
    assert written[1].read_bytes().rstrip().endswith(b"%%EOF")
    assert pd.read_csv(written[2], keep_default_na=False)["samples"].sum() == COUNTS.sum() + SILENT.sum()


@pytest.mark.parametrize("name", ["matrix.png", "matrix.pdf", "matrix.csv", "matrix"])
def test_an_ending_of_the_path_is_ignored(name: str, tmp_path: Path) -> None:
    assert [path.name for path in style.save(example_figure(), tmp_path / name, vector=True)] == [
        "matrix.png",
        "matrix.pdf",
    ]


def test_a_dot_in_the_name_is_no_ending(tmp_path: Path) -> None:
    assert [path.name for path in style.save(example_figure(), tmp_path / "bits_v0.5")] == ["bits_v0.5.png"]


def test_two_saves_are_the_same_bytes(tmp_path: Path) -> None:
    figure = example_figure()
    first = [path.read_bytes() for path in style.save(figure, tmp_path / "a", vector=True)]
    again = [path.read_bytes() for path in style.save(figure, tmp_path / "a", vector=True)]
    anew = [path.read_bytes() for path in style.save(example_figure(), tmp_path / "b", vector=True)]
    assert first == again == anew


def test_a_saved_figure_tells_no_date(tmp_path: Path) -> None:
    for path in style.save(example_figure(), tmp_path / "matrix", vector=True):
        content = path.read_bytes()
        assert not any(key in content for key in (b"CreationDate", b"ModDate", b"tIME", b"tEXt"))


def test_a_silent_neuron_is_still_silent_in_the_csv(tmp_path: Path) -> None:
    numbers = pd.DataFrame({"spike_time": [1.25, np.inf]})
    path = style.save(example_figure(), tmp_path / "matrix", numbers)[1]
    assert pd.read_csv(path)["spike_time"].tolist() == [1.25, np.inf]


def test_a_picture_that_is_too_large_is_stored_coarser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = style.save(example_figure(), tmp_path / "fine")[0]
    monkeypatch.setattr(style, "LARGEST_PNG", fine.stat().st_size - 1)
    coarse = style.save(example_figure(), tmp_path / "coarse")[0]
    assert coarse.stat().st_size < fine.stat().st_size
    with Image.open(coarse) as image:
        assert image.size[0] == pytest.approx(style.COLUMN * style.RESOLUTIONS[1], abs=1)


def test_a_failed_save_leaves_the_old_picture_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    style.save(example_figure(), tmp_path / "matrix")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(CannotWrite, match="No space left"):
        style.save(confusion_matrix(2 * COUNTS, SILENT), tmp_path / "matrix")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_drawing_and_saving_leave_the_callers_settings_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    style.save(example_figure(), tmp_path / "matrix")
    assert dict(matplotlib.rcParams) == before


def test_the_caller_s_settings_do_not_reach_the_picture() -> None:
    def pixels() -> bytes:
        buffer = io.BytesIO()
        with style.figure_style():
            example_figure().savefig(buffer, format="rgba")
        return buffer.getvalue()

    plain = pixels()
    for theirs in ({"font.size": 20, "xtick.color": "red"}, {"text.usetex": True}, {"path.sketch": (1, 100, 2)}):
        with matplotlib.rc_context(theirs):
            assert pixels() == plain
    with matplotlib.rc_context():
        for name, value in list(matplotlib.rcParams.items()):
            with contextlib.suppress(ValueError, RuntimeError):  # not every number is allowed
                matplotlib.rcParams[name] = _other(value)
        assert pixels() == plain


def _other(value: object) -> object:
    """Return another value of the same kind, where that is simple."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else value


def test_figures_need_neither_torch_nor_numba_nor_pyplot() -> None:
    modules = ", ".join(f"ttfsrun.figures.{name}" for name in FIGURES)
    code = f"import sys, {modules}; print([m for m in ('torch', 'numba', 'matplotlib.pyplot') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_decision_is_the_first_output_spike_and_none_without_one() -> None:
    label, time = first_output(np.array([[2.0, 1.0, np.inf], [np.inf] * 3, [1.5, 1.5, 1.5]]))
    assert label[[0, 2]].tolist() == [1, 0]
    assert time.tolist() == [1.0, np.inf, 1.5]
    with pytest.raises(ValueError, match="NaN"):
        first_output(np.array([1.0, np.nan]))
