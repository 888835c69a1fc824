"""When the work of a GPU is done by Python, and when as recorded; what a recording computes is in test_devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from ttfsrun.training import recording
from ttfsrun.training.recording import Repetition


class Counted:
    """Work of two parts; begun: how often Python began it."""

    def __init__(self) -> None:
        self.begun = 0
        self.several = Repetition(torch.device("cuda"), records=True)

    def work(self) -> Iterator[int]:
        self.begun += 1
        yield from (1, 2)

    def do(self) -> list[int]:
        """Do it once more; return what was told."""
        told: list[int] = []
        self.several.do(self.work, told.append)
        return told


def recorded_as(monkeypatch: pytest.MonkeyPatch, make: Callable[[], object]) -> None:
    monkeypatch.setattr(recording, "Recording", lambda work, device: make())


class Recorded:
    def repeat(self, after: Callable[[int], None]) -> None:
        after(2)


def test_the_first_time_is_done_by_python_and_all_others_as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded_as(monkeypatch, Recorded)
    counted = Counted()
    assert [counted.do() for _ in range(3)] == [[1, 2], [2], [2]]
    assert counted.begun == 1


def test_what_cannot_be_recorded_is_done_by_python_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[int] = []

    def fail() -> object:
        attempts.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    recorded_as(monkeypatch, fail)
    counted = Counted()
    assert [counted.do() for _ in range(3)] == [[1, 2]] * 3
    assert len(attempts) == 1
    assert counted.begun == 3


def test_a_recording_that_needs_too_much_memory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> object:
        raise torch.cuda.OutOfMemoryError

    recorded_as(monkeypatch, fail)
    counted = Counted()
    counted.do()
    with pytest.raises(torch.cuda.OutOfMemoryError):
        counted.do()
