"""The part of CUDA's driver that loads and starts kernels, through ctypes (docs.nvidia.com/cuda/cuda-driver-api).

Torch allocates the memory and creates the streams, in the primary context of a device; the same context is used here.
"""

from __future__ import annotations

import ctypes
from array import array
from functools import cache
from typing import Any

import torch

from ttfsrun.errors import RunFailed

LIBRARY = "libcuda.so.1"
THREADS = 64  # of a block: fewer registers are left over than with more
ERROR_LOG, ERROR_LOG_BYTES = 5, 6  # CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES
LOG_BYTES = 8192
BUFFER_POINTER, BUFFER_SIZE = 1, 2  # CU_LAUNCH_PARAM_BUFFER_POINTER, CU_LAUNCH_PARAM_BUFFER_SIZE
OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY

_pointer, _unsigned, _int = ctypes.c_void_p, ctypes.c_uint, ctypes.c_int
_PARAMETERS: dict[str, list[Any]] = {
    "cuInit": [_unsigned],
    "cuGetErrorName": [_int, ctypes.POINTER(ctypes.c_char_p)],
    "cuDevicePrimaryCtxRetain": [ctypes.POINTER(_pointer), _int],
    "cuCtxSetCurrent": [_pointer],
    "cuModuleLoadDataEx": [
        ctypes.POINTER(_pointer),
        ctypes.c_char_p,
        _unsigned,
        ctypes.POINTER(_int),
        ctypes.POINTER(_pointer),
    ],
    "cuModuleGetFunction": [ctypes.POINTER(_pointer), _pointer, ctypes.c_char_p],
    "cuLaunchKernel": [_pointer, *[_unsigned] * 7, _pointer, _pointer, _pointer],
}


class Driver:
    """The functions of the driver's library that are needed. Each raises RunFailed with the driver's name of an error,
    and torch.cuda.OutOfMemoryError if it has no memory.
    """

    def __init__(self, library: Any) -> None:
        try:
            self._functions = {name: getattr(library, name) for name in _PARAMETERS}
        except AttributeError as error:
            raise RunFailed(f"{LIBRARY}: {error}; install a newer driver for the GPU") from error
        for name, function in self._functions.items():
            function.argtypes, function.restype = _PARAMETERS[name], _int
        self._call("cuInit", 0)

    def context(self, device: int) -> int:
        """Return the primary context of a device, which torch uses."""
        context = _pointer()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        return context.value or 0

    def function(self, context: int, ptx: str, name: str) -> int:
        """Compile PTX for the device of a context, and return its function of this name."""
        self._call("cuCtxSetCurrent", context)
        module, function = _pointer(), _pointer()
        log = ctypes.create_string_buffer(LOG_BYTES)
        options = (_int * 2)(ERROR_LOG, ERROR_LOG_BYTES)
        values = (_pointer * 2)(ctypes.addressof(log), LOG_BYTES)
        self._call("cuModuleLoadDataEx", ctypes.byref(module), ptx.encode(), 2, options, values, log=log)
        self._call("cuModuleGetFunction", ctypes.byref(function), module, name.encode())
        return function.value or 0

    def launch(self, context: int, function: int, items: int, parameters: array[int], stream: int) -> None:
        """Start a thread for each item, at least one, in a stream; parameters: words of 64 bits, type code "Q"."""
        self._call("cuCtxSetCurrent", context)
        blocks = -(-items // THREADS)
        start, count = parameters.buffer_info()
        size = array("Q", (parameters.itemsize * count,))
        # All in one buffer: the other way, an array with the address of each, takes several times as long to prepare.
        extra = array("Q", (BUFFER_POINTER, start, BUFFER_SIZE, size.buffer_info()[0], 0))
        self._call("cuLaunchKernel", function, blocks, 1, 1, THREADS, 1, 1, 0, stream, None, extra.buffer_info()[0])

    def _call(self, name: str, *arguments: Any, log: Any = None) -> None:
        code = self._functions[name](*arguments)
        if code == 0:
            return
        text = ctypes.c_char_p()
        self._functions["cuGetErrorName"](code, ctypes.byref(text))
        details = f": {' '.join(log.value.decode(errors='replace').split())}" if log is not None and log.value else ""
        message = f"{name}: {(text.value or b'CUDA error').decode()} ({code}){details}"
        raise torch.cuda.OutOfMemoryError(message) if code == OUT_OF_MEMORY else RunFailed(message)


@cache
def driver() -> Driver:
    """Return the driver of this machine. Raises RunFailed if there is none."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise RunFailed(f"{error}; install the driver of the GPU, or compute on the CPU") from error
    return Driver(library)
