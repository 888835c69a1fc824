"""Networks in NEST, which runs in a process of its own: `nest_network.py` explains the units and the resolution."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Array = NDArray[np.float64]
PARAMETERS = ("tau_mem", "tau_syn", "v_th", "v_leak")

#: Marks of a module whose tests all need NEST.
NEEDS_NEST = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("nest") is None,
        reason="NEST is not installed: pip install 'nest-simulator>=3.10' "
        "(3.10 has wheels for Linux on x86_64 and macOS 15, up to Python 3.13)",
    ),
]

#: Largest difference of two spike times, in ms; the unit of time, tau_syn, is 1 ms. NEST takes a spike where V is
#: within 1e-14 mV of the threshold, so the slope dV/dt would have to be below 1e-5 mV/ms for that to use it up.
BOUND = 1e-9


def spikes_in_nest(folder: Path, inputs: Array, layers: list[dict[str, Array]]) -> list[Array]:
    """Spike times of each layer [B, M]; inputs [B, N + 1], the bias last.

    layers: weight [N + 1, M], the bias last, PARAMETERS [M], and delays [N + 1, M] if there are any. folder: for the
        files between the processes.
    """
    arrays = {f"{number}.{name}": array for number, layer in enumerate(layers) for name, array in layer.items()}
    np.savez(folder / "network.npz", inputs=inputs, **arrays)
    script = Path(__file__).with_name("nest_network.py")
    done = subprocess.run(
        [sys.executable, script, folder / "network.npz", folder / "spikes.npz"],
        env={**os.environ, "PYNEST_QUIET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"NEST ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    with np.load(folder / "spikes.npz") as file:
        return [file[str(number)] for number in range(len(layers))]


def largest_difference(spikes: Array, others: Array) -> float:
    """Over the neurons and samples that spike in both, in ms."""
    both = (spikes < np.inf) & (others < np.inf)
    return float(np.abs(spikes[both] - others[both]).max())
