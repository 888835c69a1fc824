"""Trainings that are refused, and what is said and left alone then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from runs import Command, read_files, refused

from ttfsrun.training import checkpoint


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["network.hidden=[10],[20]"], "network.hidden=[20] (network.hidden=[20]): the networks of one tr"),
        (["training/loss=cross_entropy,squared_error"], "training.loss.name=squared_error (training/loss=squared_"),
        (["network.bias_time=null,0.9"], "network.bias_time=0.9 "),
        (["training.epochs=1,2"], "training.epochs=2 "),
        (["seed.init=1,1"], "2 points, but some are the same"),
        (["substrate.spike_time.jitter=0,0.00"], "2 points, but some are the same"),
        (["seed.init=1,1", "training.optimizer.learning_rate=0.1,0.2"], "4 points, but some are the same"),
    ],
    ids=str,
)  # fmt: skip
def test_points_that_cannot_be_trained_together_are_told_before_anything_is_written(
    words: list[str], line: str, ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    message = refused(ttfsrun("train", *tiny_overrides, *words, "--out", tmp_path / "runs"))
    assert message.startswith(f"ttfsrun: {line}")
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_is_not_empty_is_left_alone(
    ttfsrun: Command, trained: Callable[..., Path], tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    trained(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    for name in ("run", "other"):
        before = read_files(tmp_path / name)
        message = refused(ttfsrun("train", *tiny_overrides, "seed.init=3", "--out", tmp_path / name))
        assert all(remedy in message for remedy in ("is not empty", "--out", "--resume", "--overwrite"))
        assert read_files(tmp_path / name) == before


def test_overwriting_replaces_the_files_of_a_run_and_no_others(trained: Callable[..., Path], tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "seed.init=1,2")
    theirs = {"notes.txt": b"mine", "seed.init=1/notes.txt": b"mine", "seed.init=1/figures/mine.png": b"a picture"}
    for name, content in theirs.items():
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_bytes(content)
    (run / "checkpoint.safetensors").write_bytes(b"left over")
    trained(run, "seed.init=5", "--overwrite")
    fresh = trained(tmp_path / "fresh", "seed.init=5")
    after = read_files(run)
    assert {name: after.pop(name) for name in theirs} == theirs
    assert after.keys() == read_files(fresh).keys()
    assert after["network.safetensors"] == read_files(fresh)["network.safetensors"]


def test_overwriting_refuses_what_never_was_a_run(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    # A checkout has conf/config.yaml; other programs call their settings so too.
    for name, content in {"conf/config.yaml": "defaults: []\nseed: {init: 0}\n", "data/notes.txt": "mine"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content)
    for folder, line in ((tmp_path, "is not of a run"), (tmp_path / "data", "is not the folder of a run")):
        before = read_files(tmp_path)
        assert line in refused(ttfsrun("train", *tiny_overrides, "--out", folder, "--overwrite"))
        assert read_files(tmp_path) == before


def test_a_file_in_the_way_is_one_line(ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is a file" in refused(ttfsrun("train", *tiny_overrides, "--out", tmp_path / "file"))
    message = refused(ttfsrun("train", *tiny_overrides, "--out", tmp_path / "file" / "run"), left_with=1)
    assert "cannot be written (Not a directory); correct the path: a part of it is a file" in message
    assert message.rstrip().endswith(", or name another folder with --out")


def test_a_loss_that_overflows_fails_and_keeps_the_last_whole_epoch(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    code, output, messages = ttfsrun("train", *tiny_overrides, "training.loss.beta=0.001", "--out", run)
    assert (code, output) == (1, "")
    assert "ttfsrun: the loss is not finite in epoch 1, batch 1 (network with seed.init=0)" in messages
    state, members = checkpoint.load_state(run / "checkpoint.safetensors")
    assert (state.epoch, list(members)) == (0, [""])
    assert all(bool(weight.isfinite().all()) for weight in state.learned.weights)
    assert not (run / "metrics.json").exists()
