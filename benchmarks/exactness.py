"""Errors of `first_spike`, and size of the neighbourhood of grazing contacts, measured against fifty digits.

    python benchmarks/exactness.py [SEEDS]     # seeds for each kind of layer and ratio; 10 take some minutes

The layers are those of tests/neuron/layers.py, at every ratio of the time constants there, half of them with
different parameters for each neuron. For each kind, in float64 and float32:

neurons     how many were compared
roundings   how far the threshold must be moved for the computed spike to be its exact first crossing, in the unit
            2^-52 terms of tests/neuron/agreement.py: 99 % of the neurons, and all of them
error       largest |dT| / max(1, T) outside the neighbourhood of grazing contacts, as defined there
inside      share of the neurons inside of it
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "neuron"))

from agreement import ROUNDINGS, exact, rounding
from fifty_digits import Cell, Number, cells, first_spikes, number
from layers import LAYERS, RATIOS, draw, own_parameters

from ttfsrun.neuron import first_spike

WIDTHS = np.arange(0, ROUNDINGS + 0.25, 0.25)  # in roundings


def needed(cell: Cell, computed: Number, rest: Number) -> float:
    """Return the smallest of WIDTHS that makes the computed spike right; inf if none does."""
    for width in WIDTHS:
        shift = number(width * 2.0**-52)
        earliest, latest = first_spikes(cell, (-shift, shift))
        if earliest - rest <= computed <= latest + rest:
            return float(width)
    return float("inf")


def compared(name: str, dtype: torch.dtype, seeds: int) -> Iterator[tuple[float, float, bool]]:
    """Yield (roundings, relative error, whether inside the neighbourhood) for every neuron of a kind of layers."""
    for ratio in RATIOS:
        for seed in range(100, 100 + seeds):
            times, weight, neuron = draw(name, ratio, dtype, seed)
            if seed % 2:
                neuron = own_parameters(neuron, len(times), weight.shape[1], np.random.default_rng(seed))
            spikes = first_spike(times, weight, neuron)
            for (row, column), cell in cells(times, weight, neuron):
                computed, right = number(spikes[row, column].item()), exact(cell)
                error = 0.0 if computed == right.spike else abs(computed - right.spike) / max(1, abs(right.spike))
                roundings = needed(cell, computed, rounding(cell, computed, dtype))
                yield roundings, float(error), not right.outside(dtype)


def main(seeds: int) -> None:
    print(f"{'layers':<14} {'type':<8} {'neurons':>8} {'99 %':>6} {'all':>6} {'error':>9} {'inside':>8}")
    for name in LAYERS:
        for dtype in (torch.float64, torch.float32):
            widths, errors, insides = map(np.array, zip(*compared(name, dtype, seeds), strict=True))
            outside = errors[~insides]
            largest = f"{outside.max():9.1e}" if len(outside) else f"{'-':>9}"
            kind = str(dtype).removeprefix("torch.")
            found = f"{np.quantile(widths, 0.99):6.2f} {widths.max():6.2f} {largest} {insides.mean():8.2%}"
            print(f"{name:<14} {kind:<8} {len(widths):8d} {found}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
