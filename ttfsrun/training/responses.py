"""Responses of networks to samples: decisions, their times, spikes and losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.data.samples import Samples
from ttfsrun.network import Network
from ttfsrun.substrate.emulation import IDEAL, Operation
from ttfsrun.training.loss import Loss, sample_losses

ROWS = 2000  # samples of all networks together that are computed at once, to bound the memory


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


@torch.no_grad()
def collect_responses(
    network: Network,
    samples: Samples,
    loss: Loss,
    operation: OperationOfBatch = lambda step: IDEAL,
    batch_size: int | None = None,
) -> list[Responses]:
    """Run all P networks on the same samples; return the responses of each.

    batch_size: samples per batch of the substrates' noise; None where nothing is noisy and it makes no difference.
    """
    times, labels = samples.times, samples.labels
    size, n_classes = network.size, network.weights[-1].shape[-1]
    batch = batch_size or max(1, ROWS // size)
    losses = np.empty((size, len(labels)))
    first, decided = (np.empty((size, len(labels)), dtype) for dtype in (np.float32, np.int64))
    spikes = np.zeros((size, len(network.weights)), np.int64)
    events = np.zeros((size, 2), np.int64)
    for step, start in enumerate(range(0, len(labels), batch)):
        part = slice(start, start + batch)
        inputs = torch.from_numpy(times[part])[None]
        layers = network(inputs, operation=operation(step))
        earliest, winner = layers[-1].min(dim=-1)
        first[:, part] = earliest.numpy()
        decided[:, part] = winner.masked_fill(earliest == math.inf, -1).numpy()
        expected = torch.from_numpy(labels[part]).expand(size, -1)
        losses[:, part] = sample_losses(loss, layers[-1], expected)[0]
        events += _count_events(network, network.arrivals(inputs, layers), earliest)
        spikes += np.stack([np.count_nonzero(layer.flatten(1).numpy() < np.inf, axis=1) for layer in layers], axis=1)
    neurons = tuple(weight.shape[-1] for weight in network.weights)
    return [
        Responses(float(losses[p].mean()), labels, decided[p], first[p], spikes[p], events[p], neurons, n_classes)
        for p in range(size)
    ]


def _count_events(network: Network, arrivals: Sequence[Tensor], decision: Tensor) -> NDArray[np.int64]:
    """Count the synaptic events [P, 2] of a batch: all, and those before the decision [P, B].

    arrivals: [P or 1, B, N] for each layer.
    """
    counts = np.zeros((network.size, 2), np.int64)
    for weight, arriving in zip(network.weights, arrivals, strict=True):
        for column, before in enumerate((arriving < math.inf, arriving < decision[..., None])):
            counts[:, column] += weight.shape[-1] * before.sum((-2, -1)).numpy()
    return counts
