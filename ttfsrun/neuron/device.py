"""The processors that kernels run on. A device has its own arrays, and runs a kernel over items.

A kernel is a compiled function (low, high, ...) that computes items low to high, each by itself. All devices compute
the same bits. On the CPU, kernels take numpy arrays, and compute vectors of 16 neurons; on a GPU, tensors, and each
thread one neuron.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor

from ttfsrun.neuron.kernels.cuda.launch import Cuda
from ttfsrun.neuron.kernels.lanes import LANES
from ttfsrun.neuron.parallel import for_ranges

Array = Any  # of a device: numpy arrays on the CPU
Kernel = Callable[..., None]


class Device(Protocol):
    """A processor, its arrays, and what runs a kernel on it.

    lanes: number of neurons that a kernel computes together.
    """

    lanes: int

    def array(self, tensor: Tensor) -> Array:
        """Return the array that shares the memory of a tensor on this device."""

    def sort(self, tensor: Tensor) -> Tensor:
        """Return integers [P, n] with each row in ascending order; may change the tensor."""

    def launch(self, kernel: Kernel, items: int, work: int, *args: Any) -> None:
        """Run kernel(low, high, *args) over all items; work: of all of them, in synaptic events."""


class Cpu:
    """The cores of this machine that `set_threads` allows."""

    lanes = LANES

    def array(self, tensor: Tensor) -> Array:
        return tensor.numpy()

    def sort(self, tensor: Tensor) -> Tensor:
        tensor.numpy().sort(axis=1)  # several times as fast as torch's
        return tensor

    def launch(self, kernel: Kernel, items: int, work: int, *args: Any) -> None:
        for_ranges(lambda low, high: kernel(low, high, *args), items, work)


#: By the type of a tensor's device.
DEVICES: dict[str, Device] = {"cpu": Cpu(), "cuda": Cuda()}


def device_of(tensor: Tensor) -> Device:
    """Return the device that has a tensor."""
    return DEVICES[tensor.device.type]


def arrays_of(tensors: Sequence[Tensor]) -> list[Array]:
    """Return the arrays of tensors on one device."""
    device = device_of(tensors[0])
    return [device.array(tensor) for tensor in tensors]
