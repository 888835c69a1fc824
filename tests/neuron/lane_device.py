"""A device for tests that computes one neuron at a time, as the threads of a GPU do, with the same compiled source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any
from unittest import mock

import numba
from torch import Tensor

from ttfsrun.neuron import device
from ttfsrun.neuron.kernels.lanes import OneLane

FEW = 100  # items that are computed by one call each


class OneByOne:
    """The CPU as such a device: the last items are computed first."""

    lanes = 1

    def array(self, tensor: Tensor) -> Any:
        return tensor.numpy().view(OneLane)

    def sort(self, tensor: Tensor) -> Tensor:
        return tensor.sort(dim=1).values

    def launch(self, kernel: Callable[..., None], items: int, work: int, *args: Any) -> None:
        # Numba's own lookup takes a tuple of these arrays for one of numpy's.
        compiled = kernel.compile(tuple(map(numba.typeof, (0, items, *args))))  # type: ignore[attr-defined]
        edges = range(items, -1, -1) if items < FEW else (items, items // 2, 0)
        for high, low in pairwise(edges):
            compiled(low, high, *args)


@contextmanager
def one_by_one() -> Iterator[None]:
    """Let tensors of the CPU be computed one neuron at a time during the block."""
    with mock.patch.dict(device.DEVICES, cpu=OneByOne()):
        yield
