"""The membrane at given times, in closed form. For figures only: no spike is computed from these values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def responses(delay: NDArray[Any], tau_mem: float, tau_syn: float) -> Array:
    """Return k, the membrane's response to one input of unit weight, at each `delay` [...] after it; 0 before it.

    k(d) = (e^{-d/slow} - e^{-d/fast}) / (1/fast - 1/slow), with slow and fast the larger and the smaller of the two
    time constants, or d e^{-d/tau} if they are equal; computed without cancellation where they nearly are.
    """
    delay = np.maximum(np.asarray(delay, np.float64), 0.0)
    slow, fast = max(tau_mem, tau_syn), min(tau_mem, tau_syn)
    rate = (slow - fast) / (slow * fast)
    rise = -np.expm1(-rate * delay) / rate if rate > 0 else delay
    return np.asarray(np.exp(-delay / slow) * rise)


def voltage(
    at: NDArray[Any], times: NDArray[Any], weight: NDArray[Any], tau: tuple[float, float], v_leak: float
) -> Array:
    """Return V [G] of one neuron that starts at rest and is never reset, at the times `at` [G].

    times [N]: times of its inputs, in tau_syn, inf for no spike; weight [N]; tau: tau_mem and tau_syn.
    """
    arrived = np.isfinite(times)
    delays = np.asarray(at, np.float64)[:, None] - np.asarray(times, np.float64)[arrived]
    return np.asarray(v_leak + responses(delays, *tau) @ np.asarray(weight, np.float64)[arrived])
