"""Networks in NEST, an independent simulator, which runs in a process of its own; `nest_program.py` explains why."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ttfsrun.errors import RunFailed
from ttfsrun.exchange.network import PARAMETERS, Array, PortableLayer, PortableNetwork

PROGRAM = Path(__file__).with_name("nest_program.py")
TIME_CONSTANTS = 8.0  # simulated after the last input, for each layer: later, nothing can reach a threshold
QUIET = 1.0  # time of the input, with weights of 0, that takes the place of a bias
SHIFT = 1.0  # of all times: NEST has no input at 0


def has_nest() -> bool:
    """Tell whether NEST is installed."""
    return importlib.util.find_spec("nest") is not None


def spikes_in_nest(folder: Path, inputs: Array, layers: Sequence[dict[str, Array]], duration: float) -> list[Array]:
    """Return the spike times of each layer [B, M]; inputs [B, N + 1], the bias last. One unit of time is 1 ms.

    layers: weight [N + 1, M], the bias last, and PARAMETERS [M]. folder: for the files between the processes.
    Raises RunFailed where NEST fails.
    """
    arrays = {f"{number}.{name}": array for number, layer in enumerate(layers) for name, array in layer.items()}
    np.savez(folder / "network.npz", allow_pickle=False, inputs=inputs, duration=np.array(duration), **arrays)
    done = subprocess.run(
        [sys.executable, PROGRAM, folder / "network.npz", folder / "spikes.npz"],
        env={**os.environ, "PYNEST_QUIET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RunFailed(f"NEST ended with {done.returncode}: {done.stdout} {done.stderr}")
    with np.load(folder / "spikes.npz") as file:
        return [file[str(number)] for number in range(len(layers))]


def simulated_in_nest(network: PortableNetwork, times: Array) -> list[Array]:
    """Return the spike times of each layer [B, M], for input times [B, inputs]; inf for no spike.

    NEST's delays are multiples of its step: with others, each layer is a simulation of its own.
    """
    external = network.with_bias(times)
    if not network.has_delays:
        found = _simulated(network.layers, network.repeated(external), network.bias_time is not None)
        return [network.leaving(number, spikes) for number, spikes in enumerate(found)]
    layers: list[Array] = []
    for number, layer in enumerate(network.layers):
        arriving = network.arriving(number, layers[-1] if layers else external, external)
        [crossings] = _simulated([layer], arriving, has_bias=False)
        layers.append(network.leaving(number, crossings))
    return layers


def _simulated(chain: Sequence[PortableLayer], lines: Array, has_bias: bool) -> list[Array]:
    """Return the spike times of consecutive layers; lines: what reaches the first; has_bias: as its last line."""
    layers = [{name: asdict(layer)[name] for name in ("weight", *PARAMETERS)} for layer in chain]
    if not has_bias:
        lines = np.column_stack([lines, np.full(len(lines), QUIET)])
        layers = [layer | {"weight": np.pad(layer["weight"], ((0, 1), (0, 0)))} for layer in layers]
    slowest = max(float(layer[name].max()) for layer in layers for name in ("tau_mem", "tau_syn"))
    last = float(lines[np.isfinite(lines)].max(initial=QUIET)) + SHIFT
    duration = math.ceil(last + TIME_CONSTANTS * slowest * len(layers))
    with TemporaryDirectory() as folder:
        found = spikes_in_nest(Path(folder), lines + SHIFT, layers, duration)
    return [layer - SHIFT for layer in found]
