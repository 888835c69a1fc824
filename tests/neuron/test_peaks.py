"""Peaks between two inputs: the bounds that decide on most of them agree with their heights."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from ttfsrun.neuron.kernels.charge import Charged
from ttfsrun.neuron.kernels.events import FAR, Constants
from ttfsrun.neuron.kernels.lanes import LANES
from ttfsrun.neuron.kernels.peaks import may_peak_above, peaks_above, peaks_between, peaks_surely_above
from ttfsrun.neuron.kernels.simd import select, splat, vload, vstore

RATIOS = [1.0, 0.5, 0.99, 0.01]  # of the faster to the slower time constant, which is 1
DELAYS = [FAR, 3.0, 0.3, 0.01]


@numba.njit(error_model="numpy")
def decide(current, voltage, delay, decays, fast, decisions):
    """Write decisions [4, n], 1 where true: whether there is a peak, and whether it may, must and does exceed 1."""
    n = current.size
    for at in range(0, n, LANES):
        i, u = vload(current, at), vload(voltage, at)
        zero, one, length = splat(i, 0.0), splat(i, 1.0), splat(i, delay)
        tau = Constants(one, splat(i, fast), one, splat(i, 1 / fast - 1), 0.0)
        highest = u + i * splat(i, decays[2])
        charged = Charged(i, splat(i, decays[0]), highest, highest * splat(i, decays[1]))
        vstore(decisions, at, select(peaks_between(charged, one, tau), one, zero))
        vstore(decisions, n + at, select(may_peak_above(one, u, charged, length, tau), one, zero))
        vstore(decisions, 2 * n + at, select(peaks_surely_above(one, u, i, length, tau), one, zero))
        vstore(decisions, 3 * n + at, select(peaks_above(one, u, charged, length, tau), one, zero))


def charge(delay, rate):
    return delay if rate == 0 else -np.expm1(-rate * delay) / rate


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("delay", DELAYS)
def test_the_bounds_of_a_peak_agree_with_its_height(ratio, delay):
    random = np.random.default_rng(1)
    rate = 1 / ratio - 1
    peak = random.uniform(0, min(1.1 * delay, 5 * ratio), 16_000)
    current = np.exp(peak / ratio)
    # With half of the voltages, the peak of the membrane grazes the threshold.
    grazing = np.exp(peak) - current * charge(peak, rate)
    grazing += 10 ** random.uniform(-12, 0, 16_000) * random.choice([-1, 1], 16_000)
    voltage = np.where(random.random(16_000) < 0.5, grazing, random.uniform(-3, 1, 16_000))
    voltage = np.minimum(voltage, 1 - 1e-9)  # a membrane below its threshold
    decisions = np.empty((4, 16_000))
    decide(current, voltage, delay, (np.exp(-delay / ratio), np.exp(-delay), charge(delay, rate)), ratio, decisions)
    between, may, must, above = decisions.astype(bool)
    height = current * charge(peak, rate) + voltage - np.exp(peak)
    clear = between & (np.abs(height) > 1e-13 * (2 + np.abs(voltage) + current))
    assert clear.sum() > 500
    assert np.array_equal(above[clear], height[clear] > 0)
    assert may[between & (height > 0)].all()
    assert (height[between & must] > 0).all()
    if delay < ratio:  # the bounds decide on some peaks
        assert not may[clear].all()
    if delay > 1:
        assert must[clear].any()
