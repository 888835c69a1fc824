"""The state of a training: everything that changes while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ttfsrun.network import Learned, Network
from ttfsrun.training.bumping import Bumping
from ttfsrun.training.optimizer import Moments

SPLITS = ("train", "valid")  # of the learning curves


def curve_metrics(n_layers: int) -> list[str]:
    """Return the names of the metrics that are recorded for each split after every epoch."""
    return ["loss", "accuracy", *(f"silent_fraction_{layer}" for layer in range(1, n_layers + 1))]


@dataclass
class TrainingState:
    """The state of a population's training; enough to continue it to the same bits."""

    epoch: int
    learned: Learned
    moments: Moments
    bumping: Bumping
    best: Learned  # with the best validation
    best_score: Tensor  # [P, 2]: validation accuracy, minus validation loss
    best_epoch: Tensor  # [P]: from 1; 0: none yet
    curves: Tensor  # [epochs, P, splits, metrics] as `curve_metrics` names them; NaN where not yet known
    seconds: float = 0.0  # of training so far

    @classmethod
    def initial(cls, network: Network, epochs: int) -> TrainingState:
        """Return the state before the first epoch."""
        size, learned = network.size, network.learned.map(torch.clone)
        metrics = curve_metrics(len(learned.weights))
        return cls(
            epoch=0,
            learned=learned,
            moments=Moments.zero(learned.tensors),
            bumping=Bumping.none(size),
            best=learned.map(torch.clone),
            best_score=torch.full((size, 2), -math.inf, dtype=torch.float64),
            best_epoch=torch.zeros(size, dtype=torch.int64),
            curves=torch.full((epochs, size, len(SPLITS), len(metrics)), math.nan, dtype=torch.float64),
        )

    def map(self, change: Callable[[Tensor], Tensor]) -> TrainingState:
        """Return the state with each tensor changed."""
        return TrainingState(
            epoch=self.epoch,
            learned=self.learned.map(change),
            moments=self.moments.map(change),
            bumping=Bumping(change(self.bumping.layer), change(self.bumping.value)),
            best=self.best.map(change),
            best_score=change(self.best_score),
            best_epoch=change(self.best_epoch),
            curves=change(self.curves),
            seconds=self.seconds,
        )

    def to(self, device: torch.device | str) -> TrainingState:
        """Return the state with all tensors on a device; where they are there already, they are shared."""
        return self.map(lambda tensor: tensor.to(device))

    def copy(self) -> TrainingState:
        """Return a copy that further training does not change."""
        return self.map(torch.clone)

    def select(self, networks: Sequence[int]) -> TrainingState:
        """Return the state of some of the networks, whose training continues as if the others had never existed."""
        chosen = torch.tensor(networks, dtype=torch.int64)
        selected = self.map(lambda tensor: tensor[:, chosen] if tensor is self.curves else tensor[chosen])
        selected.seconds *= len(networks) / len(self.best_epoch)
        return selected
