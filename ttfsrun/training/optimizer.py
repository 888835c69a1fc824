"""Adam and the schedules of the learning rate, for a population whose networks step or pause independently."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.config.schema import Adam, CosineDecay, StepDecay
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.parallel import for_ranges

Array = NDArray[Any]


@dataclass
class Moments:
    """Adam's running means of the gradient and of its square, shaped like the weights, and the steps taken [P]."""

    first: list[Tensor]
    second: list[Tensor]
    steps: Tensor

    @classmethod
    def zero(cls, weights: Sequence[Tensor]) -> Moments:
        """Return the moments before the first step."""
        first, second = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
        return cls(first, second, torch.zeros(len(weights[0]), dtype=torch.int64))


class _Numbers(NamedTuple):
    """Settings of Adam, each rounded once to the type of the weights."""

    beta1: Any
    rest1: Any  # 1 - beta1
    beta2: Any
    rest2: Any  # 1 - beta2
    epsilon: Any


@compiled
def _step(
    low: int, high: int, tensors: tuple[Array, Array, Array, Array], pace: Array, numbers: _Numbers, invalid: Array
) -> None:
    """Update one layer of networks low to high in place.

    tensors: weight, gradient, first and second moment, [P, N M] each. pace [P, 2]: bias-corrected rate (0: no step),
    scale of the second moment. invalid [P]: set where a gradient or a new weight is not finite.
    """
    weight, gradient, first, second = tensors
    for p in range(low, high):
        rate, scale = pace[p]
        count = 0
        if rate > 0:
            for i in range(weight.shape[1]):
                g = gradient[p, i]
                m = numbers.beta1 * first[p, i] + numbers.rest1 * g
                v = numbers.beta2 * second[p, i] + numbers.rest2 * g * g
                w = weight[p, i] - rate * m / (np.sqrt(v * scale) + numbers.epsilon)
                first[p, i], second[p, i], weight[p, i] = m, v, w
                count += not (abs(g) < np.inf and abs(w) < np.inf)
        else:
            for i in range(weight.shape[1]):
                count += not abs(gradient[p, i]) < np.inf
        invalid[p] = count > 0


def powers(base: float, largest: int) -> NDArray[np.float64]:
    """Return base^k for k = 0, 1, ... up to `largest` at least, each the product of the one before and the base.

    So they are the same on all machines, which `pow` is not.
    """
    return _powers(base, 1 << max(10, largest.bit_length()))


@lru_cache(maxsize=8)
def _powers(base: float, count: int) -> NDArray[np.float64]:
    factors = np.full(count, base)
    factors[0] = 1.0
    return np.multiply.accumulate(factors)


def adam_step(
    weights: Sequence[Tensor], gradients: Sequence[Tensor], moments: Moments, rates: Array, settings: Adam
) -> list[bool]:
    """Update weights and moments in place by one step of Adam (Kingma and Ba 2015, algorithm 1).

    weights, gradients: per layer [P, N, M], contiguous. rates: learning rate per network [P]; where it is 0, the
    network and its moments do not change. Returns for each layer whether all gradients and new weights are finite.
    """
    steps = moments.steps.numpy()
    steps += rates > 0
    first, second = (powers(beta, int(steps.max()))[np.maximum(steps, 1)] for beta in (settings.beta1, settings.beta2))
    corrected = np.where(rates > 0, rates / (1 - first), 0)
    dtype = weights[0].numpy().dtype.type
    exact = (settings.beta1, 1 - settings.beta1, settings.beta2, 1 - settings.beta2, settings.epsilon)
    numbers = _Numbers(*map(dtype, exact))
    pace = np.column_stack((corrected, 1 / (1 - second))).astype(dtype)
    invalid = np.empty((len(weights), len(rates)), np.bool_)
    for tensors, flags in zip(
        zip(weights, gradients, moments.first, moments.second, strict=True), invalid, strict=True
    ):
        arrays = tuple(tensor.numpy().reshape(len(tensor), -1) for tensor in tensors)

        def task(low: int, high: int, arrays: Any = arrays, flags: Array = flags) -> None:
            _step(low, high, arrays, pace, numbers, flags)

        for_ranges(task, len(rates), 2 * tensors[0].numel())
    return [not flags.any() for flags in invalid]


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
