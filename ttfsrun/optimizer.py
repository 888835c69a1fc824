"""Adam and the learning rate's schedules, for a population: each network steps, or pauses, on its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from torch import Tensor

from ttfsrun.config import Adam, CosineDecay, StepDecay


@dataclass
class Moments:
    """Adam's running means of the gradient and of its square, per layer as the weights, and steps taken [P]."""

    first: list[Tensor]
    second: list[Tensor]
    steps: Tensor

    @classmethod
    def zero(cls, weights: Sequence[Tensor]) -> Moments:
        """Before the first step."""
        zeros = [[torch.zeros_like(weight) for weight in weights] for _ in range(2)]
        return cls(*zeros, torch.zeros(len(weights[0]), dtype=torch.int64))


@njit(nogil=True, cache=True, error_model="numpy")
def _step(weight, gradient, first, second, rates, scales, settings):
    """One layer, all arrays [P, N M], in place; a network of rate 0 is left as it is."""
    beta1, beta2, epsilon = settings
    for p in range(len(weight)):
        if rates[p] > 0:
            rate, scale = rates[p], scales[p]
            for i in range(weight.shape[1]):
                g = gradient[p, i]
                m = beta1 * first[p, i] + (1 - beta1) * g
                v = beta2 * second[p, i] + (1 - beta2) * g * g
                first[p, i], second[p, i] = m, v
                weight[p, i] -= rate * m / (np.sqrt(v * scale) + epsilon)


def adam_step(
    weights: Sequence[Tensor], gradients: Sequence[Tensor], moments: Moments, rates: Tensor, settings: Adam
) -> None:
    """Kingma and Ba 2015, algorithm 1, in place.

    weights, gradients: per layer [P, N, M], contiguous. rates: learning rate per network [P]; where it is 0 the
    network and its moments stay untouched, as if this step had not been.
    """
    moments.steps += rates > 0
    steps = moments.steps.numpy().astype(np.float64)
    corrected = np.where(rates.numpy() > 0, rates.numpy() / (1 - settings.beta1 ** np.maximum(steps, 1)), 0)
    dtype = weights[0].numpy().dtype.type
    numbers = tuple(dtype(value) for value in (settings.beta1, settings.beta2, settings.epsilon))
    scale = (1 / (1 - settings.beta2 ** np.maximum(steps, 1))).astype(dtype)
    for weight, gradient, first, second in zip(weights, gradients, moments.first, moments.second, strict=True):
        flat = [tensor.numpy().reshape(len(weight), -1) for tensor in (weight, gradient, first, second)]
        _step(*flat, corrected.astype(dtype), scale, numbers)


def step_decay(settings: StepDecay, epoch: int, epochs: int) -> float:
    """Factor on the learning rate in `epoch` (from 0) of `epochs`."""
    return float(settings.factor ** (epoch // settings.epochs))


def cosine_decay(settings: CosineDecay, epoch: int, epochs: int) -> float:
    """Factor on the learning rate in `epoch` (from 0) of `epochs` (Loshchilov and Hutter 2017, one period)."""
    return settings.final + (1 - settings.final) * (1 + math.cos(math.pi * epoch / epochs)) / 2


SCHEDULES = {StepDecay: step_decay, CosineDecay: cosine_decay}


def schedule(settings: StepDecay | CosineDecay, epoch: int, epochs: int) -> float:
    """Factor on the learning rate in `epoch` (from 0) of `epochs`."""
    return SCHEDULES[type(settings)](settings, epoch, epochs)  # type: ignore[operator]
