"""Kernels with torch tensors as arguments: compiled at the first use, then started without further work on the host."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from numba import types

from ttfsrun.errors import RunFailed
from ttfsrun.neuron.kernels.cuda.driver import Parameters, driver
from ttfsrun.neuron.kernels.cuda.ptx import TARGETS, Kinds, ptx
from ttfsrun.neuron.kernels.lanes import LaneArray

TYPES = {
    torch.float32: types.float32,
    torch.float64: types.float64,
    torch.int32: types.int32,
    torch.int64: types.int64,
    torch.uint8: types.uint8,
}


class Launch:
    """A kernel with its arguments: `launch()` starts it for all items, in torch's current stream of the device.

    kernel: a `compiled` function (low, high, *arguments) that treats items low to high, each alone.
    arguments: contiguous tensors on one device, integers, floats, and (named) tuples of them. Tensors are used where
        they are at each start; integers and floats keep their values.

    Raises what `ptx` and `Driver` raise, TypeError or ValueError for other arguments, and RunFailed for a GPU that is
    too old.
    """

    def __init__(self, kernel: Any, items: int, *arguments: Any) -> None:
        self._arguments = arguments  # keeps their memory
        self._items, self._device = items, _device_of(arguments)
        with torch.cuda.device(self._device):
            self._context, self._function = _load(kernel, tuple(map(kind_of, arguments)), self._device)
        self._parameters = Parameters([items, *words_of(arguments)])

    def __call__(self) -> None:
        if self._items > 0:
            with torch.cuda.device(self._device):
                stream = torch.cuda.current_stream().cuda_stream
                driver().launch(self._context, self._function, self._items, self._parameters, stream)


def kind_of(value: Any) -> types.Type:
    """Return the numba type of an argument; all arrays have one lane."""
    if isinstance(value, torch.Tensor):
        return LaneArray(TYPES[value.dtype], value.ndim, "C")
    if isinstance(value, tuple):
        return types.BaseTuple.from_types(tuple(map(kind_of, value)), type(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r}: no argument of a kernel")
    return types.float64 if isinstance(value, float) else types.int64


def words_of(value: Any) -> Iterator[int]:
    """Yield an argument as words of 64 bits, in the order in which numba flattens it.

    Of an array: two pointers to its owner, which kernels do not use; number and bytes of its elements; address; shape;
    strides in bytes.
    """
    if isinstance(value, torch.Tensor):
        if not value.is_contiguous():
            raise ValueError(f"a tensor with strides {value.stride()}: must be contiguous")
        size = value.element_size()
        yield from (0, 0, value.numel(), size, value.data_ptr(), *value.shape, *(size * n for n in value.stride()))
    elif isinstance(value, tuple):
        for each in value:
            yield from words_of(each)
    else:
        yield struct.unpack("<Q", struct.pack("<d" if isinstance(value, float) else "<q", value))[0]


def _device_of(arguments: tuple[Any, ...]) -> torch.device:
    devices = {tensor.device for tensor in _tensors(arguments)}
    if len(devices) != 1:
        raise ValueError(f"tensors on {sorted(map(str, devices))}: must be on one device")
    return devices.pop()


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _tensors(each)


@cache
def _load(kernel: Any, kinds: Kinds, device: torch.device) -> tuple[int, int]:
    """Return (context, function) of a kernel on a device."""
    context = driver().context(device.index)
    return context, driver().function(context, ptx(kernel, kinds, target_of(device)), kernel.py_func.__name__)


def target_of(device: torch.device) -> int:
    """Return the latest of TARGETS whose code a GPU runs. Raises RunFailed for one that is too old."""
    major, minor = torch.cuda.get_device_capability(device)
    fitting = [target for target in TARGETS if target <= 10 * major + minor]
    if not fitting:
        name = torch.cuda.get_device_name(device)
        raise RunFailed(f"{name}: compute capability {major}.{minor}, needs {TARGETS[0] / 10}; compute on the CPU")
    return max(fitting)
