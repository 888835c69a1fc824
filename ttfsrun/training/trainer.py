"""Training of a population: each network with its own data, noise and seeds, all of them in one step.

The remedies of Goeltz et al. 2021 (methods) are here: weight bumping against silent neurons, the limit on weight
gradients (in `first_spike`), noise on the input times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.errors import RunFailed
from ttfsrun.network import Network, build, emulate
from ttfsrun.random import stream
from ttfsrun.training.loss import sample_losses
from ttfsrun.training.optimizer import adam_step, schedule
from ttfsrun.training.responses import Responses, collect_responses
from ttfsrun.training.state import TrainingState, curve_metrics


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
        self.train, self.valid = train, valid
        self.network = build(configs)
        self.substrates = emulate(configs, [config.training.perturbed for config in configs])
        if state is None:
            self.substrates.project(self.network.weights)
            state = TrainingState.initial(self.network, self.settings.epochs)
        self.state = state
        self.rates = torch.tensor([config.training.optimizer.learning_rate for config in configs], dtype=torch.float64)
        self.n_batches = -(-len(train.labels) // self.settings.batch_size)

    def run_epoch(self, after_batch: Callable[[int], None] = lambda batch: None) -> None:
        """Train for one epoch and validate.

        after_batch is called with the number of batches done. Raises Diverged where a loss, a gradient or a weight is
        no longer finite. After any exception the state is undefined: continue from a copy made before the epoch.
        """
        epoch, n_samples = self.state.epoch, len(self.train.labels)
        factors = [schedule(config.training.schedule, epoch, self.settings.epochs) for config in self.configs]
        rates = self.rates * torch.tensor(factors, dtype=torch.float64)
        totals = np.zeros((self.network.size, len(curve_metrics(len(self.state.weights)))))
        for batch, (times, labels) in enumerate(self._batches(epoch), 1):
            totals += self._step(times, labels, rates, batch) * labels.shape[1]
            after_batch(batch)
        self.state.curves[epoch, :, 0] = torch.from_numpy(totals / n_samples)
        valid = partial(self.substrates.during, f"validation {epoch}", age=epoch + 1)
        size = None if self.substrates.ideal else self.settings.batch_size
        results = collect_responses(self.last(), self.valid, self.settings.loss, valid, size)
        for p, result in enumerate(results):
            values = [result.loss, result.accuracy, *result.silent_fraction]
            self.state.curves[epoch, p, 1] = torch.tensor(values, dtype=torch.float64)
            self._update_best(p, result)
        self.state.epoch += 1

    def best(self) -> Network:
        """Return the networks as of their best validation accuracy."""
        return self.network.with_weights(self.state.best_weights)

    def last(self) -> Network:
        """Return the networks after the last epoch."""
        return self.network.with_weights(self.state.weights)

    def _batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield input times [P, B, N] and labels [P, B], shuffled and noisy from each network's own streams."""
        n_samples, size = len(self.train.labels), self.settings.batch_size
        sources = [(config.seed.data, config.training.input_noise) for config in self.configs]
        distinct = sorted(set(sources))
        member = [distinct.index(source) for source in sources]
        orders = [stream(seed, "order", step=epoch).permutation(n_samples) for seed, _ in distinct]
        noises = [stream(seed, "input noise", step=epoch) for seed, _ in distinct]
        for start in range(0, n_samples, size):
            chosen = [order[start : start + size] for order in orders]
            times = [
                _noisy(self.train.times[index], std, noise)
                for index, noise, (_, std) in zip(chosen, noises, distinct, strict=True)
            ]
            labels = [self.train.labels[index] for index in chosen]
            yield (
                torch.from_numpy(np.stack([times[m] for m in member])),
                torch.from_numpy(np.stack([labels[m] for m in member])),
            )

    def _step(self, times: Tensor, labels: Tensor, rates: Tensor, batch: int) -> NDArray[np.float64]:
        """Train on one batch. Returns [P, 2 + layers]: loss, accuracy, silent fraction of each layer."""
        weights = [weight.requires_grad_() for weight in self.state.weights]
        network, limit = self.network.with_weights(weights), self.settings.gradient_limit or math.inf
        step = self.state.epoch * self.n_batches + batch - 1
        operation = self.substrates.during("training", step, writing=step, age=self.state.epoch)
        layers = network(times, limit, operation)
        losses, gradient = sample_losses(self.settings.loss, layers[-1], labels)
        self._require_finite(losses.sum(axis=1), "loss", batch)
        self._require_finite(gradient.sum((1, 2)).numpy(), "gradient of the loss", batch)
        layers[-1].backward(gradient / labels.shape[1])
        gradients = [_take_gradient(weight) for weight in weights]
        silent = [layer.detach() == math.inf for layer in layers]
        fractions = _fractions(silent)
        bumped = self._bump([operation.silent_by_itself(layer, mask) for layer, mask in enumerate(silent)])
        for number, by_weight in enumerate(gradients, 1):
            self._require_finite(by_weight.abs().amax((1, 2)).numpy(), f"gradient of layer {number}", batch)
        adam_step(weights, gradients, self.state.moments, rates.masked_fill(bumped, 0), self.settings.optimizer)
        self.substrates.project(weights)
        for number, weight in enumerate(weights, 1):
            self._require_finite(weight.abs().amax((1, 2)).numpy(), f"weight of layer {number}", batch)
        earliest, winner = layers[-1].detach().min(dim=-1)
        correct = (winner == labels) & (earliest < math.inf)
        accuracy = correct.sum(dim=1).numpy() / labels.shape[1]
        return np.column_stack((losses.mean(axis=1), accuracy, fractions))

    def _bump(self, silent: list[Tensor]) -> Tensor:
        """Raise the weights of silent neurons in the first layer that has too many; return the bumped networks [P].

        silent: masks [P, B, M] per layer; a spike that the substrate lost does not count: no weight brings it back.
        """
        settings, state = self.settings.bumping, self.state.bumping
        too_many = torch.from_numpy(_fractions(silent)) > torch.tensor(settings.silent_fraction, dtype=torch.float64)
        bumped = too_many.any(dim=1)
        state.layer[~bumped] = -1
        for p in bumped.nonzero()[:, 0].tolist():
            layer = int(too_many[p].to(torch.uint8).argmax())
            again = int(state.layer[p]) == layer
            state.value[p] = 2 * state.value[p] if again else settings.value
            state.layer[p] = layer
            neurons = silent[layer][p].any(dim=0)
            self.state.weights[layer][p][:, neurons] += float(state.value[p])
        return bumped

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

    def _update_best(self, p: int, result: Responses) -> None:
        score = (result.accuracy, -result.loss)
        if score > tuple(self.state.best_score[p].tolist()):
            self.state.best_score[p] = torch.tensor(score, dtype=torch.float64)
            self.state.best_epoch[p] = self.state.epoch + 1
            for best, weight in zip(self.state.best_weights, self.state.weights, strict=True):
                best[p] = weight[p]


def _noisy(times: NDArray[np.float32], std: float, noise: np.random.Generator) -> NDArray[np.float32]:
    """Return times with normal noise; negative times are reflected."""
    if std == 0:
        return times
    return np.abs(times + np.float32(std) * noise.standard_normal(times.shape, np.float32))


def _fractions(masks: Sequence[Tensor]) -> NDArray[np.float64]:
    """Return the fraction [P, layers] of each mask [P, B, M] that is true."""
    return np.stack([np.count_nonzero(mask.flatten(1).numpy(), axis=1) / mask[0].numel() for mask in masks], axis=1)


def _take_gradient(weight: Tensor) -> Tensor:
    """Return the gradient of a weight, and make the weight an ordinary tensor again."""
    gradient = weight.grad
    assert gradient is not None
    weight.requires_grad_(False).grad = None
    return gradient
