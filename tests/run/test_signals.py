"""Handlers of signals for the duration of a block, and trainings that SIGTERM ends in order."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from runs import Command, assert_same_run, stop_in_the_second_epoch

from ttfsrun.errors import TERMINATED, Terminated
from ttfsrun.run.signals import on_signals, raise_terminated
from ttfsrun.training import checkpoint


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Begins with the default of SIGHUP, which nohup ignores; puts back the handlers of the test's process."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_handler_is_called_within_the_block_and_the_previous_one_after_it() -> None:
    outside: list[int] = []
    inside: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: outside.append(number))
    with on_signals(inside.append, signal.SIGTERM, signal.SIGHUP):
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert inside == [signal.SIGHUP, signal.SIGTERM]
    assert outside == [signal.SIGTERM]


def test_the_previous_handler_is_back_after_an_exception() -> None:
    previous = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), on_signals(raise_terminated, signal.SIGTERM):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is previous


def test_a_signal_that_the_process_was_started_to_ignore_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    received: list[int] = []
    with on_signals(received.append, signal.SIGHUP):
        signal.raise_signal(signal.SIGHUP)
    assert received == []
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_second_sigterm_does_not_disturb_the_saving() -> None:
    saved = []

    def train() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            saved.append("checkpoint")

    with pytest.raises(Terminated), on_signals(raise_terminated, signal.SIGTERM):
        train()
    assert saved == ["checkpoint"]


@pytest.mark.parametrize("words", [(), ("seed.init=2,10,1", "training.input_noise=0.1")], ids=["one", "several"])
def test_a_terminated_run_saves_its_checkpoint_and_ends_like_one_that_was_not(
    words: tuple[str, ...],
    ttfsrun: Command,
    trained: Callable[..., Path],
    tiny_overrides: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undisturbed = trained(tmp_path / "undisturbed", *words)
    run = tmp_path / "run"

    def terminate() -> None:
        assert callable(signal.getsignal(signal.SIGTERM)), "nothing handles SIGTERM: it would end the tests"
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        stop_in_the_second_epoch(patch, terminate)
        code, output, messages = ttfsrun("train", *tiny_overrides, *words, "--out", run)
    assert (code, output) == (TERMINATED, "")
    assert TERMINATED == 143
    assert messages.splitlines() == [
        f"stopped after epoch 1; resume with: ttfsrun train --resume {run}",
        "ttfsrun: terminated",
    ]
    state, _ = checkpoint.load_state(run / "checkpoint.safetensors")
    assert state.epoch == 1
    assert not list(run.rglob("metrics.json"))

    code, _, messages = ttfsrun("train", "--resume", run)
    assert (code, messages) == (0, "")
    assert_same_run(run, undisturbed)
