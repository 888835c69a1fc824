"""Losses on the spike times of the label neurons, each with its exact derivative.

A loss is a compiled function of one sample. So the value and gradient of a sample cannot depend on how many
other samples or networks are computed with it, to the last bit.
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
from ttfsrun.neuron.compiled import compiled

Loss = TimeCrossEntropy | SquaredError
Array = NDArray[Any]


@compiled
def cross_entropy(times: Array, label: int, parameters: tuple[float, float, float], gradient: Array) -> float:
    """log sum_n exp(-t_n / xi) + t_* / xi + alpha exp(t_* / beta) (Goeltz et al. 2021, eq. 8 and 9).

    times [C] of the label neurons, inf if silent; gradient [C] is written. Returns the loss.
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
    """1/2 sum_n ((t_n - t_*) - delta (n != *))^2, over the neurons that spiked.

    Shapes as in `cross_entropy`. Shifting all times by one amount changes nothing.
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
def _of_samples(
    loss: Any, times: Array, labels: Array, parameters: tuple[float, ...], losses: Array, gradient: Array
) -> None:
    """Fill in losses [P, B] and gradients [P, B, C] of the samples whose label neuron spiked."""
    for p in range(labels.shape[0]):
        for b in range(labels.shape[1]):
            if times[p, b, labels[p, b]] != np.inf:  # NaN is no silence: it has to show in the loss
                losses[p, b] = loss(times[p, b], labels[p, b], parameters, gradient[p, b])


#: The compiled loss of one sample, and which of its settings it takes.
LOSSES: dict[type, tuple[Callable[..., Any], tuple[str, ...]]] = {
    TimeCrossEntropy: (cross_entropy, ("xi", "alpha", "beta")),
    SquaredError: (squared_error, ("delta",)),
}


def sample_losses(settings: Loss, times: Tensor, labels: Tensor) -> tuple[NDArray[np.float64], Tensor]:
    """Loss of each sample, and its derivative by the spike times.

    times: [P, B, C] first spikes of the label neurons, inf if silent. labels: [P, B].
    Returns the losses [P, B] and the gradient of each by its own times [P, B, C]. A sample whose label neuron is
    silent costs `settings.silent` and has no gradient; a silent other neuron neither costs nor learns.
    """
    function, names = LOSSES[type(settings)]
    parameters = tuple(getattr(settings, name) for name in names)
    spikes = times.detach().numpy()
    gradient = np.zeros_like(spikes)
    losses = np.full(spikes.shape[:2], settings.silent)
    _of_samples(function, spikes, labels.numpy(), parameters, losses, gradient)
    return losses, torch.from_numpy(gradient)
