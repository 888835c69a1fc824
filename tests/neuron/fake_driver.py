"""A GPU for tests: CUDA's driver, on which the CPU runs numba's own code for what a kernel's parameters say."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from numba import types

from ttfsrun.neuron.kernels.cuda import driver as driver_module
from ttfsrun.neuron.kernels.cuda import launch
from ttfsrun.neuron.kernels.cuda.driver import THREADS, Driver

INDEX = types.intp
C_TYPES = {"double": ctypes.c_double, "float": ctypes.c_float}  # of LLVM; all others are integers and pointers
FEW = 1000  # items that have a call each, as they have a thread each


class FakeLibrary:
    """The functions of the driver.

    kernels: those that were loaded, with the types of their arguments. calls: names of the functions that were called.
    failures: error codes to return, by the name of the function.
    """

    def __init__(self) -> None:
        self.kernels: list[tuple[Any, tuple[types.Type, ...]]] = []
        self.calls: list[str] = []
        self.failures: dict[str, int] = {}
        for name in driver_module._PARAMETERS:
            setattr(self, name, self._function(name))

    def ptx(self, kernel: Any, kinds: tuple[types.Type, ...], target: int) -> str:
        """Return, instead of PTX, which of the kernels it is."""
        kernel.compile((INDEX, INDEX, *kinds))
        self.kernels.append((kernel, kinds))
        return str(len(self.kernels))

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

    def _cuDevicePrimaryCtxRetain(self, context: Any, device: int) -> None:
        context._obj.value = 11

    def _cuModuleLoadDataEx(self, module: Any, image: bytes, *_: Any) -> None:
        module._obj.value = int(image)

    def _cuModuleGetFunction(self, function: Any, module: Any, name: bytes) -> None:
        assert self.kernels[module.value - 1][0].py_func.__name__.encode() == name
        function._obj.value = module.value

    def _cuLaunchKernel(self, function: int, *arguments: Any) -> None:
        blocks, one, another, threads, *_, separate, extra = arguments
        assert (one, another, threads, separate) == (1, 1, THREADS, None)
        pointer, start, of_size, size, end = (ctypes.c_uint64 * 5).from_address(extra)
        assert (pointer, of_size, end) == (driver_module.BUFFER_POINTER, driver_module.BUFFER_SIZE, 0)
        kernel, kinds = self.kernels[function - 1]
        result = kernel.overloads[(INDEX, INDEX, *kinds)]
        call = kernel.targetctx.call_conv.get_function_type(types.none, (INDEX, INDEX, *kinds))
        plain = [C_TYPES.get(str(kind), ctypes.c_uint64) for kind in call.args[4:]]
        sorts = [ctypes.c_int64, *plain]
        assert ctypes.c_size_t.from_address(size).value == 8 * len(sorts)
        items, *words = (kind.from_address(start + 8 * place).value for place, kind in enumerate(sorts))
        assert (blocks - 1) * threads < items <= blocks * threads
        address = result.library.get_pointer_to_function(result.fndesc.llvm_func_name)
        prototype = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2, *plain)
        returned, exception = ctypes.c_void_p(), ctypes.c_void_p()
        step = 1 if items < FEW else items
        for item in range(0, items, step):
            prototype(address)(ctypes.addressof(returned), ctypes.addressof(exception), item, item + step, *words)


class _Stream:
    cuda_stream = 0


@contextlib.contextmanager
def fake_gpu() -> Iterator[FakeLibrary]:
    """Let `Cuda` run kernels on tensors of the CPU during the block, through a `FakeLibrary`."""
    library = FakeLibrary()
    driver = Driver(library)
    torch_cuda = {
        "device": lambda device: contextlib.nullcontext(),
        "current_device": lambda: 0,
        "current_stream": lambda device: _Stream,
        "get_device_capability": lambda device: (9, 0),
    }
    launch._load.cache_clear()
    with (
        mock.patch.object(launch, "driver", return_value=driver),
        mock.patch.object(launch, "ptx", library.ptx),
        mock.patch.multiple(torch.cuda, **torch_cuda),
    ):
        yield library
    launch._load.cache_clear()
