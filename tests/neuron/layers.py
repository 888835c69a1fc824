"""Layers that are hard on a solver, each drawn from a seed: (times [B, N], weight [N, M])."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.neuron import Neuron

Array = NDArray[np.float64]
Random = np.random.Generator

# tau_mem / tau_syn: through equal time constants, the two closed forms, far above and far below.
RATIOS = [1.0, 1 + 1e-9, 1 - 1e-9, 1 + 1e-5, 1.001, 0.999, 1.1, 2.0, 0.5, 7.0, 100.0, 0.01]
FEW_RATIOS = [1.0, 1 + 1e-9, 1.1, 7.0, 0.01]


def reach(ratio: float) -> float:
    """Weight with which one input reaches 1 / e, the peak for equal time constants of 1 (tau_syn is 1)."""
    log_peak = -1.0 if ratio == 1 else ratio * math.log(ratio) / (1 - ratio)
    return math.exp(-1 - log_peak) / ratio


def usual(random: Random, unit: float) -> tuple[Array, Array]:
    """Return a layer as in training."""
    return random.uniform(0, 2, (3, 20)), random.normal(0.25 * unit, 0.3 * unit, (20, 6))


def together(random: Random, unit: float) -> tuple[Array, Array]:
    """Hundreds of inputs within 1e-6, some of them at the same time."""
    times = random.uniform(0, 2, (2, 1)) + 1e-6 * np.round(random.uniform(0, 1, (2, 210)), 2)
    times[:, ::3] += random.uniform(0, 1e-8, (2, 70))
    return times, random.normal(0.03 * unit, 0.1 * unit, (210, 2))


def wide_weights(random: Random, _: float) -> tuple[Array, Array]:
    """Weights from 1e-6 to 1e3 of both signs."""
    sign = random.choice([-1.0, 1.0, 1.0], (30, 6))
    return random.uniform(0, 3, (3, 30)), sign * 10 ** random.uniform(-6, 3, (30, 6))


def far_apart(random: Random, unit: float) -> tuple[Array, Array]:
    """Times up to 1e4, some of them in bursts."""
    times = random.uniform(-10, 1e4, (3, 40))
    times[:, 10:] = times[:, 10:13].repeat(10, axis=1) + random.uniform(0, 2, (3, 30))
    return times, random.normal(0.6 * unit, unit, (40, 5))


def cancelling(random: Random, unit: float) -> tuple[Array, Array]:
    """Pairs of +w and -w nearly at the same time, w up to 1e3, and a usual layer beside them."""
    first = random.uniform(0, 2, (3, 15))
    weight = 10 ** random.uniform(-2, 3, (15, 5)) * random.choice([-1.0, 1.0], (15, 5))
    times, others = random.uniform(0, 2, (3, 10)), random.normal(0.6 * unit, 0.5 * unit, (10, 5))
    gap = 10 ** random.uniform(-12, -6, (3, 15))
    return np.concatenate([first, first + gap, times], axis=1), np.concatenate([weight, -weight, others])


def single(random: Random, unit: float) -> tuple[Array, Array]:
    """One input; some weights are too small for a spike, by a little or by far."""
    near_its_peak = math.e * unit * (1 + random.choice([-1, 1], 6) * 10 ** random.uniform(-9, -1, 6))
    return random.uniform(-5, 5, (2, 1)), np.concatenate([near_its_peak, 10 ** random.uniform(-6, 3, 6)])[None]


def many(random: Random, unit: float) -> tuple[Array, Array]:
    """Return as many inputs as two MNIST images have pixels, to one neuron."""
    return random.uniform(0.15, 2, (1, 1568)), random.normal(0.008 * unit, 0.06 * unit, (1568, 1))


Draw = Callable[[Random, float], tuple[Array, Array]]
LAYERS: dict[str, Draw] = {
    draw.__name__: draw for draw in (usual, together, wide_weights, far_apart, cancelling, single, many)
}


def draw(name: str, ratio: float, dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, Tensor, Neuron]:
    """A layer of LAYERS and its neuron; the constants are tensors, so that they are exactly what is computed with."""
    random = np.random.default_rng([seed, zlib.crc32(name.encode()), RATIOS.index(ratio)])
    times, weight = (torch.tensor(array, dtype=dtype) for array in LAYERS[name](random, reach(ratio)))
    return times, weight, Neuron(tau_mem=torch.tensor(ratio, dtype=dtype), tau_syn=torch.tensor(1.0, dtype=dtype))


def own_parameters(neuron: Neuron, n_rows: int, n_neurons: int, random: Random) -> Neuron:
    """Time constants around those of `neuron`, different for each; v_th and v_leak different for each sample too."""
    dtype = torch.as_tensor(neuron.tau_mem).dtype

    def spread(shape: tuple[int, ...]) -> Tensor:
        return torch.tensor(random.lognormal(0, 0.2, shape), dtype=dtype)

    scale = spread((1, n_neurons))
    # The ratio stays within 1e-6 of the given one, so that a ratio near 1 remains near 1.
    tau_mem = neuron.tau_mem * scale * (1 + 1e-6 * (spread((1, n_neurons)) - 1))
    v_leak = 0.3 * (spread((n_rows, n_neurons)) - 1)
    return Neuron(tau_mem, neuron.tau_syn * scale, spread((n_rows, n_neurons)), v_leak)
