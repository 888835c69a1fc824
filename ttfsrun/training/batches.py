"""The batches of an epoch: the samples in the order of each network's own seed, with noise on the input times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.neuron.draws import normal, permutations
from ttfsrun.random import key

Array = NDArray[Any]


class TrainingBatch(NamedTuple):
    """What P networks receive in one step of training."""

    times: Tensor  # [P, B, N]: input times
    labels: Array  # [P, B]


class Batches:
    """The training samples of P networks, in epochs.

    Order and noise of a network depend on its seed.data, its noise and the epoch alone. Networks with the same seed
    have the same order, and the same noise but for its strength.
    """

    def __init__(self, configs: Sequence[Config], samples: Samples, size: int) -> None:
        """size: samples of a batch."""
        self._samples, self._size = samples, size
        sources = [(config.seed.data, config.training.input_noise) for config in configs]
        distinct = sorted(set(sources))
        self._members = np.array([distinct.index(source) for source in sources])
        self._noise = np.array([std for _, std in distinct], np.float32)
        self._order_keys, self._noise_keys = (
            torch.tensor([key(seed, purpose) for seed, _ in distinct]) for purpose in ("order", "input noise")
        )

    def __len__(self) -> int:
        return math.ceil(len(self._samples.labels) / self._size)

    def of_epoch(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield the batches of an epoch."""
        orders = permutations(self._order_keys, epoch, len(self._samples.labels)).numpy()
        for start in range(0, orders.shape[1], self._size):
            chosen = orders[:, start : start + self._size]
            times = self._with_noise(self._samples.times[chosen], epoch, start)
            labels = self._samples.labels[chosen]
            if len(orders) == 1:
                size = len(self._members)
                yield TrainingBatch(times.expand(size, -1, -1), np.broadcast_to(labels, (size, labels.shape[1])))
            else:
                yield TrainingBatch(times[self._members], labels[self._members])

    def _with_noise(self, times: NDArray[np.float32], epoch: int, start: int) -> Tensor:
        """Return times [sources, B, N] with normal noise; negative times are reflected. start: the first sample."""
        noisy = np.flatnonzero(self._noise)
        if len(noisy):
            first = start * times.shape[2]
            draws = normal(self._noise_keys[noisy], epoch, times.shape[1:], first=first, dtype=torch.float32)
            times[noisy] = np.abs(times[noisy] + self._noise[noisy, None, None] * draws.numpy())
        return torch.from_numpy(times)
