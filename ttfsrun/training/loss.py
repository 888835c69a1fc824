"""Losses on the spike times of the label neurons, each with its exact derivative, and the decisions.

A loss is a compiled function of one sample. So its value and gradient are the same, to the last bit,
however many other samples or networks are computed with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ttfsrun.config.schema import SquaredError, TimeCrossEntropy
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.elementary import exp_of, log_of

Loss = TimeCrossEntropy | SquaredError
Array = NDArray[Any]


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
        total += exp_of((np.float64(first) - times[n]) / xi)
    late = alpha * exp_of(times[label] / beta) if alpha > 0 else 0.0  # never 0 times inf
    for n in range(len(times)):
        gradient[n] = -exp_of((np.float64(first) - times[n]) / xi) / total / xi
    gradient[label] += 1 / xi + late / beta
    return float(log_of(total) + (np.float64(times[label]) - first) / xi + late)


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
    """What the spikes of the label neurons mean for each sample."""

    losses: Array  # [P, B], float64
    gradient: Array  # [P, B, C]: derivatives by the spike times
    decision: Array  # [P, B], int64: the first neuron that spiked, of several at once the one of the lowest number; -1
    decision_time: Array  # [P, B]: inf where none spiked


@compiled
def _judge(loss: Any, parameters: Any, silent: float, times: Array, labels: Array, judgement: Judgement) -> None:
    """Fill in the judgement of all samples. NaN in a time shows in its loss."""
    for p in range(labels.shape[0]):
        for b in range(labels.shape[1]):
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


@compiled
def add_up(judgement: Judgement, labels: Array, totals: Array) -> None:
    """Add to totals [P, 2] the losses of all samples, one after the other, and the number of right decisions."""
    for p in range(labels.shape[0]):
        for b in range(labels.shape[1]):
            totals[p, 0] += judgement.losses[p, b]
            totals[p, 1] += judgement.decision[p, b] == labels[p, b]


def judge(settings: Loss, times: Array, labels: Array) -> Judgement:
    """Return the loss of each sample, its derivatives, and the decision.

    times: [P, B, C] first spikes of the label neurons, inf if silent. labels: [P, B].
    Where the neuron of the right label is silent, the loss is `settings.silent` and the gradient 0. Other silent
    neurons add nothing to the loss and have no gradient.
    """
    function, names = LOSSES[type(settings)]
    parameters = tuple(float(getattr(settings, name)) for name in names)
    judgement = Judgement(
        np.empty(labels.shape),
        np.empty_like(times),
        np.empty(labels.shape, np.int64),
        np.empty(labels.shape, times.dtype),
    )
    _judge(function, parameters, float(settings.silent), times, labels, judgement)
    return judgement
