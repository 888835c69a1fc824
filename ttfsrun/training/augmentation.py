"""Augmentation: in each epoch, every training image is rotated, sheared, scaled and shifted at random.

An image is changed as it is in its file. What comes after is the same as for any image: it is rounded to whole pixel
values, cut out and resized, and encoded; noise on the input times comes last. White pixels surround it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.config.schema import Mnist, YinYang
from ttfsrun.data import encode
from ttfsrun.data.augmentation import Strengths
from ttfsrun.data.mnist import CENTRE, SIDE, values_of
from ttfsrun.data.samples import Samples
from ttfsrun.neuron.device import arrays_of, device_of
from ttfsrun.neuron.draws import StepNumber, uniform
from ttfsrun.random import key
from ttfsrun.training.affine import BITS, change_rows, resize_columns

Array = NDArray[Any]
NUMBERS = 5  # random numbers of an image: one for each strength, and one more for the shift along the other side
EVENTS_PER_PIXEL = 30  # cost of a pixel, in synaptic events


def filter_of(size: int) -> tuple[Array, Array]:
    """Return the filter that `mnist.resize` applies along either side: Pillow's triangles, in integers.

    first [size]: the first pixel that a new pixel depends on; weights [size, taps]: of this one and the next ones,
    times 2^BITS.
    """
    source = SIDE if size == SIDE else CENTRE
    scale = source / size
    distance = np.abs(np.arange(source) + 0.5 - scale * (np.arange(size)[:, None] + 0.5)) / scale
    shares = np.maximum(0, 1 - distance)
    weights = np.floor(0.5 + 2**BITS * shares / shares.sum(axis=1, keepdims=True)).astype(np.int64)
    taps = int(np.count_nonzero(weights, axis=1).max())
    first = np.minimum((weights > 0).argmax(axis=1), source - taps)
    return first, np.take_along_axis(weights, first[:, None] + np.arange(taps), axis=1)


class Augmentation:
    """Changes of the training images, drawn for each network from its own stream.

    The numbers of an image follow from seed.data, the epoch, and the place of the sample in the order of the epoch.
    """

    def __init__(
        self,
        data: YinYang | Mnist,
        samples: Samples,
        seeds: Sequence[int],
        strengths: Sequence[Strengths],
        device: torch.device | str = "cpu",
    ) -> None:
        """Prepare K streams. samples: of the training; seeds [K]: seed.data; strengths [K]; device: that computes.

        Raises ValueError where the samples came without their original images.
        """
        if samples.originals is None or not isinstance(data, Mnist):
            raise ValueError("samples without originals cannot be augmented: load them with originals=True")
        self._side = SIDE if data.size == SIDE else CENTRE
        self._keys = torch.tensor([key(seed, "augmentation") for seed in seeds], device=device)
        self._strengths = torch.tensor(strengths, dtype=torch.float64, device=device)
        pixels = np.arange(256, dtype=np.uint8)
        constants = (samples.originals, *filter_of(data.size), pixels, encode(values_of(pixels), data.encoding))
        self._originals, self._first, self._weights, self._pixels, self._times = (
            torch.from_numpy(constant).to(device) for constant in constants
        )

    def times(self, chosen: Tensor, epoch: StepNumber, start: int) -> Tensor:
        """Return the encoded images of the samples chosen [K, B], float32 [K, B, N]. start: place of the first one."""
        return self._changed(chosen, epoch, start, self._times)

    def images(self, chosen: Tensor, epoch: StepNumber, start: int) -> Tensor:
        """Return the images themselves, uint8 [K, B, size, size]."""
        size = len(self._first)
        return self._changed(chosen, epoch, start, self._pixels).reshape(*chosen.shape, size, size)

    def _changed(self, chosen: Tensor, epoch: StepNumber, start: int, table: Tensor) -> Tensor:
        """Return what the table has for the pixels of the changed images, [K, B, size * size]."""
        numbers = uniform(self._keys, epoch, (chosen.shape[1], NUMBERS), first=start * NUMBERS)
        rows = self._originals.new_empty((*chosen.shape, self._side, self._side))
        out = table.new_empty((*chosen.shape, len(self._first) ** 2))
        device, resizing = device_of(rows), arrays_of([self._first, self._weights])
        drawn = arrays_of([self._originals, chosen, numbers, self._strengths])
        items, work = chosen.numel() * self._side, rows.numel() * EVENTS_PER_PIXEL
        device.launch(change_rows, items, work, *drawn, *resizing, device.array(rows))
        items, work = chosen.numel() * len(self._first), out.numel() * EVENTS_PER_PIXEL
        device.launch(resize_columns, items, work, device.array(rows), *resizing, *arrays_of([table, out]))
        return out
