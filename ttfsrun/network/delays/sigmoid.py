"""Delays between two bounds: shift + scale / (1 + exp(-theta)) (Goeltz et al. 2025, DelGrad)."""

from __future__ import annotations

import torch
from torch import Tensor

from ttfsrun.network.delays.function import DelayFunction, Evaluated
from ttfsrun.neuron.device import arrays_of, device_of
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.elementary import exp

EVENTS_PER_DELAY = 20  # cost of a delay, in synaptic events


@compiled
def sigmoid_delays(low, high, theta, settings, delays, slopes):
    """Fill in delays and derivatives low to high of all networks; theta, delays, slopes [P, n]."""
    n = theta.shape[1]
    for at in range(low, high):
        p, i = at // n, at % n
        shift, scale = settings[p, 0], settings[p, 1]
        share = 1 / (1 + exp(-1.0 * theta[p, i]))
        delays[p, i] = shift + scale * share
        slopes[p, i] = scale * share * (1 - share)


def _evaluate(theta: Tensor, settings: Tensor) -> Evaluated:
    result = Evaluated(torch.empty_like(theta), torch.empty_like(theta))
    flat = [tensor.view(len(theta), -1) for tensor in (theta, *result)]
    thetas, delays, slopes, numbers = arrays_of([*flat, settings])
    work = EVENTS_PER_DELAY * theta.numel()
    device_of(theta).launch(sigmoid_delays, theta.numel(), work, thetas, numbers, delays, slopes)
    return result


def _leave(theta: Tensor, settings: Tensor) -> None:
    """Leave theta as it is."""


SIGMOID = DelayFunction(("shift", "scale"), _evaluate, _leave)
