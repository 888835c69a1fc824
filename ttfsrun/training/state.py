"""The state of a training: everything that changes while it runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
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

    def to(self, device: torch.device | str) -> TrainingState:
        """Return the state with all tensors on a device; where they are there already, they are shared."""
        return TrainingState(
            epoch=self.epoch,
            learned=self.learned.map(lambda tensor: tensor.to(device)),
            moments=self.moments.map(lambda tensor: tensor.to(device)),
            bumping=Bumping(self.bumping.layer.to(device), self.bumping.value.to(device)),
            best=self.best.map(lambda tensor: tensor.to(device)),
            best_score=self.best_score.to(device),
            best_epoch=self.best_epoch.to(device),
            curves=self.curves.to(device),
            seconds=self.seconds,
        )

    def copy(self) -> TrainingState:
        """Return a copy that further training does not change."""
        return deepcopy(self)

    def select(self, networks: Sequence[int]) -> TrainingState:
        """Return the state of some of the networks, whose training continues as if the others had never existed."""
        chosen = torch.tensor(networks, dtype=torch.int64)
        return TrainingState(
            epoch=self.epoch,
            learned=self.learned.map(lambda tensor: tensor[chosen]),
            moments=self.moments.map(lambda tensor: tensor[chosen]),
            bumping=Bumping(self.bumping.layer[chosen], self.bumping.value[chosen]),
            best=self.best.map(lambda tensor: tensor[chosen]),
            best_score=self.best_score[chosen],
            best_epoch=self.best_epoch[chosen],
            curves=self.curves[:, chosen],
            seconds=self.seconds * len(networks) / len(self.best_epoch),
        )
