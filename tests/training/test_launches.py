"""All that a training computes on a GPU, without one: the parameters of each kernel, and that its code assembles."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest
from device_cases import CASES
from fake_driver import fake_gpu
from tiny_networks import Splits, Tiny, bits, trained

from ttfsrun.neuron import device
from ttfsrun.neuron.kernels.cuda.launch import Cuda
from ttfsrun.neuron.kernels.cuda.ptx import TARGETS, ptx

FLOAT = r"[a-z.]*f(?:32|64)"
OPERATION = re.compile(
    rf"^\s*(?:@\S+\s+)?((?:add|sub|mul|mad|fma|div|rcp|sqrt|rsqrt|ex2|lg2|sin|cos|tanh)\.{FLOAT})", re.M
)


def find_ptxas() -> str | None:
    """CUDA's assembler: on the path, or from a package such as nvidia-cuda-nvcc-cu12."""
    packages = [
        str(path.parent) for folder in site.getsitepackages() for path in Path(folder).glob("nvidia/*/bin/ptxas")
    ]
    return shutil.which("ptxas", path=os.pathsep.join([os.environ.get("PATH", ""), *packages]))


class Launched(NamedTuple):
    """A training by launches on a fake GPU."""

    leaves_the_bits_of_the_cpu: bool
    kernels: list[tuple[Any, tuple[Any, ...]]]  # that it loaded, and the types of their arguments


_done: dict[str, Launched] = {}


@pytest.fixture(params=CASES)
def launched(request: pytest.FixtureRequest, tiny: Tiny, samples: Splits) -> Launched:
    """Each of the trainings, once."""
    name = request.param
    if name not in _done:
        configs = [tiny(*CASES[name], "training.epochs=1", f"seed.init={seed}") for seed in (1, 2)]
        vectors = trained(configs, samples)
        with fake_gpu() as library, mock.patch.dict(device.DEVICES, cpu=Cuda()):
            launches = trained(configs, samples)
        same = all(bits(launches, p) == bits(vectors, p) for p in range(2))
        _done[name] = Launched(same, library.kernels)
    return _done[name]


def test_a_training_by_launches_leaves_the_bits_of_the_cpu(launched: Launched) -> None:
    assert launched.leaves_the_bits_of_the_cpu
    names = {each.py_func.__name__ for each, _ in launched.kernels}
    assert {"update_weights"} <= names
    assert names & {"walk_blocks", "solve_blocks"}  # the latter with synaptic delays


def test_each_operation_is_rounded_to_the_nearest_and_all_variables_are_in_registers(launched: Launched) -> None:
    for kernel, kinds in launched.kernels:
        text = ptx(kernel, kinds, TARGETS[0])
        wrong = [each for each in OPERATION.findall(text) if not re.fullmatch(r"[a-z]+\.rn\.f(32|64)", each)]
        assert wrong == [], kernel.py_func.__name__
        assert not re.search(r"\.ftz|\.local|\bcall", text), kernel.py_func.__name__


@cache
def assembled(kernel: Any, kinds: tuple[Any, ...], target: int) -> subprocess.CompletedProcess[str]:
    """What CUDA's assembler makes of a kernel."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "kernel.ptx").write_text(ptx(kernel, kinds, target))
        command = [str(find_ptxas()), "--verbose", f"-arch=sm_{target}", "kernel.ptx", "-o", "kernel.cubin"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def without_assembler(target: int) -> str:
    """Why nothing can be assembled for a target; empty if it can. Each release of CUDA knows some GPUs."""
    if find_ptxas() is None:
        return "no ptxas: pip install nvidia-cuda-nvcc-cu12"
    known = subprocess.run([str(find_ptxas()), "--help"], capture_output=True, text=True, check=False).stdout
    return "" if f"sm_{target}'" in known else f"this ptxas does not know compute capability {target / 10}"


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(each, marks=pytest.mark.skipif(bool(why), reason=why))
        for each in TARGETS
        for why in [without_assembler(each)]
    ],
)
def test_cudas_assembler_accepts_each_kernel_without_spilling_registers(launched: Launched, target: int) -> None:
    for kernel, kinds in launched.kernels:
        done = assembled(kernel, kinds, target)
        assert done.returncode == 0, (kernel.py_func.__name__, done.stderr)
        assert "0 bytes spill stores" in done.stderr, kernel.py_func.__name__
