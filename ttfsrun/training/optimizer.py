"""Adam and the schedules of the learning rate, for a population whose networks step or pause independently."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.config.schema import Adam, CosineDecay, StepDecay
from ttfsrun.neuron.kernels.compiled import compiled

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


@compiled
def _step(
    weight: Array, gradient: Array, first: Array, second: Array, pace: Array, settings: tuple[float, float, float]
) -> int:
    """Update one layer in place, all arrays [P, N M]. pace [P, 2]: bias-corrected rate (0: no step), scale of v.

    Returns the number of entries whose gradient or new weight is not finite.
    """
    beta1, beta2, epsilon = settings
    invalid = 0
    for p in range(len(weight)):
        rate, scale = pace[p]
        if rate > 0:
            for i in range(weight.shape[1]):
                g = gradient[p, i]
                m = beta1 * first[p, i] + (1 - beta1) * g
                v = beta2 * second[p, i] + (1 - beta2) * g * g
                w = weight[p, i] - rate * m / (np.sqrt(v * scale) + epsilon)
                first[p, i], second[p, i], weight[p, i] = m, v, w
                invalid += not (abs(g) < np.inf and abs(w) < np.inf)
        else:
            for i in range(weight.shape[1]):
                invalid += not abs(gradient[p, i]) < np.inf
    return invalid


def adam_step(
    weights: Sequence[Tensor], gradients: Sequence[Tensor], moments: Moments, rates: Array, settings: Adam
) -> list[bool]:
    """Update weights and moments in place by one step of Adam (Kingma and Ba 2015, algorithm 1).

    weights, gradients: per layer [P, N, M], contiguous. rates: learning rate per network [P]; where it is 0, the
    network and its moments do not change. Returns for each layer whether all gradients and new weights are finite.
    """
    steps = moments.steps.numpy()
    steps += rates > 0
    corrected = np.where(rates > 0, rates / (1 - settings.beta1 ** np.maximum(steps, 1).astype(np.float64)), 0)
    dtype = weights[0].numpy().dtype.type
    numbers = (dtype(settings.beta1), dtype(settings.beta2), dtype(settings.epsilon))
    scale = 1 / (1 - settings.beta2 ** np.maximum(steps, 1).astype(np.float64))
    pace = np.column_stack((corrected, scale)).astype(dtype)
    finite = []
    for tensors in zip(weights, gradients, moments.first, moments.second, strict=True):
        weight, gradient, first, second = (tensor.numpy().reshape(len(tensor), -1) for tensor in tensors)
        finite.append(_step(weight, gradient, first, second, pace, numbers) == 0)
    return finite


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
