"""What it means that a computed first spike agrees with the exact one; `test_fifty_digits.py` says what was measured.

The membrane is a sum of floats: at a time t it is known to some roundings of

    terms(t) = theta + sum_i |w_i| (k(t - t_i) + fast exp(-(t - t_i) / fast)),      fast = min(tau_mem, tau_syn),

what its terms add up to, with what the inputs so far will still contribute. A computed spike is right if it is the
exact first crossing of a threshold that is at most ROUNDINGS 2^-52 terms higher or lower. For almost all neurons,
such a shift moves the crossing by less than the tolerance, and there the times must agree to that. The others are
the neighbourhood of grazing contacts: there the membrane turns within ROUNDINGS 2^-52 terms of the threshold, or it
crosses with a slope V'(T) below about 4 ROUNDINGS 2^-52 terms / (tolerance max(1, T)): for float64, 0.004 terms,
for float32, 2e-9 terms. Both types have the same roundings, for float32 inputs are walked in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from fifty_digits import Cell, Number, cells, first_spikes, mp, number
from torch import Tensor

from ttfsrun.neuron import Neuron

ROUNDINGS = 4
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6}  # relative to max(1, T)


class Exact(NamedTuple):
    """The first spike, and the first crossings of the lowest and the highest threshold that count as the same."""

    earliest: Number
    spike: Number
    latest: Number

    def outside(self, dtype: torch.dtype) -> bool:
        """Whether this is outside of the neighbourhood of grazing contacts."""
        moved = 0 if self.earliest == self.latest else self.latest - self.earliest
        return bool(moved < self.tolerance(dtype) / 2)

    def tolerance(self, dtype: torch.dtype) -> Number:
        return TOLERANCE[dtype] * max(1, abs(self.spike))


def exact(cell: Cell) -> Exact:
    width = number(ROUNDINGS * 2.0**-52)
    return Exact(*first_spikes(cell, (-width, mp.mpf(0), width)))


def rounding(cell: Cell, computed: Number, dtype: torch.dtype) -> Number:
    """Return the bound on the error of a spike from rounding an input's time, a delay, and their sum."""
    return 2 * torch.finfo(dtype).eps * (abs(computed) + min(cell.tau_mem, cell.tau_syn)) if computed < mp.inf else 0


class Agreement(NamedTuple):
    neurons: int
    spikes: int
    outside: int  # of the neighbourhood of grazing contacts


def agreement(spikes: Tensor, times: Tensor, weight: Tensor, neuron: Neuron, delays: Tensor | None = None) -> Agreement:
    """Assert that all spikes are right, and that those outside the neighbourhood are exact; count these."""
    outside = 0
    for (row, column), cell in cells(times, weight, neuron, delays):
        computed = number(spikes[row, column].item())
        right = exact(cell)
        where = f"row {row}, column {column}: {float(computed)!r} for {mp.nstr(right.spike, 20)}"
        rest = rounding(cell, computed, spikes.dtype)
        assert right.earliest - rest <= computed <= right.latest + rest, f"{where}, which no threshold nearby yields"
        if right.outside(spikes.dtype):
            outside += 1
            assert computed == right.spike or abs(computed - right.spike) < right.tolerance(spikes.dtype), where
    return Agreement(spikes.numel(), int(torch.isfinite(spikes).sum()), outside)
