"""Responses of networks to samples: decisions, their times, spikes and losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.data.samples import Samples
from ttfsrun.network import Network
from ttfsrun.substrate.emulation import IDEAL, Operation
from ttfsrun.training.batches import SampleTensors, tensors_of
from ttfsrun.training.loss import Judgement, Loss, judge
from ttfsrun.training.sums import add_up, count_layers, means

ROWS = 2000  # samples of all networks together that are computed at once, to bound the memory
ROWS_ON_GPU = 1 << 16


def rows_at_once(device: torch.device) -> int:
    """Return how many samples, of all networks together, are computed at once on a device."""
    return ROWS if device.type == "cpu" else ROWS_ON_GPU


@dataclass(frozen=True)
class Responses:
    """Responses of one network to S samples of C classes."""

    loss: float  # mean over the samples
    labels: NDArray[np.int64]  # [S]
    decision: NDArray[np.int64]  # [S]: label neuron of the first spike; -1 where none spiked
    decision_time: NDArray[np.float32]  # [S], tau_syn; inf where none spiked
    spikes: NDArray[np.int64]  # [layers]: spikes in all samples
    events: NDArray[np.int64]  # [2]: synaptic events in all samples, and those before the decision
    neurons: tuple[int, ...]  # [layers]
    n_classes: int

    @property
    def accuracy(self) -> float:
        """Fraction of the samples whose decision is right; no output spike is a wrong decision."""
        return float((self.decision == self.labels).mean())

    @property
    def silent_fraction(self) -> list[float]:
        """Fraction of the pairs of neuron and sample without a spike, per layer."""
        possible = np.array(self.neurons) * len(self.labels)
        return [float(share) for share in 1 - self.spikes / possible]

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Samples by true class and decision, [C, C + 1]; the last column is no decision."""
        counts = np.zeros((self.n_classes, self.n_classes + 1), np.int64)
        np.add.at(counts, (self.labels, self.decision), 1)
        return counts


def pool_trials(trials: Sequence[Responses]) -> Responses:
    """Return the responses of one network to the same samples in several trials as one."""
    first = trials[0]
    return Responses(
        loss=float(np.mean([trial.loss for trial in trials])),
        labels=np.concatenate([trial.labels for trial in trials]),
        decision=np.concatenate([trial.decision for trial in trials]),
        decision_time=np.concatenate([trial.decision_time for trial in trials]),
        spikes=np.sum([trial.spikes for trial in trials], axis=0),
        events=np.sum([trial.events for trial in trials], axis=0),
        neurons=first.neurons,
        n_classes=first.n_classes,
    )


OperationOfBatch = Callable[[int], Operation]  # the substrates during a batch of samples, by its number


class JudgedBatch(NamedTuple):
    """One batch of the same samples in all networks, as judged."""

    part: slice  # of the samples
    times: Tensor  # [1, B, N] inputs
    labels: Tensor  # [P, B]
    spikes: list[Tensor]  # of each layer, [P, B, M]
    judgement: Judgement


def _judged(
    network: Network, samples: SampleTensors, loss: Loss, operation: OperationOfBatch, batch_size: int | None
) -> Iterator[JudgedBatch]:
    """Run all P networks on the same samples, batch by batch; arguments as for `collect_responses`."""
    all_times, all_labels = samples
    size = batch_size or max(1, rows_at_once(all_times.device) // network.size)
    for step, start in enumerate(range(0, len(all_labels), size)):
        part = slice(start, start + size)
        times = all_times[part][None]
        labels = all_labels[part].expand(network.size, -1).contiguous()
        spikes = network(times, operation(step))
        yield JudgedBatch(part, times, labels, spikes, judge(loss, spikes[-1], labels))


def score(
    network: Network,
    samples: SampleTensors,
    loss: Loss,
    operation: OperationOfBatch = lambda step: IDEAL,
    batch_size: int | None = None,
) -> Tensor:
    """Return the metrics of the learning curves of all P networks: loss, accuracy, silent fraction of each layer,
    [P, 2 + layers], float64.

    samples: on the device of the networks; other arguments as for `collect_responses`. Nothing waits for a GPU.
    """
    totals = network.weights[0].new_zeros(network.size, 2 + len(network.weights), dtype=torch.float64)
    for batch in _judged(network, samples, loss, operation, batch_size):
        add_up(batch.judgement, batch.labels, count_layers(batch.spikes), totals)
    return means(totals, len(samples.labels), [weight.shape[-1] for weight in network.weights])


def collect_responses(
    network: Network,
    samples: Samples,
    loss: Loss,
    operation: OperationOfBatch = lambda step: IDEAL,
    batch_size: int | None = None,
) -> list[Responses]:
    """Run all P networks on the same samples; return the responses of each. Nothing waits for a GPU before the end.

    batch_size: samples per batch of the substrates' noise; None where nothing is noisy and it makes no difference.
    """
    labels, size, n_classes = samples.labels, network.size, network.weights[-1].shape[-1]
    totals = network.weights[0].new_zeros(size, 2 + len(network.weights), dtype=torch.float64)
    times = totals.new_empty((size, len(labels)), dtype=torch.float32)
    decisions = totals.new_empty((size, len(labels)), dtype=torch.int64)
    counts = totals.new_zeros((size, 2), dtype=torch.int64)
    for batch in _judged(network, tensors_of(samples, totals.device), loss, operation, batch_size):
        judgement = batch.judgement
        add_up(judgement, batch.labels, count_layers(batch.spikes), totals)
        times[:, batch.part], decisions[:, batch.part] = judgement.decision_time, judgement.decision
        counts += _count_events(network, network.arrivals(batch.times, batch.spikes), judgement.decision_time)
    first, decided, events = (tensor.cpu().numpy() for tensor in (times, decisions, counts))
    neurons = tuple(weight.shape[-1] for weight in network.weights)
    possible = np.array(neurons) * len(labels)
    losses = (totals[:, 0] / len(labels)).tolist()
    spikes = possible - totals[:, 2:].cpu().numpy().astype(np.int64)
    return [
        Responses(losses[p], labels, decided[p], first[p], spikes[p], events[p], neurons, n_classes)
        for p in range(size)
    ]


def _count_events(network: Network, arrivals: Sequence[Tensor], decision: Tensor) -> Tensor:
    """Count the synaptic events [P, 2] of a batch: all, and those before the decision [P, B].

    arrivals: [P or 1, B, N] for each layer, apart from delays of single synapses.
    """
    counts = decision.new_zeros((network.size, 2), dtype=torch.int64)
    end = decision[..., None]
    for number, (weight, arriving) in enumerate(zip(network.weights, arrivals, strict=True)):
        n_neurons, delays = weight.shape[-1], network.delays_of(number).in_solver()
        counts[:, 0] += n_neurons * (arriving < math.inf).sum((-2, -1))
        if delays is None:
            counts[:, 1] += n_neurons * (arriving < end).sum((-2, -1))
        else:
            for to_neuron in delays[:, None].unbind(-1):  # one after the other: all at once need much memory
                counts[:, 1] += (arriving + to_neuron < end).sum((-2, -1))
    return counts
