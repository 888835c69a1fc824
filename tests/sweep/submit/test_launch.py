"""The verbs sweep and retry, in the process of the test: what runs, what is refused, what stays unchanged."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import made_up
import pytest
from made_up import EDGE, LATE

from ttfsrun import data
from ttfsrun.config.compose import compose
from ttfsrun.results import lines
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.sweep.submit.freeze import freeze_points
from ttfsrun.sweep.submit.reuse import reuse
from ttfsrun.training.progress import Progress

Call = Callable[..., tuple[int, str, str]]


def files(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def results(folder: SweepFolder) -> dict[str, object]:
    return {name: record.result for name, record in folder.latest().items() if record.status == "done"}


def test_a_sweep_leaves_a_result_for_every_point_and_again_does_nothing(sweep, folder):
    code, out, messages = sweep("seed.init=1,2", "substrate.v_th.chip_std=0.0,0.1")
    assert (code, out) == (0, "")
    assert "4 points, 0 done, 4 missing; 4 to run" in messages
    assert list(results(folder)) == list(folder.points) or results(folder).keys() == folder.points.keys()
    before = files(folder.path)
    code, _, messages = sweep("seed.init=1,2", "substrate.v_th.chip_std=0.0,0.1")
    assert code == 0
    assert "4 done, 0 missing; 0 to run" in messages
    assert files(folder.path) == before


def test_the_folder_tells_what_was_asked_for(sweep, folder):
    sweep("seed.init=1,2")
    about = folder.about
    assert about["command"][:2] == ["ttfsrun", "sweep"]
    assert "seed.init=1,2" in about["command"]
    assert (about["points"], about["trainings"], about["keys"]) == (2, 2, ["seed.init"])
    assert about["made_by"]["ttfsrun"]
    assert [point.settings for point in folder.points.values()] == [{"seed.init": 1}, {"seed.init": 2}]
    assert all("cluster" not in point.config for point in folder.points.values())


def test_the_first_points_are_a_canary_and_the_rest_follows(sweep, folder):
    assert sweep("seed.init=range(4)", "--limit", 1)[0] == 4
    assert list(results(folder)) == list(folder.points)[:1]
    assert sweep("seed.init=range(4)")[0] == 0
    assert len(results(folder)) == 4


def test_equal_points_appear_once(sweep, folder):
    assert sweep("seed.init=1,1,2", "training.optimizer.learning_rate=0.005,5e-3")[0] == 0
    assert len(folder.points) == 2


def test_a_dry_run_shows_and_writes_nothing(sweep, folder):
    code, _, messages = sweep("seed.init=1,2", "--dry-run")
    assert code == 0
    assert "2 trainings in 1 population" in messages
    assert not folder.path.exists()


def test_another_grid_is_refused_and_nothing_is_touched(sweep, folder):
    sweep("seed.init=1,2")
    before = files(folder.path)
    code, _, messages = sweep("seed.init=2,3")
    assert code == 2
    assert "holds another grid: 2 points, of which 1 are among these 2" in messages
    assert "--reuse" in messages
    assert files(folder.path) == before


def test_a_folder_with_something_else_in_it_is_refused(sweep, folder):
    folder.path.mkdir()
    (folder.path / "thesis.tex").write_text("all of it")
    code, _, messages = sweep("seed.init=1,2")
    assert code == 2
    assert "is not empty and not a sweep" in messages
    assert files(folder.path) == {"thesis.tex": b"all of it"}


def test_a_mistake_in_one_point_stops_all_before_anything_is_written(sweep, folder):
    code, _, messages = sweep("substrate.weight.bits=2,4,0.5", "training.epochs=1,-3")
    assert code == 2
    assert "substrate.weight.bits=0.5" in messages
    assert "training.epochs=-3" in messages
    assert not folder.path.exists()


def test_a_chip_that_does_not_fit_stops_all_before_anything_is_written(sweep, folder, ttfsrun, tmp_path):
    chip = ["substrate.v_th.chip_std=0.1", "network.hidden=[7]"]
    assert ttfsrun("chip", *chip, "--out", tmp_path / "chip")[0] == 0
    file = tmp_path / "chip" / "chip.safetensors"
    code, _, messages = sweep("seed.init=1,2", chip[0], f"substrate.chip.file={file}")
    assert code == 2
    assert str(file) in messages
    code, _, messages = sweep("seed.init=1,2", "substrate.chip.file=nowhere")
    assert code == 2
    assert "substrate.chip.file=nowhere: cannot be read (No such file or directory)" in messages
    assert not folder.path.exists()


def test_data_that_are_broken_are_told_before_anything_is_submitted(ttfsrun, tmp_path):
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{name}-ubyte").write_bytes(b"torn")
    words = ["experiment=mnist_16x16", f"data.folder={tmp_path}", "seed.init=1,2", "cluster=debug"]
    code, _, messages = ttfsrun("sweep", *words, "--out", tmp_path / "sweep")
    assert code == 2
    assert "ubyte" in messages
    assert not (tmp_path / "sweep" / "jobs.jsonl").exists()


def test_results_of_another_sweep_are_taken_over(sweep, folder, tmp_path):
    sweep("seed.init=1,2,3")
    first = results(folder)
    code, _, messages = sweep("seed.init=2,3,4", "--reuse", folder.path, out="more")
    assert code == 0
    assert "2 points reused" in messages
    assert "1 to run" in messages
    more = SweepFolder(tmp_path / "more")
    assert len(results(more)) == 3
    assert {name: result for name, result in results(more).items() if name in first} == {
        name: result for name, result in first.items() if name in more.points
    }
    assert {curves.point for curves in more.learning_curves()} == set(more.points)


def test_a_dry_run_takes_nothing_over(sweep, tmp_path):
    sweep("seed.init=1,2", "--limit", 1)
    sweep("seed.init=1,2", out="more")
    before = files(tmp_path / "sweep")
    assert sweep("seed.init=1,2", "--reuse", tmp_path / "more", "--dry-run")[0] == 0
    assert files(tmp_path / "sweep") == before


def test_shards_are_read_equally_often_however_many_points_are_reused(tmp_path, monkeypatch):
    def number_of_reads(points: int) -> int:
        other, ids = made_up.seeds(tmp_path / f"other-{points}", points)
        made_up.write(other, [made_up.done(point) for point in ids[: points // 2]])
        folder, ids = made_up.seeds(tmp_path / f"new-{points}", points)
        made_up.write(folder, [made_up.done(ids[0])])
        shards: list[Path] = []
        read_lines = lines.read_lines

        def counted(path: Path, kind: type[Any]) -> Iterator[Any]:
            if path.name.endswith(".results.jsonl"):
                shards.append(path)
            return read_lines(path, kind)

        with monkeypatch.context() as patch:
            patch.setattr(lines, "read_lines", counted)
            patch.setattr(data, "load_dataset", lambda settings: SimpleNamespace(source={"source": "made up"}))
            reuse(folder, [other.path], made_up.PACKAGE)
        assert folder.latest().keys() == set(ids[: points // 2])
        return len(shards)

    assert number_of_reads(40) == number_of_reads(4) <= 4


def test_results_of_something_that_is_no_sweep_are_not_taken_over(sweep, tmp_path):
    code, _, messages = sweep("seed.init=1", "--reuse", tmp_path / "nothing")
    assert code == 2
    assert "is not the folder of a sweep" in messages


def test_failed_points_are_told_and_only_a_retry_runs_them_again(sweep, folder, ttfsrun):
    code, _, messages = sweep("seed.init=1,2", EDGE, LATE)
    assert code == 3
    assert "2 points failed" in messages
    assert "(error): the loss is not finite" in messages
    assert len(results(folder)) == 2
    attempts = len(list(folder.records()))
    code, _, messages = sweep("seed.init=1,2", EDGE, LATE)
    assert (code, len(list(folder.records()))) == (3, attempts)
    assert "2 failed; 0 to run" in messages
    assert ttfsrun("retry", folder.path, "--only", "time-out,cancelled")[0] == 3
    assert len(list(folder.records())) == attempts
    assert ttfsrun("retry", folder.path)[0] == 3
    assert len(list(folder.records())) == attempts + 2


def test_a_retry_takes_settings_of_the_cluster_and_no_others(sweep, folder, ttfsrun):
    sweep("seed.init=1,2", EDGE, LATE)
    assert ttfsrun("retry", folder.path, "cluster.threads=2", "--dry-run")[0] == 0
    code, _, messages = ttfsrun("retry", folder.path, "training.epochs=2")
    assert code == 2
    assert "training.epochs=2: a sweep keeps its points" in messages
    code, _, messages = ttfsrun("retry", folder.path, "--only", "timeout")
    assert code == 2
    assert "did you mean time-out" in messages


def test_each_interrupted_sweep_goes_on(sweep, folder, monkeypatch):
    from ttfsrun.sweep.submit.local import _Display

    expected = sweep("seed.init=1,2", "training.epochs=8", out="expected")[0]
    assert expected == 0

    def interrupt(self: object, worker: int, progress: Progress) -> None:
        if progress.epoch == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(_Display, "progressed", interrupt)
    assert sweep("seed.init=1,2", "training.epochs=8")[0] == 130
    assert not results(folder)
    monkeypatch.undo()
    assert sweep("seed.init=1,2", "training.epochs=8")[0] == 0
    assert results(folder) == results(SweepFolder(folder.path.parent / "expected"))


def test_the_name_of_a_sweep_without_one_follows_from_its_points(ttfsrun, tiny_overrides, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [*tiny_overrides, "cluster=debug", "training.epochs=1"]
    assert ttfsrun("sweep", *words, "seed.init=1,2")[0] == 0
    assert ttfsrun("sweep", *words, "seed.init=2,1")[0] == 0
    (path,) = (tmp_path / "results" / "sweeps").iterdir()
    assert path.name.startswith("yin_yang-")


def test_a_sweep_keeps_its_folder_of_data(ttfsrun, folder, tmp_path):
    """Workers read the data from the folder in the frozen points; ids do not depend on it."""

    def words(name: str) -> list[str]:
        return ["experiment=mnist_16x16", f"data.folder={tmp_path / name}", "cluster=debug"]

    def ask(name: str) -> tuple[int, str]:
        code, _, messages = ttfsrun("sweep", *words(name), "--out", folder.path)
        return code, messages

    assert "no such folder" in ask("wrong")[1]
    assert not folder.path.exists(), "a slip leaves nothing behind"
    made = freeze_points([(tuple(words("right")), compose(words("right")))], [])
    folder.create({"points": 1}, made)
    made_up.submit(folder, made_up.intent([[made[0].point]]))
    code, messages = ask("wrong")
    assert code == 2
    assert f"was made with data.folder={tmp_path / 'right'}, not {tmp_path / 'wrong'}" in messages


@pytest.mark.parametrize(("answer", "starts"), [("", False), ("\n", True), ("yes\n", True), ("n\n", False)])
def test_the_end_of_the_input_is_no_consent(answer, starts, sweep, folder, monkeypatch):
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    sweep("training.epochs=1")
    assert bool(results(folder)) == starts


def test_conditions_may_vary(sweep, folder):
    noisy = "{noisy:{substrate.spike_time.jitter:0.1}}"
    assert sweep("training.epochs=1", f"evaluation.conditions={{}},{noisy}")[0] == 0
    settings = [point.settings for point in folder.points.values()]
    assert settings == [{"evaluation.conditions": {}}, {"evaluation.conditions": noisy}]
