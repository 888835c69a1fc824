"""What a network does with a set of samples: decisions, spikes, times, and the metrics made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.evaluation.energy import MODELS, TAU_SYN_US, WINDOW, Activity
from ttfsrun.network import Network
from ttfsrun.substrate.emulation import IDEAL, Operation
from ttfsrun.training.loss import Loss, sample_losses

ROWS = 2000  # samples of all networks together that are computed at once, to bound the memory


@dataclass(frozen=True)
class Evaluation:
    """One network on S samples, C classes, one entry per layer of neurons where it says so."""

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
        """Share of the samples whose decision is right; no output spike is a wrong answer."""
        return float((self.decision == self.labels).mean())

    @property
    def silent_fraction(self) -> list[float]:
        """Share of the pairs of neuron and sample without a spike, per layer."""
        possible = np.array(self.neurons) * len(self.labels)
        return [float(share) for share in 1 - self.spikes / possible]

    @property
    def confusion(self) -> NDArray[np.int64]:
        """[C, C + 1]: samples by true class and decision; the last column is no decision."""
        counts = np.zeros((self.n_classes, self.n_classes + 1), np.int64)
        np.add.at(counts, (self.labels, self.decision), 1)
        return counts

    def metrics(self) -> dict[str, Any]:
        """Everything as plain numbers for a record.

        Decision times are those of the decided samples, in tau_syn, and in us on BrainScaleS-2. Synaptic events are per
        sample; without a decision, all of them are before it. Energies are modelled, each by a model of its own.
        """
        statistics = _statistics(self.decision_time[np.isfinite(self.decision_time)].astype(np.float64))
        events, early = (float(count) for count in self.events / len(self.labels))
        until_decision = float(np.minimum(self.decision_time, WINDOW).mean(dtype=np.float64))
        activity = Activity(until_decision, events)
        return {
            "loss": self.loss if math.isfinite(self.loss) else None,  # JSON knows no infinity
            "accuracy": self.accuracy,
            "samples": len(self.labels),
            "silent_fraction": self.silent_fraction,
            "spikes_per_sample": [float(count) for count in self.spikes / len(self.labels)],
            "decision_time": statistics,
            "decision_time_us": {name: time and time * TAU_SYN_US for name, time in statistics.items()},
            "synaptic_events": {"all": events, "before_decision": early},
            "energy_uj": {name: model(activity) for name, model in MODELS.items()},
            "confusion": self.confusion.tolist(),
        }


def pooled(trials: Sequence[Evaluation]) -> Evaluation:
    """Several evaluations of one network on the same samples as one with all of them."""
    first = trials[0]
    return Evaluation(
        loss=float(np.mean([trial.loss for trial in trials])),
        labels=np.concatenate([trial.labels for trial in trials]),
        decision=np.concatenate([trial.decision for trial in trials]),
        decision_time=np.concatenate([trial.decision_time for trial in trials]),
        spikes=np.sum([trial.spikes for trial in trials], axis=0),
        events=np.sum([trial.events for trial in trials], axis=0),
        neurons=first.neurons,
        n_classes=first.n_classes,
    )


Substrates = Callable[[int], Operation]  # of a batch of samples, by its number


@torch.no_grad()
def evaluate(
    network: Network,
    times: NDArray[np.float32],
    labels: NDArray[np.int64],
    loss: Loss,
    substrates: Substrates = lambda step: IDEAL,
    batch_size: int | None = None,
) -> list[Evaluation]:
    """Run all P networks on the same S samples: input times [S, N], labels [S]. One evaluation per network.

    batch_size: of the batches that chance knows of; None where there is none, then it changes no number.
    """
    size, n_classes = network.size, network.weights[-1].shape[-1]
    batch = batch_size or max(1, ROWS // size)
    losses = np.empty((size, len(labels)))
    first, decided = (np.empty((size, len(labels)), dtype) for dtype in (np.float32, np.int64))
    spikes = np.zeros((size, len(network.weights)), np.int64)
    events = np.zeros((size, 2), np.int64)
    for step, start in enumerate(range(0, len(labels), batch)):
        part = slice(start, start + batch)
        inputs = torch.from_numpy(times[part])[None]
        layers = network(inputs, operation=substrates(step))
        earliest, winner = layers[-1].min(dim=-1)
        first[:, part] = earliest.numpy()
        decided[:, part] = winner.masked_fill(earliest == math.inf, -1).numpy()
        expected = torch.from_numpy(labels[part]).expand(size, -1)
        losses[:, part] = sample_losses(loss, layers[-1], expected)[0]
        events += _events(network, network.arrivals(inputs, layers), earliest)
        spikes += np.stack([np.count_nonzero(layer.flatten(1).numpy() < np.inf, axis=1) for layer in layers], axis=1)
    neurons = tuple(weight.shape[-1] for weight in network.weights)
    return [
        Evaluation(float(losses[p].mean()), labels, decided[p], first[p], spikes[p], events[p], neurons, n_classes)
        for p in range(size)
    ]


def _events(network: Network, arrivals: Sequence[Tensor], decision: Tensor) -> NDArray[np.int64]:
    """Synaptic events [P, 2] of a batch: all, and those before the decision [P, B]. arrivals: [P or 1, B, N] each."""
    counts = np.zeros((network.size, 2), np.int64)
    for weight, arriving in zip(network.weights, arrivals, strict=True):
        for column, before in enumerate((arriving < math.inf, arriving < decision[..., None])):
            counts[:, column] += weight.shape[-1] * before.sum((-2, -1)).numpy()
    return counts


def _statistics(times: NDArray[np.float64]) -> dict[str, float | None]:
    """Of no times, None."""
    if not len(times):
        return {"mean": None, "median": None, "p95": None}
    return {"mean": float(times.mean()), "median": float(np.median(times)), "p95": float(np.quantile(times, 0.95))}
