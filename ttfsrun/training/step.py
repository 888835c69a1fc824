"""One step of the training of a population: a fixed sequence of kernels, without autograd.

Every network follows its own gradient, or has weights of silent neurons raised (`bumping`). What must be told at the
end of an epoch, or when a network diverges, is added up on the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.config.schema import TrainingSettings
from ttfsrun.network import Network
from ttfsrun.neuron.device import Array, arrays_of, device_of
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.substrate.emulation import Operation
from ttfsrun.training.batches import TrainingBatch
from ttfsrun.training.bumping import BumpingLimits, choose_layer
from ttfsrun.training.loss import Judgement, judge
from ttfsrun.training.optimizer import (
    EVENTS_PER_WEIGHT,
    LayerState,
    Numbers,
    Update,
    entries_per_item,
    powers,
    set_pace,
    update_weights,
)
from ttfsrun.training.state import TrainingState
from ttfsrun.training.sums import EVENTS_PER_SAMPLE, Silence, add_batch, count_layers


class Rules(NamedTuple):
    """What decides about the next step."""

    rates: Array  # [P, 2], float64: learning rates of weights and delays
    steps: Array  # [P]: taken so far
    powers: Array  # of the decay rates of Adam, see `optimizer.powers`
    limits: BumpingLimits
    update: Update  # the result


class Sums(NamedTuple):
    """What is added up in the course of an epoch."""

    totals: Array  # [P, 2 + layers], float64: losses, right decisions, and silent pairs of neuron and sample
    batches: Array  # [P]
    failed: Array  # [P]: 0, or CODES times the first batch with a number that is not finite, plus its code
    invalid: Array  # [P, learned, 2]: whether the last step made a gradient, or a value, that is not finite
    fractions: Array  # [P, layers]: scratch space


CODES = 1024
LOSS, LOSS_GRADIENT, LEARNED = 1, 2, 3  # codes; from LEARNED on: gradient and value of the first learned tensor, ...


@compiled
def note_failures(p, sums):
    """Note the gradients and values of network p's last step that are not finite, unless a failure is noted before."""
    for number in range(sums.invalid.shape[1]):
        for what in range(2):
            if sums.invalid[p, number, what] and sums.failed[p] == 0:
                sums.failed[p] = CODES * sums.batches[p] + LEARNED + 2 * number + what


@compiled
def settle(low, high, sums):
    """Note the failures of the last step of networks low to high."""
    for p in range(low, high):
        note_failures(p, sums)


@compiled
def decide(low, high, judged, silence, rules, sums):
    """Add a batch to the sums, and set the next step, of networks low to high.

    judged: (judgement, labels). silence: that of all spikes, and that without spikes which the substrate lost: no
    weight brings these back.
    """
    (judgement, labels), update = judged, rules.update
    n_samples = labels.shape[1]
    for p in range(low, high):
        note_failures(p, sums)
        sums.batches[p] += 1
        slope = 0.0
        add_batch(p, judgement, labels, silence[0], sums.totals[p])
        for b in range(n_samples):
            slope += judgement.slope[p, b]
        if sums.failed[p] == 0 and not (slope < np.inf and sums.totals[p, 0] < np.inf):
            sums.failed[p] = CODES * sums.batches[p] + (LOSS_GRADIENT if sums.totals[p, 0] < np.inf else LOSS)
        for number in range(sums.fractions.shape[1]):
            possible = n_samples * (silence[1].edges[number + 1] - silence[1].edges[number])
            sums.fractions[p, number] = silence[1].pairs[p, number] / possible
        choose_layer(p, sums.fractions[p], rules.limits, update.layer, update.value)
        if sums.failed[p] != 0:
            update.layer[p] = -1
        stays = update.layer[p] >= 0 or sums.failed[p] != 0
        rates = (0.0, 0.0) if stays else (rules.rates[p, 0], rules.rates[p, 1])
        set_pace(p, rates, rules.steps, rules.powers, update)


class NotFinite(NamedTuple):
    """The first number of a network in an epoch that was not finite."""

    network: int
    batch: int
    what: str


class Step:
    """The steps of the training of a population, one batch after the other."""

    def __init__(self, settings: TrainingSettings, state: TrainingState, n_steps: int) -> None:
        """n_steps: of the whole training."""
        self.settings, self.state = settings, state
        size, n_layers = len(state.best_epoch), len(state.learned.weights)
        sizes = [weight.shape[-1] for weight in state.learned.weights]
        self._columns = np.cumsum([0, *sizes]).tolist()
        self._limits = BumpingLimits(
            self._constant(np.array(settings.bumping.silent_fraction, np.float64)), float(settings.bumping.value)
        )
        self._powers = self._constant(powers(settings.optimizer, n_steps))
        self._numbers = Numbers.of(settings.optimizer, np.float32)
        self._counts: dict[int, Tensor] = {}
        self._pace, self._delay_pace = (self._zeros(torch.float32, size, 2) for _ in range(2))
        self._factors = self._zeros(torch.float64, size)
        self.sums = Sums(
            self._zeros(torch.float64, size, 2 + n_layers),
            self._zeros(torch.int64, size),
            self._zeros(torch.int64, size),
            self._zeros(torch.uint8, size, len(state.learned.tensors), 2),
            self._zeros(torch.float64, size, n_layers),
        )
        self._rates = self._zeros(torch.float64, size, 2)
        paces, bumping = [self._pace, self._delay_pace], state.bumping
        update = Update(*arrays_of([*paces, bumping.layer, bumping.value, self._factors]))
        rates, steps, table, allowed = arrays_of([self._rates, state.moments.steps, self._powers, self._limits.allowed])
        self._rules = Rules(rates, steps, table, BumpingLimits(allowed, self._limits.first), update)
        self._sum_arrays = Sums(*arrays_of(self.sums))
        self._learned = [self._arrays(*each) for each in enumerate(state.learned.tensors)]

    def _arrays(self, number: int, values: Tensor) -> tuple[Array, ...]:
        """Return the arrays of a learned tensor's `LayerState` but for the gradient."""
        moments, invalid = self.state.moments, self.sums.invalid[:, number]
        tensors = values, moments.first[number], moments.second[number]
        return *arrays_of([tensor.view(len(tensor), -1) for tensor in tensors]), device_of(invalid).array(invalid)

    def _constant(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self.state.best_epoch.device)

    def _zeros(self, dtype: torch.dtype, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=dtype, device=self.state.best_epoch.device)

    def begin(self, rates: Tensor, factors: Tensor) -> None:
        """Begin an epoch: all sums are zero.

        rates [P, 2], float64: learning rates of weights and delays. factors [P], float64: on what bumping adds.
        """
        self._rates.copy_(rates)
        self._factors.copy_(factors)
        for tensor in self.sums:
            tensor.zero_()

    def take(self, network: Network, operation: Operation, batch: TrainingBatch) -> None:
        """Train the networks, in place, on one batch."""
        done = network.run(batch.times, operation)
        judgement = judge(self.settings.loss, done.spikes[-1], batch.labels)
        by_labels = judgement.gradient / self._samples_of(batch)
        by_spikes = [*[None] * (len(done.spikes) - 1), by_labels]
        gradients = done.gradients(by_spikes, self.settings.gradient_limit or math.inf)
        silence = by_itself = count_layers(done.spikes)
        if operation.substrates.loses_spikes:
            by_itself = count_layers([operation.silent_by_itself(*layer) for layer in enumerate(done.spikes)])
        self._decide(judgement, batch.labels, (silence, by_itself))
        for number, gradient in enumerate(gradients.tensors):
            self._update(number, gradient, by_itself)

    def _samples_of(self, batch: TrainingBatch) -> Tensor:
        """Return the number of samples of a batch, [1], float32."""
        n_samples = batch.labels.shape[1]
        if n_samples not in self._counts:
            self._counts[n_samples] = self._constant(np.array([n_samples], np.float32))
        return self._counts[n_samples]

    def _decide(self, judgement: Judgement, labels: Tensor, silences: Sequence[Silence]) -> None:
        device = device_of(labels)
        judged = Judgement(*arrays_of(judgement)), device.array(labels)
        silence = tuple(Silence(*arrays_of(each)) for each in silences)
        work = EVENTS_PER_SAMPLE * labels.numel()
        device.launch(decide, len(labels), work, judged, silence, self._rules, self._sum_arrays)

    def _update(self, number: int, gradient: Tensor, silence: Silence) -> None:
        """Change learned tensor `number` by its gradient; or the weights of a layer by bumping, then delays rest."""
        device, (values, first, second, invalid) = device_of(gradient), self._learned[number]
        layer = LayerState(values, device.array(gradient.view(len(gradient), -1)), first, second, invalid)
        n_layers, update = len(self._columns) - 1, self._rules.update
        if number >= n_layers:
            update = update._replace(pace=update.delay_pace)
        silent = (number, self._columns[min(number, n_layers)], gradient.shape[-1], device.array(silence.counts))
        items = len(gradient) * -(-values.shape[1] // entries_per_item(device.lanes))
        work = EVENTS_PER_WEIGHT * gradient.numel()
        device.launch(update_weights, items, work, layer, update, silent, self._numbers)

    def failure(self) -> NotFinite | None:
        """Return the network of which a number was not finite in the earliest batch of this epoch; None: there is none.

        Of several in one batch, it is the first of the population.
        """
        if not (bool(self.sums.failed.any()) or bool(self.sums.invalid.any())):
            return None
        device = device_of(self.sums.failed)
        size = len(self.sums.failed)
        device.launch(settle, size, size, self._sum_arrays)
        failed = self.sums.failed.tolist()
        network = min((p for p, code in enumerate(failed) if code), key=lambda p: failed[p] // CODES)
        batch, code = divmod(failed[network], CODES)
        if code < LEARNED:
            return NotFinite(network, batch, "loss" if code == LOSS else "gradient of the loss")
        number, what = divmod(code - LEARNED, 2)
        learned = self.state.learned
        if number < len(learned.weights):
            return NotFinite(network, batch, f"{('gradient', 'weight')[what]} of layer {number + 1}")
        layer = list(learned.thetas)[number - len(learned.weights)]
        return NotFinite(network, batch, f"{('gradient by the delays', 'delay')[what]} of layer {layer + 1}")
