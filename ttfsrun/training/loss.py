"""Losses on the spike times of the label neurons, each with its exact derivative.

A loss is a compiled function of one sample. So its value and gradient are the same, to the last bit,
however many other samples or networks are computed with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.config.schema import SquaredError, TimeCrossEntropy
from ttfsrun.neuron.kernels.compiled import compiled

Loss = TimeCrossEntropy | SquaredError
Array = NDArray[Any]


@compiled
def cross_entropy(times: Array, label: int, parameters: tuple[float, float, float], gradient: Array) -> float:
    """Return log sum_n exp(-t_n / xi) + t_* / xi + alpha exp(t_* / beta) (Goeltz et al. 2021, eq. 8 and 9).

    times: [C] of the label neurons, inf if silent; gradient: [C], overwritten with the derivative by the times.
    """
    xi, alpha, beta = parameters
    first = times[label]
    for n in range(len(times)):
        first = min(first, times[n])
    total = 0.0
    for n in range(len(times)):
        total += math.exp((first - times[n]) / xi)
    late = alpha * math.exp(times[label] / beta) if alpha > 0 else 0.0  # never 0 times inf
    for n in range(len(times)):
        gradient[n] = -math.exp((first - times[n]) / xi) / total / xi
    gradient[label] += 1 / xi + late / beta
    return float(math.log(total) + (times[label] - first) / xi + late)


@compiled
def squared_error(times: Array, label: int, parameters: tuple[float], gradient: Array) -> float:
    """Return 1/2 sum_n ((t_n - t_*) - delta (n != *))^2, over the neurons that spiked.

    Arguments as in `cross_entropy`. It does not change where all times shift by one amount.
    """
    (delta,) = parameters
    loss = 0.0
    gradient[:] = 0.0
    for n in range(len(times)):
        if n != label and times[n] != np.inf:
            error = times[n] - times[label] - delta
            loss += error * error / 2
            gradient[n] = error
            gradient[label] -= error
    return loss


@compiled
def _fill_in(
    loss: Any, times: Array, labels: Array, parameters: tuple[float, ...], losses: Array, gradient: Array
) -> None:
    """Fill in losses [P, B] and gradients [P, B, C] of the samples whose label neuron spiked."""
    for p in range(labels.shape[0]):
        for b in range(labels.shape[1]):
            if times[p, b, labels[p, b]] != np.inf:  # NaN does not mean silent: it must show in the loss
                losses[p, b] = loss(times[p, b], labels[p, b], parameters, gradient[p, b])


#: The compiled loss of one sample, and the names of the settings that it takes.
LOSSES: dict[type, tuple[Callable[..., Any], tuple[str, ...]]] = {
    TimeCrossEntropy: (cross_entropy, ("xi", "alpha", "beta")),
    SquaredError: (squared_error, ("delta",)),
}


def sample_losses(settings: Loss, times: Tensor, labels: Tensor) -> tuple[NDArray[np.float64], Tensor]:
    """Return the loss of each sample [P, B] and its derivative by the spike times [P, B, C].

    times: [P, B, C] first spikes of the label neurons, inf if silent. labels: [P, B].
    Where the neuron of the right label is silent, the loss is `settings.silent` and the gradient 0. Other silent
    neurons add nothing to the loss and have no gradient.
    """
    function, names = LOSSES[type(settings)]
    parameters = tuple(getattr(settings, name) for name in names)
    spikes = times.detach().numpy()
    gradient = np.zeros_like(spikes)
    losses = np.full(spikes.shape[:2], settings.silent)
    _fill_in(function, spikes, labels.numpy(), parameters, losses, gradient)
    return losses, torch.from_numpy(gradient)
