"""Losses on the spike times of the label neurons, each with its exact derivative, and the decisions.

A loss is a compiled function of one sample. So its value and gradient are the same, to the last bit,
however many other samples or networks are computed with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ttfsrun.config.schema import SquaredError, TimeCrossEntropy
from ttfsrun.neuron.device import Array, arrays_of, device_of
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.elementary import exp, log

Loss = TimeCrossEntropy | SquaredError

EVENTS_PER_TIME = 20  # cost of a label neuron's share in a loss, in synaptic events


@compiled
def cross_entropy(times: Array, label: int, parameters: tuple[float, float, float], gradient: Array) -> float:
    """Return log sum_n exp(-t_n / xi) + t_* / xi + alpha exp(t_* / beta) (Goeltz et al. 2021, eq. 8 and 9).

    times: [C] of the label neurons, inf if silent, but not that of the right label; gradient: [C], overwritten with
    the derivative by the times.
    """
    xi, alpha, beta = parameters
    first = times[label]
    for n in range(len(times)):
        first = min(first, times[n])
    total = 0.0
    for n in range(len(times)):
        total += exp((np.float64(first) - times[n]) / xi)
    late = alpha * exp(times[label] / beta) if alpha > 0 else 0.0  # never 0 times inf
    for n in range(len(times)):
        gradient[n] = -exp((np.float64(first) - times[n]) / xi) / total / xi
    gradient[label] += 1 / xi + late / beta
    return float(log(total) + (np.float64(times[label]) - first) / xi + late)


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
            error = np.float64(times[n]) - times[label] - delta
            loss += error * error / 2
            gradient[n] = error
            gradient[label] -= error
    return loss


#: The compiled loss of one sample, and the names of the settings that it takes.
LOSSES: dict[type, tuple[Callable[..., Any], tuple[str, ...]]] = {
    TimeCrossEntropy: (cross_entropy, ("xi", "alpha", "beta")),
    SquaredError: (squared_error, ("delta",)),
}


class Judgement(NamedTuple):
    """What the spikes of the label neurons mean for each sample: tensors, or their arrays for a kernel."""

    losses: Any  # [P, B], float64
    gradient: Any  # [P, B, C]: derivatives by the spike times
    slope: Any  # [P, B], float64: sum of their magnitudes
    decision: Any  # [P, B], int64: the first neuron that spiked, of several at once the one of the lowest number; -1
    decision_time: Any  # [P, B]: inf where none spiked


@cache
def _judge_by(loss: Callable[..., Any]) -> Callable[..., None]:
    """Return the kernel that judges by a loss of one sample."""

    @compiled
    def judge_samples(low: int, high: int, settings: Any, spikes: tuple[Array, Array], judgement: Judgement) -> None:
        """Fill in the judgement of samples low to high of all networks. NaN in a time shows in its loss."""
        (times, labels), (parameters, silent) = spikes, settings
        for at in range(low, high):
            p, b = at // labels.shape[1], at % labels.shape[1]
            first, earliest = -1, np.inf
            invalid = False
            for n in range(times.shape[2]):
                invalid |= times[p, b, n] != times[p, b, n]
                if times[p, b, n] < earliest:
                    first, earliest = n, times[p, b, n]
            judgement.decision[p, b] = first
            judgement.decision_time[p, b] = earliest
            if invalid:
                judgement.losses[p, b] = np.nan
                judgement.gradient[p, b] = np.nan
            elif times[p, b, labels[p, b]] == np.inf:
                judgement.losses[p, b] = silent
                judgement.gradient[p, b] = 0.0
            else:
                judgement.losses[p, b] = loss(times[p, b], labels[p, b], parameters, judgement.gradient[p, b])
            slope = 0.0
            for n in range(times.shape[2]):
                slope += abs(judgement.gradient[p, b, n])
            judgement.slope[p, b] = slope

    return judge_samples


def judge(settings: Loss, times: Tensor, labels: Tensor) -> Judgement:
    """Return the loss of each sample, its derivatives, and the decision.

    times: [P, B, C] first spikes of the label neurons, inf if silent. labels: [P, B].
    Where the neuron of the right label is silent, the loss is `settings.silent` and the gradient 0. Other silent
    neurons add nothing to the loss and have no gradient.
    """
    function, names = LOSSES[type(settings)]
    numbers = tuple(float(getattr(settings, name)) for name in names), float(settings.silent)
    types = (torch.float64, times.dtype, torch.float64, torch.int64, times.dtype)
    shapes = (labels.shape, times.shape, labels.shape, labels.shape, labels.shape)
    judgement = Judgement(*(times.new_empty(shape, dtype=dtype) for shape, dtype in zip(shapes, types, strict=True)))
    device = device_of(times)
    work = EVENTS_PER_TIME * times.numel()
    filled = Judgement(*arrays_of(judgement))
    device.launch(_judge_by(function), labels.numel(), work, numbers, tuple(arrays_of((times, labels))), filled)
    return judgement
