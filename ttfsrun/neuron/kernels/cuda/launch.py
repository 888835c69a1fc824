"""GPUs of NVIDIA as a device: kernels with torch tensors as arguments, compiled at the first use."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import types
from torch import Tensor

from ttfsrun.errors import RunFailed
from ttfsrun.neuron.kernels.cuda.driver import driver
from ttfsrun.neuron.kernels.cuda.ptx import TARGETS, ptx
from ttfsrun.neuron.kernels.lanes import LaneArray

ARRAYS = {
    torch.bool: types.boolean,
    torch.uint8: types.uint8,
    torch.int32: types.int32,
    torch.int64: types.int64,
    torch.float32: types.float32,
    torch.float64: types.float64,
}
NUMBERS = {  # types, and how a number fills a word
    bool: (types.boolean, "<?7x"),
    int: (types.int64, "<q"),
    np.int64: (types.int64, "<q"),
    float: (types.float64, "<d"),
    np.float64: (types.float64, "<d"),
    np.float32: (types.float32, "<f4x"),
}


class Cuda:
    """All GPUs that torch sees. A kernel runs on that of its tensors, in torch's current stream there.

    The arguments of a kernel are tensors, numbers, and (named) tuples of them; all arrays have one lane.
    """

    lanes = 1

    def array(self, tensor: Tensor) -> Tensor:
        """Return what a kernel takes for a tensor: itself."""
        return tensor

    def sort(self, tensor: Tensor) -> Tensor:
        return tensor.sort(dim=1).values

    def launch(self, kernel: Callable[..., None], items: int, work: int, *args: Any) -> None:
        """Start kernel(i, i + 1, *args) in a thread for each item i, and return at once; work: ignored.

        Raises RunFailed where the driver or the GPU cannot run it, torch.cuda.OutOfMemoryError, TypeError for other
        arguments, ValueError for tensors on several devices.
        """
        if items <= 0:
            return
        arguments = Arguments(items)
        key = tuple([arguments.add(each) for each in args])
        device = arguments.device()
        # torch's own context manager takes several microseconds, and is seldom needed
        with nullcontext() if device == torch.cuda.current_device() else torch.cuda.device(device):
            context, function = _load(kernel, key, device)
            stream = torch.cuda.current_stream(device).cuda_stream
            driver().launch(context, function, items, arguments.words, stream)


class Arguments:
    """The arguments of one launch, in words of 64 bits, in the order in which numba flattens them."""

    def __init__(self, items: int) -> None:
        self.words = array("Q", (items,))
        self._devices: set[int] = set()

    def add(self, value: Any) -> Any:
        """Add an argument; returns its key, from which `kind_of` makes the numba type."""
        if isinstance(value, Tensor):
            layout = layout_of(value.dtype, value.shape, value.stride())
            self._devices.add(value.get_device())
            self.words.extend(layout.before)
            self.words.append(value.data_ptr())
            self.words.extend(layout.after)
            return layout.key
        kind = type(value)
        if isinstance(value, tuple):
            return kind, tuple([self.add(each) for each in value])
        if kind not in NUMBERS:
            raise TypeError(f"{value!r}: no argument of a kernel")
        self.words.frombytes(struct.pack(NUMBERS[kind][1], value))
        return kind

    def device(self) -> int:
        """Return the only device of all tensors."""
        if len(self._devices) != 1:
            raise ValueError(f"tensors on GPUs {sorted(self._devices)}: must be on one (-1 is the CPU)")
        return next(iter(self._devices))


class ArrayKey:
    """What the arrays of one numba type have as their key: equal only to itself, and fast to look up."""

    def __init__(self, kind: types.Type) -> None:
        self.kind = kind


class TensorLayout(NamedTuple):
    """What all tensors of one type, shape and strides have in common.

    before: the words before the address: two pointers to the owner, which kernels do not use; number and bytes of the
    elements. after: those after it: shape; strides in bytes.
    """

    key: ArrayKey
    before: array[int]
    after: array[int]


@cache
def layout_of(dtype: torch.dtype, shape: tuple[int, ...], strides: tuple[int, ...]) -> TensorLayout:
    """Return the layout of a tensor. It is computed once: a training step has hundreds of arguments, of few layouts."""
    tensor = torch.empty_strided(shape, strides, dtype=dtype, device="meta")
    size = tensor.element_size()
    key = _array_key(dtype, tensor.dim(), tensor.is_contiguous())
    before, after = (0, 0, tensor.numel(), size), (*shape, *(size * stride for stride in strides))
    return TensorLayout(key, array("Q", before), array("Q", after))


@cache
def _array_key(dtype: torch.dtype, dimensions: int, is_contiguous: bool) -> ArrayKey:
    return ArrayKey(LaneArray(ARRAYS[dtype], dimensions, "C" if is_contiguous else "A"))


def kind_of(key: Any) -> types.Type:
    """Return the numba type of a key of `Arguments.add`."""
    if isinstance(key, ArrayKey):
        return key.kind
    if isinstance(key, tuple):
        return types.BaseTuple.from_types(tuple(map(kind_of, key[1])), key[0])
    return NUMBERS[key][0]


@cache
def _load(kernel: Any, key: Any, device: int) -> tuple[int, int]:
    """Return (context, function) of a kernel on a device."""
    context = driver().context(device)
    text = ptx(kernel, tuple(map(kind_of, key)), target_of(device))
    return context, driver().function(context, text, kernel.py_func.__name__)


def target_of(device: int) -> int:
    """Return the latest of TARGETS whose code a GPU runs. Raises RunFailed for one that is too old."""
    major, minor = torch.cuda.get_device_capability(device)
    fitting = [target for target in TARGETS if target <= 10 * major + minor]
    if not fitting:
        name = torch.cuda.get_device_name(device)
        raise RunFailed(f"{name}: compute capability {major}.{minor}, needs {TARGETS[0] / 10}; compute on the CPU")
    return max(fitting)
