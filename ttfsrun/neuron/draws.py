"""Random numbers for a population: each depends on its network's key, the step and its index alone.

Neither the other networks, nor the number of threads, nor how many numbers are drawn at once changes any of them.
Networks with the same key get the same numbers. Keys are from `ttfsrun.random.key`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ttfsrun.neuron.device import device_of
from ttfsrun.neuron.kernels.philox import count_items, draw_normal, draw_uniform, draw_words

StepNumber = int | Tensor  # a tensor: int64 [1], on the device of the keys; then its value is not checked
EVENTS_PER_NUMBER = 8  # cost of a random number, in synaptic events


def uniform(keys: Tensor, step: StepNumber, shape: Sequence[int], *, first: int = 0) -> Tensor:
    """Return uniform numbers between 0 and 1, and neither, [P, *shape], float64: 2^32 values, equally far apart.

    keys: int64 [P]. An element has the number `first` plus its flat index in its network; what `first` shifts are only
    the numbers, so that parts of a stream can be drawn alone.
    Raises ValueError for a negative step or number.
    """
    return _draw(draw_uniform, keys, step, shape, first, torch.float64)


def normal(
    keys: Tensor, step: StepNumber, shape: Sequence[int], *, first: int = 0, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Return standard normal numbers, [P, *shape], float64 or the same rounded to float32.

    They are the quantiles of the numbers of `uniform`, between -6.3 and 6.3. The arguments are those of `uniform`.
    """
    return _draw(draw_normal, keys, step, shape, first, dtype)


def permutations(keys: Tensor, step: StepNumber, n: int) -> Tensor:
    """Return a random order of 0, ..., n - 1 for each network, int64 [P, n]; keys and step as for `uniform`."""
    words = keys.new_empty((len(keys), n))
    _fill(draw_words, keys, step, 0, words)
    # Sorted by word, those with equal words by index, which the low half of a number holds.
    numbers = ((words - 2**31) << 32) | torch.arange(n, device=keys.device)
    return device_of(keys).sort(numbers) & (2**32 - 1)


def _draw(
    kernel: Callable[..., None], keys: Tensor, step: StepNumber, shape: Sequence[int], first: int, dtype: torch.dtype
) -> Tensor:
    out = torch.empty((len(keys), *shape), dtype=dtype, device=keys.device)
    _fill(kernel, keys, step, first, out.view(len(keys), math.prod(shape)))
    return out


def _fill(kernel: Callable[..., None], keys: Tensor, step: StepNumber, first: int, out: Tensor) -> None:
    """Fill out [P, n] by a kernel of `philox`."""
    for name, value in (("step", step), ("first", first)):
        if not isinstance(value, Tensor) and not 0 <= value < 2**62:
            raise ValueError(f"{name}={value}: must be from 0 to 2^62 - 1")
    if out.numel() == 0:
        return
    device = device_of(keys)
    items = len(out) * count_items(first, out.shape[1], device.lanes)
    work = out.numel() * EVENTS_PER_NUMBER
    step = device.array(step) if isinstance(step, Tensor) else step
    device.launch(kernel, items, work, device.array(keys), step, first, device.array(out))
