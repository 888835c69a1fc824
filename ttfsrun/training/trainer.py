"""Training of a population: each network with its own data, noise and seeds, all of them in one step.

The remedies of Goeltz et al. 2021 (methods) are here: weight bumping against silent neurons, the limit on weight
gradients (in `first_spike`), noise on the input times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.errors import RunFailed
from ttfsrun.network import Network, build, emulate
from ttfsrun.substrate.emulation import IDEAL, Operation
from ttfsrun.training.batches import Batches
from ttfsrun.training.bumping import bump, count_silent
from ttfsrun.training.loss import add_up, judge
from ttfsrun.training.optimizer import adam_step, schedule
from ttfsrun.training.responses import OperationOfBatch, score
from ttfsrun.training.state import TrainingState, curve_metrics

Array = NDArray[Any]


class Diverged(RunFailed):
    """A loss, a gradient or a weight of one network of the population is no longer finite."""

    def __init__(self, text: str, network: int) -> None:
        super().__init__(text)
        self.network = network


class Trainer:
    """Training of networks whose configurations differ only in settings that each network may have of its own."""

    def __init__(
        self, configs: Sequence[Config], train: Samples, valid: Samples, state: TrainingState | None = None
    ) -> None:
        self.configs = list(configs)
        self.settings = configs[0].training
        self.batches = Batches(configs, train, self.settings.batch_size)
        self.n_samples, self.valid = len(train.labels), valid
        self.network = build(configs)
        self.substrates = emulate(configs, [config.training.perturbed for config in configs])
        if state is None:
            self.substrates.project(self.network.weights)
            state = TrainingState.initial(self.network, self.settings.epochs)
        self.state = state
        self.rates = np.array([config.training.optimizer.learning_rate for config in configs], np.float64)

    def run_epoch(self, after_batch: Callable[[int], None] = lambda batch: None) -> None:
        """Train for one epoch and validate.

        after_batch is called with the number of batches done. Raises Diverged where a loss, a gradient or a weight is
        no longer finite. After any exception the state is undefined: continue from a copy made before the epoch.
        """
        epoch = self.state.epoch
        factors = [schedule(config.training.schedule, epoch, self.settings.epochs) for config in self.configs]
        rates = self.rates * np.array(factors)
        network = self.last()
        totals = np.zeros((network.size, len(curve_metrics(len(network.weights)))))
        for batch, (times, labels) in enumerate(self.batches.of_epoch(epoch), 1):
            self._step(network, times, labels, rates, totals, batch)
            after_batch(batch)
        scores = score(network, self.valid, self.settings.loss, *self._validation(epoch))
        self.state.curves[epoch] = torch.from_numpy(np.stack((totals / self.n_samples, scores), axis=1))
        for p, (loss, accuracy, *_) in enumerate(scores.tolist()):
            self._update_best(p, (accuracy, -loss))
        self.state.epoch += 1

    @property
    def n_batches(self) -> int:
        """Number of batches of an epoch."""
        return len(self.batches)

    def best(self) -> Network:
        """Return the networks as of their best validation accuracy."""
        return self.network.with_weights(self.state.best_weights)

    def last(self) -> Network:
        """Return the networks after the last epoch."""
        return self.network.with_weights(self.state.weights)

    def _validation(self, epoch: int) -> tuple[OperationOfBatch, int | None]:
        """Return the substrates during each batch of the validation after an epoch, and the size of these batches."""
        if self.substrates.ideal:
            return lambda batch: IDEAL, None
        size = self.settings.batch_size
        first = epoch * math.ceil(len(self.valid.labels) / size)

        def during(batch: int) -> Operation:
            return self.substrates.during("validation", first + batch, writing=epoch, age=epoch + 1)

        return during, size

    def _step(self, network: Network, times: Tensor, labels: Array, rates: Array, totals: Array, batch: int) -> None:
        """Train on one batch. Adds to totals [P, 2 + layers]: loss, accuracy, silent fractions, times the samples."""
        step = self.state.epoch * self.n_batches + batch - 1
        operation = self.substrates.during("training", step, writing=step, age=self.state.epoch)
        done = network.run(times, operation)
        judgement = judge(self.settings.loss, done.spikes[-1].numpy(), labels)
        self._require_finite(judgement.losses.sum(axis=1), "loss", batch)
        self._require_finite(judgement.gradient.sum((1, 2), np.float64), "gradient of the loss", batch)
        by_labels = torch.from_numpy(judgement.gradient / np.float32(labels.shape[1]))
        by_spikes = [*[None] * (len(network.weights) - 1), by_labels]
        gradients = done.gradients(by_spikes, self.settings.gradient_limit or math.inf)
        silent = [layer == math.inf for layer in done.spikes]
        counted = [count_silent(mask.numpy()) for mask in silent]
        add_up(judgement, labels, totals)
        totals[:, 2:] += labels.shape[1] * np.stack([fraction for fraction, _ in counted], axis=1)
        if operation.members:  # a spike that the substrate lost does not count: no weight brings it back
            by_itself = [operation.silent_by_itself(layer, mask) for layer, mask in enumerate(silent)]
            counted = [count_silent(mask.numpy()) for mask in by_itself]
        bumped = bump(network.weights, counted, self.settings.bumping, self.state.bumping)
        finite = adam_step(
            network.weights, gradients, self.state.moments, np.where(bumped, 0.0, rates), self.settings.optimizer
        )
        for number in (n for n, is_finite in enumerate(finite) if not is_finite):
            for what, layers in (("gradient", gradients), ("weight", network.weights)):
                self._require_finite(layers[number].abs().amax((1, 2)).numpy(), f"{what} of layer {number + 1}", batch)
        self.substrates.project(network.weights)

    def _require_finite(self, values: NDArray[Any], what: str, batch: int) -> None:
        not_finite = np.flatnonzero(~np.isfinite(values))
        if len(not_finite):
            network = int(not_finite[0])
            seed = self.configs[network].seed.init
            raise Diverged(
                f"the {what} is {values[network]} in epoch {self.state.epoch + 1}, batch {batch} "
                f"(network with seed.init={seed}): lower training.optimizer.learning_rate or "
                "training.gradient_limit, or training.bumping.value if neurons stay silent in spite of bumping",
                network,
            )

    def _update_best(self, p: int, reached: tuple[float, float]) -> None:
        if reached > tuple(self.state.best_score[p].tolist()):
            self.state.best_score[p] = torch.tensor(reached, dtype=torch.float64)
            self.state.best_epoch[p] = self.state.epoch + 1
            for best, weight in zip(self.state.best_weights, self.state.weights, strict=True):
                best[p] = weight[p]
