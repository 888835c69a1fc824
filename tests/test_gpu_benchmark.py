"""The measurements for a GPU, tried on the CPU, which computes one neuron at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import gpu
import gpu_bits
import pytest
import torch
from gpu_bits import difference
from lane_device import one_by_one

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def run(threads: Callable[[int], None], capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs parts of the script; returns the exit code and the lines below that about the machine."""

    def of(*arguments: str) -> tuple[int, list[str]]:
        code = gpu.main(["--cpu", *arguments], one_by_one)
        return code, capsys.readouterr().out.splitlines()[1:]

    return of


def test_without_a_gpu_one_line_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == gpu.NO_GPU == 2
    assert capsys.readouterr().err == "torch sees no GPU; --cpu tries this script on the CPU\n"


def test_all_trainings_of_the_script_leave_the_bits_of_the_cpu(run: Run) -> None:
    code, lines = run("--part", "bits")
    verdicts = [line.split()[0] for line in lines[2:-1] if not line.startswith("random images")]
    assert code == 0
    assert verdicts == ["equal"] * 22


def test_a_check_that_fails_is_shown_and_the_others_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = {"one": lambda: "weight.0: 1 of 2", "two": lambda: str(1 // 0), "three": lambda: ""}
    monkeypatch.setattr(gpu_bits, "checks", lambda setup: iter(checks.items()))
    code, lines = run("--part", "bits")
    assert code == 1
    assert [line.split()[0] for line in lines if " s)" in line] == ["DIFFERS", "FAILED", "equal"]
    assert any("ZeroDivisionError" in line for line in lines)


def test_what_differs_first_is_named_by_tensor_and_index() -> None:
    one = {"steps": torch.tensor([3, 4]), "weight.0": torch.tensor([[0.0, math.nan], [1.0, 2.0]])}
    other = {**one, "weight.0": torch.tensor([[0.0, math.nan], [-1.0, -2.0]])}
    assert difference(one, one) == ""
    assert difference(one, other).startswith("weight.0: 2 of 4, first at [1, 0]: ")
    assert difference({"bumping": torch.tensor(0.0)}, {"bumping": torch.tensor(-0.0)}) != ""


def test_speeds_are_measured_however_little_time_there_is(run: Run) -> None:
    code, lines = run("--part", "speed", "--seconds", "0.01")
    assert code == 0
    assert sum(line.startswith(("met", "MISSED")) for line in lines) == 6


def test_each_kernel_of_a_step_is_measured(run: Run) -> None:
    code, lines = run("--part", "kernels")
    measured = {line.split()[0] for line in lines if line}
    assert code == 0
    assert {"walk_blocks", "backward_entries", "draw_normal", "update_weights"} <= measured


def test_a_part_without_time_names_what_it_has_not_compared(run: Run) -> None:
    _, lines = run("--part", "bits", "--seconds", "1e-9")
    assert [line[:7] for line in lines[2:-1]] == ["not run"] * 22
