"""The kernels for GPUs: what CUDA's driver is given, and, where there is a GPU, the bits that it returns."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import math
import os
import re
import shutil
import site
import subprocess
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import torch
from numba import types
from one_lane import assert_same_bits, by_one_lane, of_layer

from ttfsrun.errors import RunFailed
from ttfsrun.neuron import Neuron
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.cuda import driver as driver_module
from ttfsrun.neuron.kernels.cuda import launch
from ttfsrun.neuron.kernels.cuda import ptx as ptx_module
from ttfsrun.neuron.kernels.cuda.driver import THREADS, Driver
from ttfsrun.neuron.kernels.cuda.launch import Arguments, Cuda, kind_of
from ttfsrun.neuron.kernels.cuda.ptx import TARGETS, ptx
from ttfsrun.neuron.kernels.lanes import LaneArray
from ttfsrun.neuron.kernels.philox import draw_normal, draw_uniform, draw_words
from ttfsrun.neuron.kernels.simd import fabs, fma, select, splat, sqrt, vload, vstore

INDEX = types.intp


def tensors_of(value: Any, device: str) -> Any:
    """`value` with a tensor for each array; on the CPU they share its memory."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.asarray(value)).to(device)
    if isinstance(value, tuple):
        each = [tensors_of(one, device) for one in value]
        return type(value)(*each) if hasattr(value, "_fields") else tuple(each)
    return value


def arrays_in(value: Any) -> list[Any]:
    """All arrays or tensors in nested tuples."""
    if isinstance(value, tuple):
        return [array for each in value for array in arrays_in(each)]
    return [] if isinstance(value, int | float) else [value]


def type_of(value: Any) -> types.Type:
    """The numba type of an argument of a kernel."""
    return kind_of(Arguments(1).add(value))


def on_device(device: str) -> Any:
    """How `by_one_lane` runs a kernel by a launch on a device."""

    def run(kernel: Any, items: int, *arguments: Any) -> None:
        tensors = tensors_of(arguments, device)
        Cuda().launch(kernel, items, 0, *tensors)
        for array, tensor in zip(arrays_in(arguments), arrays_in(tensors), strict=True):
            array[...] = tensor.cpu().numpy()

    return run


def problem(dtype: torch.dtype = torch.float32, kind: str = "shared", **more: Any) -> Any:
    """A population of two small layers; some inputs are silent."""
    random = np.random.default_rng(0)
    times = torch.tensor(random.uniform(0, 2, (2, 5, 9)), dtype=dtype)
    times[:, :3, ::4] = math.inf
    weight = torch.tensor(random.normal(0.5, 0.7, (2, 9, 37)), dtype=dtype)
    neuron = Neuron(1.2) if kind == "shared" else Neuron(torch.linspace(0.7, 1.6, 37, dtype=torch.float64))
    return of_layer(times, weight, neuron, **more)


def kernels(dtype: torch.dtype, kind: str) -> dict[str, tuple[Any, tuple[types.Type, ...]]]:
    """All kernels of a layer, with the types of their arguments, by name."""
    found = {}

    def record(kernel: Any, items: int, *arguments: Any) -> None:
        found[kernel.py_func.__name__] = kernel, tuple(map(type_of, tensors_of(arguments, "cpu")))
        kernel(0, items, *arguments)

    by_one_lane(problem(dtype, kind), record)
    by_one_lane(problem(dtype, kind, observed=np.ones((2, 5, 37), problem(dtype).times.dtype)), record)
    keys, scalars = LaneArray(types.int64, 1, "C"), (types.int64, types.int64)
    for kernel, out in ((draw_words, types.uint64), (draw_uniform, types.float64), (draw_normal, types.float32)):
        found[kernel.py_func.__name__] = kernel, (keys, *scalars, LaneArray(out, 2, "C"))
    return found


C_TYPES = {"double": ctypes.c_double, "float": ctypes.c_float}  # of LLVM; all others are integers and pointers


class FakeLibrary:
    """The functions of CUDA's driver, for a device that is this CPU: it runs numba's own code for each thread."""

    def __init__(self) -> None:
        self.loaded: dict[bytes, tuple[Any, tuple[types.Type, ...]]] = {}
        self.calls: list[str] = []
        self.failures: dict[str, int] = {}
        for name in driver_module._PARAMETERS:
            setattr(self, name, self._function(name))

    def _function(self, name: str) -> Any:
        def function(*arguments: Any) -> int:
            self.calls.append(name)
            if name in self.failures:
                if name == "cuModuleLoadDataEx":
                    ctypes.memmove(arguments[4][0], b"line 7: wrong\n\0", 15)
                return self.failures[name]
            getattr(self, f"_{name}", lambda *_: None)(*arguments)
            return 0

        return function

    def _cuGetErrorName(self, code: int, text: Any) -> None:
        text._obj.value = b"CUDA_ERROR_INVALID_PTX"

    def _cuDevicePrimaryCtxRetain(self, context: Any, device: int | None) -> None:
        context._obj.value = 11

    def _cuModuleGetFunction(self, function: Any, module: Any, name: bytes) -> None:
        function._obj.value = 100 + list(self.loaded).index(name)

    def _cuLaunchKernel(self, function: int, *arguments: Any) -> None:
        blocks, one, another, threads, *_, parameters, _ = arguments
        assert (one, another, threads) == (1, 1, THREADS)
        kernel, kinds = list(self.loaded.values())[function - 100]
        result = kernel.overloads[(INDEX, INDEX, *kinds)]
        call = kernel.targetctx.call_conv.get_function_type(types.none, (INDEX, INDEX, *kinds))
        plain = [C_TYPES.get(str(kind), ctypes.c_uint64) for kind in call.args[4:]]
        assert len(parameters) == 1 + len(plain)
        items, *words = (
            kind.from_address(pointer).value for kind, pointer in zip([ctypes.c_int64, *plain], parameters, strict=True)
        )
        assert (blocks - 1) * threads < items <= blocks * threads
        address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2, *plain)
        returned, exception = ctypes.c_void_p(), ctypes.c_void_p()
        for item in range(items):
            prototype(address)(ctypes.addressof(returned), ctypes.addressof(exception), item, item + 1, *words)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeLibrary:
    """A driver whose device is the CPU, and on which kernels need no PTX."""
    fake = FakeLibrary()
    driver = Driver(fake)

    def no_ptx(kernel: Any, kinds: tuple[types.Type, ...], target: int) -> str:
        kernel.compile((INDEX, INDEX, *kinds))
        fake.loaded[kernel.py_func.__name__.encode()] = kernel, kinds
        return ""

    class Stream:
        cuda_stream = 0

    monkeypatch.setattr(launch, "driver", lambda: driver)
    monkeypatch.setattr(launch, "ptx", no_ptx)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Stream)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    launch._load.cache_clear()
    yield fake
    launch._load.cache_clear()


@compiled
def count(low, high, out):
    for i in range(low, high):
        out[i] += 1


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("kind", ["shared", "own"])
@pytest.mark.parametrize("observed", [False, True])
def test_the_words_of_a_launch_are_what_numba_expects(kind, observed, dtype):
    more = {"observed": np.full((2, 5, 37), 1.5, problem(dtype).times.dtype)} if observed else {}
    assert_same_bits(problem(dtype, kind, limit=0.5, **more), on_device("cpu"))


@compiled
def scale(low, high, whole, numbers, out):
    for i in range(low, high):
        out[i, 0] = numbers[0] * whole + (numbers[1][0] if numbers[1][1] else 0.0)


@pytest.mark.usefixtures("library")
def test_numbers_of_each_type_and_arrays_with_gaps_arrive():
    out = torch.zeros(3, 2)
    numbers = (np.float64(-0.1), (np.float32(1 / 3), True))
    Cuda().launch(scale, 3, 0, -7, numbers, out[:, 1:])
    assert out[:, 1].tolist() == [float(np.float32(0.7000000000000001 + np.float64(np.float32(1 / 3))))] * 3
    assert not out[:, 0].any()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("items", [1, THREADS - 1, THREADS, THREADS + 1, 3 * THREADS])
def test_each_item_has_one_thread(items):
    out = torch.zeros(items, dtype=torch.int64)
    Cuda().launch(count, items, 0, out)
    assert out.tolist() == [1] * items


def test_a_kernel_is_loaded_once_for_all_arrays_of_a_type(library):
    for size in (5, 7):
        out = torch.zeros(size, dtype=torch.int64)
        Cuda().launch(count, size, 0, out)
        assert out.tolist() == [1] * size
    assert library.calls.count("cuModuleLoadDataEx") == 1
    assert library.calls.count("cuLaunchKernel") == 2


def test_nothing_is_started_for_no_items(library):
    Cuda().launch(count, 0, 0, torch.zeros(0, dtype=torch.int64))
    assert "cuLaunchKernel" not in library.calls


def test_an_error_of_the_driver_is_one_line_with_its_log(library):
    library.failures["cuModuleLoadDataEx"] = 218
    with pytest.raises(RunFailed, match=r"^cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX \(218\): line 7: wrong$"):
        Cuda().launch(count, 1, 0, torch.zeros(1, dtype=torch.int64))


def test_too_little_memory_is_torchs_own_error(library):
    library.failures["cuLaunchKernel"] = 2
    with pytest.raises(torch.cuda.OutOfMemoryError):
        Cuda().launch(count, 1, 0, torch.zeros(1, dtype=torch.int64))


def test_a_driver_without_a_function_says_which():
    fake = FakeLibrary()
    del fake.cuLaunchKernel
    with pytest.raises(RunFailed, match=r"cuLaunchKernel.*newer driver"):
        Driver(fake)


def test_without_a_driver_one_line_says_so(monkeypatch):
    monkeypatch.setattr(driver_module, "LIBRARY", "libno-such-driver.so.1")
    driver_module.driver.cache_clear()
    with pytest.raises(RunFailed, match=r"libno-such-driver.so.1.*install the driver"):
        driver_module.driver()


@pytest.mark.parametrize(
    ("capability", "target"), [((7, 0), 70), ((7, 5), 70), ((8, 9), 80), ((9, 0), 90), ((12, 0), 90)]
)
def test_a_gpu_runs_the_latest_code_that_it_can(capability, target, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert launch.target_of(0) == target


def test_a_gpu_that_is_too_old_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "GTX 1080")
    with pytest.raises(RunFailed, match=r"GTX 1080: compute capability 6.1, needs 7.0"):
        launch.target_of(0)


@pytest.mark.parametrize("value", ["text", None, np.zeros(2), np.int32(1)])
def test_other_arguments_are_refused(value):
    with pytest.raises(TypeError, match="no argument of a kernel"):
        Cuda().launch(count, 1, 0, value)


def test_arguments_without_a_device_are_refused():
    with pytest.raises(ValueError, match="must be on one"):
        Cuda().launch(count, 1, 0, 1)


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


UNROUNDED = re.compile(
    r"^\s*(?:@\S+\s+)?((?:add|sub|mul|mad|fma|div|rcp|sqrt|ex2|lg2|rsqrt|sin|cos)\.[a-z.]*f(?:32|64))", re.M
)


@pytest.mark.parametrize("kind", ["shared", "own"])
def test_each_operation_of_each_kernel_is_rounded_to_the_nearest(kind, dtype):
    for name, (kernel, kinds) in kernels(dtype, kind).items():
        text = ptx(kernel, kinds, TARGETS[0])
        wrong = [each for each in UNROUNDED.findall(text) if not re.fullmatch(r"[a-z]+\.rn\.f(32|64)", each)]
        assert wrong == [], name
        assert ".ftz" not in text, name
        assert ".local" not in text, name  # all variables are in registers
        assert "call" not in text, name


def find_ptxas() -> str | None:
    """CUDA's assembler: on the path, or from a package such as nvidia-cuda-nvcc-cu12."""
    folders = [Path(folder) for folder in site.getsitepackages()]
    packages = [str(path.parent) for folder in folders for path in folder.glob("nvidia/*/bin/ptxas")]
    return shutil.which("ptxas", path=os.pathsep.join([os.environ.get("PATH", ""), *packages]))


@pytest.mark.skipif(find_ptxas() is None, reason="no ptxas: pip install nvidia-cuda-nvcc-cu12")
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["shared", "own"])
def test_cudas_assembler_accepts_each_kernel(kind, target, dtype, tmp_path):
    for name, (kernel, kinds) in kernels(dtype, kind).items():
        source = tmp_path / f"{name}.ptx"
        source.write_text(ptx(kernel, kinds, target))
        command = [str(find_ptxas()), "--verbose", f"-arch=sm_{target}", str(source), "-o", str(tmp_path / "out")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (name, done.stderr)
        assert "0 bytes spill stores" in done.stderr, name


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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
@pytest.mark.parametrize("kind", ["shared", "own"])
@pytest.mark.parametrize("observed", [False, True])
def test_a_gpu_gives_the_bits_of_the_cpu(kind, observed, dtype):
    more = {"observed": np.full((2, 5, 37), 1.5, problem(dtype).times.dtype)} if observed else {}
    assert_same_bits(problem(dtype, kind, limit=0.5, **more), on_device("cuda"))
