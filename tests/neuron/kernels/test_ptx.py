"""PTX: which instructions kernels become, and that they are kept on disk."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import types

from ttfsrun.errors import RunFailed
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.cuda import ptx as ptx_module
from ttfsrun.neuron.kernels.cuda.ptx import TARGETS, ptx
from ttfsrun.neuron.kernels.lanes import LaneArray
from ttfsrun.neuron.kernels.simd import fabs, fma, select, splat, sqrt, vload, vstore


@compiled
def arithmetic(low, high, a, b, out):
    for i in range(low, high):
        x, y = vload(a, i), vload(b, i)
        one = splat(x, 1.0)
        total = x * y + one - (y / x) * sqrt(fabs(x))
        vstore(out, i, select(x > y, total * x + y, fma(total, x, y)))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("kind", "suffix"), [(types.float32, "f32"), (types.float64, "f64")])
def test_only_what_says_so_is_fused(kind, suffix, target):
    text = ptx(arithmetic, (LaneArray(kind, 1, "C"),) * 3, target)
    found = {name: text.count(f"{name}.rn.{suffix}") for name in ("add", "sub", "mul", "div", "sqrt", "fma")}
    assert found == {"add": 2, "sub": 1, "mul": 3, "div": 1, "sqrt": 1, "fma": 1}


@compiled
def roots(low, high, a, out):
    for i in range(low, high):
        out[i] = np.sqrt(a[i]) + math.sqrt(out[i])


@compiled
def elementary(low, high, out):
    for i in range(low, high):
        out[i] = math.sin(out[i]) + math.exp(out[i]) + math.erf(out[i])


def test_a_root_is_that_of_the_gpu_which_rounds_to_the_nearest():
    text = ptx(roots, (LaneArray(types.float32, 1, "C"), LaneArray(types.float64, 1, "C")), 80)
    assert text.count("sqrt.rn.f32") == text.count("sqrt.rn.f64") == 1


def test_functions_that_a_gpu_lacks_are_named():
    with pytest.raises(NotImplementedError, match=r"elementary calls llvm.sin.f64, llvm.exp.f64, erf, which"):
        ptx(elementary, (LaneArray(types.float64, 1, "C"),), 80)


@pytest.fixture
def new_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A kernel of a file of its own, which is kept below `tmp_path`."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "new.py").write_text(
        "from ttfsrun.neuron.kernels.compiled import compiled\n\n\n"
        "@compiled\ndef count(low, high, out):\n    for i in range(low, high):\n        out[i] += 1\n"
    )
    spec = importlib.util.spec_from_file_location("new", tmp_path / "new.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.count


COUNTS = (LaneArray(types.int64, 1, "C"),)


def test_ptx_is_kept_on_disk_and_a_damaged_file_is_written_again(new_kernel, tmp_path, monkeypatch):
    first = ptx(new_kernel, COUNTS, 80)
    (file,) = tmp_path.rglob("*.ptx")
    assert file.read_text() == first
    with monkeypatch.context() as patch:
        patch.setattr(ptx_module, "_compile", None)
        assert ptx(new_kernel, COUNTS, 80) == first
    for damaged in (b"", b"\xff", first[: len(first) // 2].encode()):
        file.write_bytes(damaged)
        assert ptx(new_kernel, COUNTS, 80) == first == file.read_text()
    assert ptx(new_kernel, COUNTS, 90) != first
    assert ptx(new_kernel, (LaneArray(types.int32, 1, "C"),), 80) != first


def test_ptx_that_cannot_be_kept_is_used_all_the_same(new_kernel, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(ptx_module, "write_atomic", full)
    assert ".entry count" in ptx(new_kernel, COUNTS, 80)
    assert not list(tmp_path.rglob("*.ptx"))


def test_an_llvm_without_this_target_is_named(monkeypatch):
    monkeypatch.setattr(ptx_module, "TRIPLE", "no-such-target")
    with pytest.raises(RunFailed, match=r"llvmlite .* cannot compile for NVIDIA GPUs"):
        ptx_module._machine(80)
