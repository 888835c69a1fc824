"""A simple reference implementation of the neuron for tests: float64, one neuron at a time.

It shares no formula with the kernels beyond the equations of the model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def psp(delay: float, tau_mem: float, tau_syn: float) -> float:
    """Return the membrane's response k to one input of unit weight, `delay` after it (Goeltz et al. 2021, eq. 3)."""
    if delay <= 0:
        return 0.0
    if tau_mem == tau_syn:
        return delay * math.exp(-delay / tau_mem)
    rate = abs(tau_mem - tau_syn) / (tau_mem * tau_syn)
    return math.exp(-delay / max(tau_mem, tau_syn)) * -math.expm1(-rate * delay) / rate


def membrane_reference(
    time: float, times: Sequence[float], weights: Sequence[float], tau_mem: float, tau_syn: float
) -> float:
    """Return V - v_leak at `time`."""
    return sum(w * psp(time - t, tau_mem, tau_syn) for t, w in zip(times, weights, strict=True) if t < time)


def current(time: float, times: Sequence[float], weights: Sequence[float], tau_syn: float) -> float:
    """Return the synaptic current just after `time`."""
    return sum(w * math.exp((t - time) / tau_syn) for t, w in zip(times, weights, strict=True) if t <= time)


def first_spike_of_one(
    times: Sequence[float], weights: Sequence[float], tau_mem: float, tau_syn: float, theta: float
) -> float:
    """Return the first upward crossing of theta = v_th - v_leak by one neuron; inf if there is none."""
    if theta <= 0:
        return 0.0
    pairs = sorted((t, w) for t, w in zip(times, weights, strict=True) if t < math.inf)
    ordered = [t for t, _ in pairs]
    weight = [w for _, w in pairs]

    def height(time: float) -> float:
        return membrane_reference(time, ordered, weight, tau_mem, tau_syn) - theta

    for start, end in zip(ordered, [*ordered[1:], math.inf], strict=False):
        high = min(end, _peak(start, height(start) + theta, current(start, ordered, weight, tau_syn), tau_mem, tau_syn))
        if high > start and height(high) > 0:
            return _bisect(height, start, high)
    return math.inf


def _peak(start: float, voltage: float, drive: float, tau_mem: float, tau_syn: float) -> float:
    """Return the time of the membrane's maximum if no input follows; `start` if it only falls, inf if it only rises."""
    if drive <= 0 or voltage >= tau_mem * drive:
        return start
    if tau_mem == tau_syn:
        return start + tau_mem * (1 - voltage / (tau_mem * drive))
    # V' = 0 at delay d: (V0 + I0 c) exp(-d / tau_mem) / tau_mem = I0 c exp(-d / tau_syn) / tau_syn
    c = tau_mem * tau_syn / (tau_mem - tau_syn)
    ratio = (voltage + drive * c) * tau_syn / (drive * c * tau_mem)
    if ratio <= 0:
        return math.inf
    return start + math.log(ratio) / (1 / tau_mem - 1 / tau_syn)


def _bisect(height, low: float, high: float) -> float:  # type: ignore[no-untyped-def]
    """Return where `height` changes its sign from below to above, to the last bit."""
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return high
        low, high = (low, middle) if height(middle) > 0 else (middle, high)


def first_spike_reference(times: Array, weight: Array, tau_mem: float, tau_syn: float, theta: float) -> Array:
    """Return the first spikes [B, M] of a layer, from times [B, N] and weight [N, M]."""
    return np.array(
        [[first_spike_of_one(row, column, tau_mem, tau_syn, theta) for column in weight.T] for row in times]
    ).reshape(len(times), weight.shape[1])
