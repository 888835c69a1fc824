"""GPUs as a device: what CUDA's driver is given, and, where there is a GPU, the bits that it returns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from fake_driver import FakeLibrary, fake_gpu
from one_lane import Problem, assert_same_bits, of_layer

from ttfsrun.errors import RunFailed
from ttfsrun.neuron import Neuron
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.cuda import driver as driver_module
from ttfsrun.neuron.kernels.cuda import launch
from ttfsrun.neuron.kernels.cuda.driver import THREADS, Driver
from ttfsrun.neuron.kernels.cuda.launch import Cuda


@pytest.fixture
def library() -> Iterator[FakeLibrary]:
    with fake_gpu() as fake:
        yield fake


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


def on_device(device: str) -> Any:
    """How `by_one_lane` runs a kernel by a launch on a device."""

    def run(kernel: Any, items: int, *arguments: Any) -> None:
        tensors = tensors_of(arguments, device)
        Cuda().launch(kernel, items, 0, *tensors)
        for array, tensor in zip(arrays_in(arguments), arrays_in(tensors), strict=True):
            array[...] = tensor.cpu().numpy()

    return run


def problem(dtype: torch.dtype = torch.float32, kind: str = "shared", **more: Any) -> Problem:
    """A population of two small layers; some inputs are silent."""
    random = np.random.default_rng(0)
    times = torch.tensor(random.uniform(0, 2, (2, 5, 9)), dtype=dtype)
    times[:, :3, ::4] = math.inf
    weight = torch.tensor(random.normal(0.5, 0.7, (2, 9, 37)), dtype=dtype)
    neuron = Neuron(1.2) if kind == "shared" else Neuron(torch.linspace(0.7, 1.6, 37, dtype=torch.float64))
    return of_layer(times, weight, neuron, **more)


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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
@pytest.mark.parametrize("kind", ["shared", "own"])
@pytest.mark.parametrize("observed", [False, True])
def test_a_gpu_gives_the_bits_of_the_cpu(kind, observed, dtype):
    more = {"observed": np.full((2, 5, 37), 1.5, problem(dtype).times.dtype)} if observed else {}
    assert_same_bits(problem(dtype, kind, limit=0.5, **more), on_device("cuda"))
