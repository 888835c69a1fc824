"""What tests against NEST share; `ttfsrun/exchange/nest_program.py` explains the units and the resolution."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ttfsrun.exchange.nest_process import has_nest

Array = NDArray[np.float64]

DURATION = 10.0  # of a simulation, in ms: several time constants after the last spike, when nothing reaches a threshold

#: Marks of a module whose tests all need NEST.
NEEDS_NEST = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not has_nest(),
        reason="NEST is not installed: pip install 'nest-simulator>=3.10' "
        "(3.10 has wheels for Linux on x86_64 and macOS 15, up to Python 3.13)",
    ),
]

#: Largest difference of two spike times, in ms; the unit of time, tau_syn, is 1 ms. NEST takes a spike where V is
#: within 1e-14 mV of the threshold, so the slope dV/dt would have to be below 1e-5 mV/ms for that to use it up.
BOUND = 1e-9


def largest_difference(spikes: Array, others: Array) -> float:
    """Over the neurons and samples that spike in both, in ms."""
    both = (spikes < np.inf) & (others < np.inf)
    return float(np.abs(spikes[both] - others[both]).max())
