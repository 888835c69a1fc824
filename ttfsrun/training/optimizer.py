"""Adam and the schedules of the learning rate, for a population whose networks step or pause independently."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ttfsrun.config.schema import Adam, CosineDecay, StepDecay
from ttfsrun.neuron.device import Array
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.lanes import lanes

EVENTS_PER_WEIGHT = 2  # cost of a weight's step, in synaptic events


@dataclass
class Moments:
    """Adam's running means of the gradient and of its square, for each learned tensor, and the steps taken [P]."""

    first: list[Tensor]
    second: list[Tensor]
    steps: Tensor

    @classmethod
    def zero(cls, learned: Sequence[Tensor]) -> Moments:
        """Return the moments before the first step."""
        first, second = ([torch.zeros_like(tensor) for tensor in learned] for _ in range(2))
        steps = torch.zeros(len(learned[0]), dtype=torch.int64, device=learned[0].device)
        return cls(first, second, steps)

    def map(self, change: Callable[[Tensor], Tensor]) -> Moments:
        """Return the moments with each tensor changed."""
        return Moments([*map(change, self.first)], [*map(change, self.second)], change(self.steps))


class Numbers(NamedTuple):
    """Settings of Adam, each rounded once to the type of the weights."""

    beta1: Any
    rest1: Any  # 1 - beta1
    beta2: Any
    rest2: Any  # 1 - beta2
    epsilon: Any

    @classmethod
    def of(cls, settings: Adam, dtype: Any) -> Numbers:
        """Return the numbers for weights of this numpy type."""
        exact = (settings.beta1, 1 - settings.beta1, settings.beta2, 1 - settings.beta2, settings.epsilon)
        return cls(*map(np.dtype(dtype).type, exact))


class Update(NamedTuple):
    """What the next step of each network is."""

    pace: Array  # [P, 2], of the type of the weights: bias-corrected rate (0: no step), scale of the second moment
    delay_pace: Array  # the same for delays, which have a rate of their own
    layer: Array  # [P]: the layer whose silent neurons' weights are raised, instead of a step; -1: none
    value: Array  # [P]: by how much ...
    factor: Array  # [P], float64: ... times this


@compiled
def set_pace(p, rates, steps, powers, update):
    """Count a step of network p at two learning rates, of weights and delays, if they are not 0; fill in its paces.

    powers [2, steps]: of beta1 and beta2.
    """
    rate, delay_rate = rates
    if rate > 0:
        steps[p] += 1
        update.pace[p, 0] = rate / (1 - powers[0, steps[p]])
        update.pace[p, 1] = 1 / (1 - powers[1, steps[p]])
        update.delay_pace[p, 0] = delay_rate / (1 - powers[0, steps[p]])
        update.delay_pace[p, 1] = update.pace[p, 1]
    else:
        update.pace[p, 0] = 0.0
        update.delay_pace[p, 0] = 0.0


def entries_per_item(n_lanes: int) -> int:
    """Return how many weights an item of `update_weights` has."""
    return 1 if n_lanes == 1 else 4096


_entries_per_item = compiled(entries_per_item)


class LayerState(NamedTuple):
    """What changes in a step of the weights, or of the delays, of one layer; and its gradient."""

    weight: Array  # [P, N M], like the next three
    gradient: Array
    first: Array
    second: Array
    invalid: Array  # [P, 2]: set where a gradient, and where a new weight, is not finite


@compiled
def update_weights(low, high, state, update, silent, numbers):
    """Step, or raise, the weights of one layer in place, for items low to high.

    For delays, the weights are theta, the pace is that of delays, and the number that of no layer.
    silent: the number of the layer, the column of its first neuron, the number of neurons, and for how many samples
    each is silent, [P, columns].
    """
    weight, gradient, first, second, invalid = state
    number, column, n_neurons, counts = silent
    width = _entries_per_item(lanes(weight))
    items = -(-weight.shape[1] // width)
    for item in range(low, high):
        p, start = item // items, (item % items) * width
        until = min(start + width, weight.shape[1])
        rate, scale = update.pace[p]
        bad_gradients = bad_weights = 0
        if rate > 0:
            for i in range(start, until):
                g = gradient[p, i]
                m = numbers.beta1 * first[p, i] + numbers.rest1 * g
                v = numbers.beta2 * second[p, i] + numbers.rest2 * g * g
                w = weight[p, i] - rate * m / (np.sqrt(v * scale) + numbers.epsilon)
                first[p, i], second[p, i], weight[p, i] = m, v, w
                bad_gradients += not abs(g) < np.inf
                bad_weights += not abs(w) < np.inf
        else:
            for i in range(start, until):
                bad_gradients += not abs(gradient[p, i]) < np.inf
            if update.layer[p] == number:
                added = update.value[p] * update.factor[p]
                for i in range(start, until):
                    if counts[p, column + i % n_neurons] > 0:
                        weight[p, i] += added
        if bad_gradients > 0:
            invalid[p, 0] = 1
        if bad_weights > 0:
            invalid[p, 1] = 1


@lru_cache(maxsize=8)
def powers(settings: Adam, steps: int) -> Array:
    """Return beta1^k and beta2^k for k = 0, 1, ..., steps, [2, steps + 1], float64.

    Each is the product of the one before and the base. So they are the same on all machines, which `pow` is not.
    """
    factors = np.repeat([[settings.beta1], [settings.beta2]], steps + 1, axis=1)
    factors[:, 0] = 1.0
    return np.multiply.accumulate(factors, axis=1)


def step_decay(settings: StepDecay, epoch: int, epochs: int) -> float:
    """Return the factor on the learning rate in `epoch` (from 0) of `epochs`."""
    return float(settings.factor ** (epoch // settings.epochs))


def cosine_decay(settings: CosineDecay, epoch: int, epochs: int) -> float:
    """Return the factor in `epoch` (from 0) of `epochs`: Loshchilov and Hutter 2017, one period."""
    return settings.final + (1 - settings.final) * (1 + math.cos(math.pi * epoch / epochs)) / 2


SCHEDULES: dict[type, Callable[[Any, int, int], float]] = {StepDecay: step_decay, CosineDecay: cosine_decay}


def schedule(settings: StepDecay | CosineDecay, epoch: int, epochs: int) -> float:
    """Return the factor on the learning rate in `epoch` (from 0) of `epochs`."""
    return SCHEDULES[type(settings)](settings, epoch, epochs)
