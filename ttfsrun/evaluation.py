"""What a network does with a set of samples: decisions, spikes, times, and the metrics made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ttfsrun.loss import Loss, sample_losses
from ttfsrun.network import Network

ROWS = 2000  # samples of all networks together that are computed at once, to bound the memory


@dataclass(frozen=True)
class Evaluation:
    """One network on S samples, C classes, one entry per layer of neurons where it says so."""

    loss: float  # mean over the samples
    labels: NDArray[np.int64]  # [S]
    decision: NDArray[np.int64]  # [S]: label neuron of the first spike; -1 where none spiked
    decision_time: NDArray[np.float32]  # [S], tau_syn; inf where none spiked
    spikes: NDArray[np.int64]  # [layers]: spikes in all samples
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
        """Everything as plain numbers for a record; times in tau_syn, of the decided samples."""
        times = self.decision_time[np.isfinite(self.decision_time)].astype(np.float64)
        decided = len(times) > 0
        statistics = {
            "mean": float(times.mean()) if decided else None,
            "median": float(np.median(times)) if decided else None,
            "p95": float(np.quantile(times, 0.95)) if decided else None,
        }
        return {
            "loss": self.loss if math.isfinite(self.loss) else None,  # JSON knows no infinity
            "accuracy": self.accuracy,
            "samples": len(self.labels),
            "silent_fraction": self.silent_fraction,
            "spikes_per_sample": [float(count) for count in self.spikes / len(self.labels)],
            "decision_time": statistics,
            "confusion": self.confusion.tolist(),
        }


@torch.no_grad()
def evaluate(network: Network, times: NDArray[np.float32], labels: NDArray[np.int64], loss: Loss) -> list[Evaluation]:
    """Run all P networks on the same S samples: input times [S, N], labels [S]. One evaluation per network."""
    size, n_classes = network.size, network.weights[-1].shape[-1]
    batch = max(1, ROWS // size)
    losses = np.empty((size, len(labels)))
    first, decided = (np.empty((size, len(labels)), dtype) for dtype in (np.float32, np.int64))
    spikes = np.zeros((size, len(network.weights)), np.int64)
    for start in range(0, len(labels), batch):
        part = slice(start, start + batch)
        layers = network(torch.from_numpy(times[part])[None])
        earliest, winner = layers[-1].min(dim=-1)
        first[:, part] = earliest.numpy()
        decided[:, part] = winner.masked_fill(earliest == math.inf, -1).numpy()
        expected = torch.from_numpy(labels[part]).expand(size, -1)
        losses[:, part] = sample_losses(loss, layers[-1], expected)[0]
        spikes += np.stack([np.count_nonzero(layer.flatten(1).numpy() < np.inf, axis=1) for layer in layers], axis=1)
    neurons = tuple(weight.shape[-1] for weight in network.weights)
    return [
        Evaluation(float(losses[p].mean()), labels, decided[p], first[p], spikes[p], neurons, n_classes)
        for p in range(size)
    ]
