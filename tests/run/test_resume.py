"""Interrupted trainings end, once resumed, with the same files as undisturbed ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from runs import Command, assert_same_run, read_files, refused, stop_in_the_second_epoch


@pytest.mark.parametrize("words", [(), ("seed.init=2,10,1", "training.input_noise=0.1")], ids=["one", "several"])
def test_an_interrupted_run_ends_like_one_that_was_not(
    words: tuple[str, ...],
    ttfsrun: Command,
    trained: Callable[..., Path],
    tiny_overrides: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = trained(tmp_path / "whole", *words)
    run = tmp_path / "a run"

    def interrupt() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        stop_in_the_second_epoch(patch, interrupt)
        code, output, messages = ttfsrun("train", *tiny_overrides, *words, "--out", run)
    assert (code, output) == (130, "")
    assert messages.splitlines() == [
        f"stopped after epoch 1; resume with: ttfsrun train --resume '{run}'",
        "ttfsrun: interrupted",
    ]
    code, _, messages = ttfsrun("train", "--resume", run)
    assert (code, messages) == (0, "")
    assert_same_run(run, whole)


@pytest.mark.parametrize("substrate", ["ideal", "brainscales2"])  # the latter clips some of the initial weights
def test_a_run_that_was_killed_before_its_first_checkpoint_starts_again(
    ttfsrun: Command, trained: Callable[..., Path], tmp_path: Path, substrate: str
) -> None:
    whole = trained(tmp_path / "whole", "seed.init=1,2", f"substrate={substrate}")
    for name in ("seed.init=1", "seed.init=2"):
        (tmp_path / "run" / name).mkdir(parents=True)
        (tmp_path / "run" / name / "config.yaml").write_bytes((whole / name / "config.yaml").read_bytes())
    assert ttfsrun("train", "--resume", tmp_path / "run")[0] == 0
    assert_same_run(tmp_path / "run", whole)


def test_a_run_that_was_killed_while_it_wrote_its_results_writes_them_again(
    ttfsrun: Command,
    trained: Callable[..., Path],
    tiny_overrides: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    whole = trained(tmp_path / "whole", "seed.init=1,2")
    for step in ("RunFolder.write_metrics", "PopulationFolder.write_table"):
        run = tmp_path / step
        with monkeypatch.context() as patch:
            patch.setattr(f"ttfsrun.run.folder.{step}", killed)
            assert ttfsrun("train", *tiny_overrides, "seed.init=1,2", "--out", run)[0] == 130
        assert ttfsrun("train", "--resume", run)[0] == 0
        assert_same_run(run, whole)


def test_there_must_be_something_to_go_on_with(ttfsrun: Command, trained: Callable[..., Path], tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    before = read_files(run)
    assert "is finished: there is nothing to resume" in refused(ttfsrun("train", "--resume", run))
    assert "is not the folder of a run" in refused(ttfsrun("train", "--resume", run / "figures"))
    assert "is not the folder of a run" in refused(ttfsrun("train", "--resume", tmp_path / "nowhere"))
    for more in (["seed.init=3"], ["--out", tmp_path / "x"], ["--overwrite"]):
        assert "--resume continues a run as it is" in refused(ttfsrun("train", "--resume", run, *more))
    assert read_files(run) == before


def test_a_checkpoint_that_does_not_fit_its_configuration_is_refused(
    ttfsrun: Command, tiny_overrides: tuple[str, ...], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert ttfsrun("train", *tiny_overrides, "training.loss.beta=0.001", "--out", run)[0] == 1
    stored = (run / "config.yaml").read_text()
    for old, new in (("epochs: 3", "epochs: 9"), ("- 20\n", "- 30\n")):
        assert old in stored
        (run / "config.yaml").write_text(stored.replace(old, new, 1))
        assert "has been changed since" in refused(ttfsrun("train", "--resume", run))
