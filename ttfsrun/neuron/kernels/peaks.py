"""Does a membrane exceed its threshold at a peak between two inputs? Compiled.

With f of `walk`, f'(h) = I exp(-r h) - theta / slow exp(h / slow). There is a peak between two inputs if f' is positive
just after the first and negative just before the second. The place and the height of a peak are seldom needed: f is
concave, so tangents bound it from above, and a parabola bounds it from below.
"""

from __future__ import annotations

from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.elementary import exp, log
from ttfsrun.neuron.kernels.events import FAR, charge_integral
from ttfsrun.neuron.kernels.simd import any_lane, fabs, fma, select, splat

GUARD = 2.0**-40  # relative to the terms of a membrane, far above their rounding


@compiled
def peaks_between(charged, threshold, tau):
    """Return where a membrane may exceed its threshold at a peak between two inputs but not at the end."""
    drive = charged.current * tau.slow
    return (
        (charged.highest > threshold)
        & ~(charged.at_end > threshold)
        & (drive > threshold)
        & (threshold > drive * charged.fast_decay)
    )


@compiled
def may_peak_above(threshold, voltage, charged, delay, tau):
    """Return where the membrane may exceed the threshold at a peak before the next input, a `delay` later.

    f is concave, so it stays below its tangents at both ends of the interval. Where they meet below zero, there is no
    crossing. A slightly lower threshold makes up for rounding. f and its slope at the end are multiplied by the decay.
    """
    low = threshold - splat(threshold, GUARD) * (threshold + fabs(voltage) + fabs(charged.highest - voltage))
    fall = low * tau.leak
    end_slope = charged.current * charged.fast_decay - fall
    at_end = charged.at_end - low - end_slope * delay
    excluded = (splat(low, 0.0) > end_slope) & ((voltage - low) * end_slope >= (charged.current - fall) * at_end)
    return ~excluded


@compiled
def peaks_surely_above(threshold, voltage, current, delay, tau):
    """Return where the membrane certainly exceeds the threshold within a `delay`; false says nothing.

    With the value v < 0, the slope and the curvature of f at 0, f(h) >= v + slope h - curvature exp(h / slow) h^2 / 2.
    This is positive at h = slow / 2, or at an earlier maximum, if both conditions hold.
    """
    fall = threshold * tau.leak
    missing = threshold - voltage
    slope, curvature = current - fall, fma(current, tau.rate, fall * tau.leak)
    rounding = splat(threshold, GUARD) * (threshold + fabs(voltage))
    return (
        (slope > splat(slope, 4.2) * missing * tau.leak)
        & (slope * slope > curvature * (splat(slope, 3.5) * missing + rounding))
        & (delay + delay > tau.slow)
    )


@compiled
def peaks_above(threshold, voltage, charged, delay, tau):
    """Return where the membrane exceeds the threshold at a peak before the next input, a `delay` later."""
    peaked = peaks_between(charged, threshold, tau)
    no_next = delay >= splat(delay, FAR)
    peaked = peaked & (no_next | may_peak_above(threshold, voltage, charged, delay, tau))
    above = peaked & peaks_surely_above(threshold, voltage, charged.current, delay, tau)
    peaked = peaked & ~above
    if any_lane(peaked):
        peak = tau.fast * log(select(peaked, charged.current * tau.slow, threshold) / threshold)
        height = fma(charged.current, charge_integral(peak, tau.rate), voltage)
        above = above | (peaked & (height > threshold * exp(peak * tau.leak)))
    return above
