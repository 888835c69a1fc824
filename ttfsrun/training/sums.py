"""What is added up over the samples of an epoch or of an evaluation: losses, right decisions, silent neurons."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from numba.extending import overload
from torch import Tensor

from ttfsrun.neuron.device import arrays_of, device_of
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.lanes import lane_count, lanes
from ttfsrun.training.loss import Judgement

EVENTS_PER_COUNT = 1  # cost of counting one time, in synaptic events
EVENTS_PER_SAMPLE = 10  # cost of adding up one sample


class Silence(NamedTuple):
    """For how many samples of a batch each neuron is silent, the layers side by side: tensors, or their arrays."""

    counts: Any  # [P, sum of M], int32
    edges: Any  # [layers + 1]: where the layers begin
    pairs: Any  # [P, layers], int64: sums of `counts`


def neurons_per_block(n_lanes: int) -> int:
    """Return how many neurons a block of `count_silent` has."""
    return 1 if n_lanes == 1 else 256


_neurons_per_block = compiled(neurons_per_block)


def count_inf(spikes, counts):
    """Fill in how many of the times in each column of spikes [B, M] are inf."""


@overload(count_inf)
def _count_inf(spikes, counts):
    def one_column(spikes, counts):
        count = 0  # it stays in a register
        for b in range(spikes.shape[0]):
            count += spikes[b, 0] == np.inf
        counts[0] = count

    def columns(spikes, counts):
        counts[:] = 0
        for b in range(spikes.shape[0]):
            of_sample = spikes[b]
            for m in range(len(counts)):
                counts[m] += of_sample[m] == np.inf

    return one_column if lane_count(spikes) == 1 else columns


@compiled
def count_silent(low, high, spikes, first, counts):
    """Fill in, for blocks low to high of all networks, for how many samples each neuron is silent.

    spikes [P, B, M]; counts [P, first + M at least], int32.
    """
    n_neurons = spikes.shape[2]
    width = _neurons_per_block(lanes(spikes))
    n_blocks = -(-n_neurons // width)
    for block in range(low, high):
        p, start = block // n_blocks, (block % n_blocks) * width
        until = min(start + width, n_neurons)
        count_inf(spikes[p, :, start:until], counts[p, first + start : first + until])


@compiled
def add_pairs(low, high, silence):
    """Fill in the pairs of silent neuron and sample, for layers low to high of all networks."""
    n_layers = silence.pairs.shape[1]
    for at in range(low, high):
        p, number = at // n_layers, at % n_layers
        count = 0
        for m in range(silence.edges[number], silence.edges[number + 1]):
            count += silence.counts[p, m]
        silence.pairs[p, number] = count


@compiled
def add_batch(p, judgement, labels, silence, totals):
    """Add to totals [layers + 2] the losses of network p, its right decisions, and the silent pairs of each layer."""
    loss, right = totals[0], 0
    for b in range(labels.shape[1]):
        loss += judgement.losses[p, b]
        right += judgement.decision[p, b] == labels[p, b]
    totals[0] = loss
    totals[1] += right
    for number in range(len(silence.edges) - 1):
        totals[2 + number] += silence.pairs[p, number]


@compiled
def _add_up(low, high, judgement, labels, silence, totals):
    for p in range(low, high):
        add_batch(p, judgement, labels, silence, totals[p])


def add_up(judgement: Judgement, labels: Tensor, silence: Silence, totals: Tensor) -> None:
    """Add a batch to the totals [P, 2 + layers], float64: losses, right decisions, silent pairs of each layer."""
    judged, silent = Judgement(*arrays_of(judgement)), Silence(*arrays_of(silence))
    arrays = arrays_of((labels, totals))
    work = EVENTS_PER_SAMPLE * labels.numel()
    device_of(labels).launch(_add_up, len(labels), work, judged, arrays[0], silent, arrays[1])


def count_layers(spikes: Sequence[Tensor]) -> Silence:
    """Return for how many samples each neuron is silent, from the spike times [P, B, M] of each layer."""
    device = device_of(spikes[0])
    edges = (0, *accumulate(layer.shape[2] for layer in spikes))
    counts = spikes[0].new_empty((len(spikes[0]), edges[-1]), dtype=torch.int32)
    for layer, first in zip(spikes, edges, strict=False):
        blocks = len(layer) * -(-layer.shape[2] // neurons_per_block(device.lanes))
        work = EVENTS_PER_COUNT * layer.numel()
        device.launch(count_silent, blocks, work, device.array(layer), first, device.array(counts))
    pairs = counts.new_empty((len(counts), len(spikes)), dtype=torch.int64)
    silence = Silence(counts, _on(counts.device, edges), pairs)
    device.launch(add_pairs, pairs.numel(), counts.numel(), Silence(*arrays_of(silence)))
    return silence


@cache
def _on(device: torch.device, numbers: tuple[int, ...]) -> Tensor:
    """Return numbers on a device. They are copied once: a copy from the host waits until a GPU has done its work."""
    return torch.tensor(numbers, device=device)


def means(totals: Tensor, n_samples: int, sizes: Sequence[int]) -> Tensor:
    """Return mean loss, accuracy and silent fraction of each layer [P, 2 + layers], from totals over the samples.

    sizes: neurons of each layer.
    """
    return totals / (n_samples * _on(totals.device, (1, 1, *sizes)))
