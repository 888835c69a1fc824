"""The state of a training: everything that changes while it runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from ttfsrun.network import Network
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
    weights: list[Tensor]  # per layer [P, N, M]
    moments: Moments
    bumping: Bumping
    best_weights: list[Tensor]
    best_score: Tensor  # [P, 2]: validation accuracy, minus validation loss
    best_epoch: Tensor  # [P]: from 1; 0: none yet
    curves: Tensor  # [epochs, P, splits, metrics] as `curve_metrics` names them; NaN where not yet known
    seconds: float = 0.0  # of training so far

    @classmethod
    def initial(cls, network: Network, epochs: int) -> TrainingState:
        """Return the state before the first epoch."""
        size, weights = network.size, [weight.clone() for weight in network.weights]
        metrics = curve_metrics(len(weights))
        return cls(
            epoch=0,
            weights=weights,
            moments=Moments.zero(weights),
            bumping=Bumping.none(size),
            best_weights=[weight.clone() for weight in weights],
            best_score=torch.full((size, 2), -math.inf, dtype=torch.float64),
            best_epoch=torch.zeros(size, dtype=torch.int64),
            curves=torch.full((epochs, size, len(SPLITS), len(metrics)), math.nan, dtype=torch.float64),
        )

    def to(self, device: torch.device | str) -> TrainingState:
        """Return the state with all tensors on a device; where they are there already, they are shared."""

        def moved(layers: list[Tensor]) -> list[Tensor]:
            return [layer.to(device) for layer in layers]

        moments = Moments(moved(self.moments.first), moved(self.moments.second), self.moments.steps.to(device))
        return TrainingState(
            epoch=self.epoch,
            weights=moved(self.weights),
            moments=moments,
            bumping=Bumping(self.bumping.layer.to(device), self.bumping.value.to(device)),
            best_weights=moved(self.best_weights),
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

        def part(layers: list[Tensor]) -> list[Tensor]:
            return [layer[chosen] for layer in layers]

        moments = Moments(part(self.moments.first), part(self.moments.second), self.moments.steps[chosen])
        return TrainingState(
            epoch=self.epoch,
            weights=part(self.weights),
            moments=moments,
            bumping=Bumping(self.bumping.layer[chosen], self.bumping.value[chosen]),
            best_weights=part(self.best_weights),
            best_score=self.best_score[chosen],
            best_epoch=self.best_epoch[chosen],
            curves=self.curves[:, chosen],
            seconds=self.seconds * len(networks) / len(self.best_epoch),
        )
