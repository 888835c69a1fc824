"""The batches of an epoch: the samples in the order of each network's own seed, augmented, with noise on the times."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.data.augmentation import NONE, strengths_of
from ttfsrun.data.samples import Samples
from ttfsrun.neuron.draws import StepNumber, normal, permutations
from ttfsrun.random import key
from ttfsrun.training.augmentation import Augmentation


class SampleTensors(NamedTuple):
    """Samples on a device."""

    times: Tensor  # [S, N]
    labels: Tensor  # [S]


def tensors_of(samples: Samples, device: torch.device | str) -> SampleTensors:
    """Return samples on a device; on the CPU they share the memory of the arrays."""
    return SampleTensors(torch.from_numpy(samples.times).to(device), torch.from_numpy(samples.labels).to(device))


class TrainingBatch(NamedTuple):
    """What P networks receive in one step of training."""

    times: Tensor  # [P, B, N]: input times
    labels: Tensor  # [P, B]


class Batches:
    """The training samples of P networks, in epochs.

    Order, augmentation and noise of a network depend on its seed.data, their strengths and the epoch alone. Networks
    with the same seed have the same order, and the same augmentation and noise but for their strengths.
    """

    def __init__(
        self, configs: Sequence[Config], samples: Samples, size: int, device: torch.device | str = "cpu"
    ) -> None:
        """size: samples of a batch; device: of the batches."""
        self._times, self._labels = tensors_of(samples, device)
        self._size = size
        sources = [(config.seed.data, config.training.input_noise, strengths_of(config.data)) for config in configs]
        distinct = list(dict.fromkeys(sources))
        self._members = torch.tensor([distinct.index(source) for source in sources], device=device)
        stds = torch.tensor([std for _, std, _ in distinct], dtype=torch.float32, device=device)
        self._noisy = stds.nonzero()[:, 0]
        self._noise = stds[self._noisy, None, None]
        self._order_keys, noise_keys = (
            torch.tensor([key(seed, purpose) for seed, _, _ in distinct], device=device)
            for purpose in ("order", "input noise")
        )
        self._noise_keys = noise_keys[self._noisy]
        augmented = [number for number, source in enumerate(distinct) if source[2] != NONE]
        self._augmented = torch.tensor(augmented, dtype=torch.int64, device=device)
        if augmented:
            seeds, _, strengths = zip(*(distinct[number] for number in augmented), strict=True)
            self._augmentation = Augmentation(configs[0].data, samples, seeds, strengths, device)

    def __len__(self) -> int:
        return math.ceil(len(self._labels) / self._size)

    def of_epoch(self, epoch: StepNumber) -> Iterator[TrainingBatch]:
        """Yield the batches of an epoch."""
        orders = permutations(self._order_keys, epoch, len(self._labels))
        for start in range(0, orders.shape[1], self._size):
            chosen = orders[:, start : start + self._size]
            times, labels = self._times[chosen], self._labels[chosen]
            if len(self._augmented):
                times[self._augmented] = self._augmentation.times(chosen[self._augmented], epoch, start)
            times = self._with_noise(times, epoch, start)
            if len(orders) == 1:
                size = len(self._members)
                yield TrainingBatch(times.expand(size, -1, -1), labels.expand(size, -1).contiguous())
            elif len(orders) == len(self._members):
                yield TrainingBatch(times, labels)
            else:
                yield TrainingBatch(times[self._members], labels[self._members])

    def images(self, samples: Sequence[int], epoch: StepNumber) -> Tensor:
        """Return images of the first augmented network as they are in an epoch, uint8 [len(samples), size, size]."""
        order = permutations(self._order_keys[self._augmented[:1]], epoch, len(self._labels))[0]
        shown = []
        for sample in samples:
            place = int((order == sample).nonzero())
            shown.append(self._augmentation.images(order[None, place : place + 1], epoch, place)[0, 0])
        return torch.stack(shown)

    def _with_noise(self, times: Tensor, epoch: StepNumber, start: int) -> Tensor:
        """Return times [sources, B, N] with normal noise; negative times are reflected. start: the first sample."""
        if len(self._noisy):
            first = start * times.shape[2]
            draws = normal(self._noise_keys, epoch, times.shape[1:], first=first, dtype=times.dtype)
            times[self._noisy] = (times[self._noisy] + self._noise * draws).abs()
        return times
