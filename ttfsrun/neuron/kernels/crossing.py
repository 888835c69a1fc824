"""The crossing after the last causal input, found to the last bit: the root of a concave function, compiled.

A neuron that spikes reaches its threshold at a delay h after its last causal input, the first root of

    f(h) = I s(h) + U - theta exp(h / slow)

with the state (I, U) at that input and s of `events`; `walk` has made sure that there is one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.elementary import exp, log
from ttfsrun.neuron.kernels.events import FAR, charge_integral
from ttfsrun.neuron.kernels.simd import any_lane, fabs, fma, maximum, minimum, select, splat, sqrt

MAX_ITERATIONS = 64  # after the first step a root needs 2 or 3; more only where the peak grazes the threshold


class LastInput(NamedTuple):
    """State of a block of neurons at the last causal input of each, as vectors."""

    current: Any  # just after that input
    voltage: Any  # at that input
    time: Any  # of that input
    causal: Any  # number of inputs up to it; 0 where there is none


class Search(NamedTuple):
    """Search for the first root of f, as vectors."""

    delay: Any  # as far as it is known
    peak: Any  # of f; FAR as long as it is not needed
    active: Any  # where the delay is not exact yet


class Values(NamedTuple):
    """f and its derivatives at a delay, as vectors."""

    value: Any
    slope: Any
    curvature: Any  # the negative second derivative


@compiled
def step_to_root(value, slope, curvature):
    """Return (step, slope at the root): the first root of a parabola is a `step` before the current delay.

    The parabola has this value and slope at the current delay, and the second derivative -curvature. If it has no
    root, the step leads beyond its peak. The current delay may also be at the peak of f, or right of its root.
    """
    root_slope = sqrt(maximum(fma(value + value, curvature, slope * slope), splat(value, 0.0)))
    return (value + value) / maximum(slope + root_slope, splat(value, 1e-300)), root_slope


@compiled
def first_step(last, theta, tau):
    """Return the `Search` for the first root of f after the `LastInput`: the first step leads from delay 0."""
    fall = theta * tau.leak
    slope, curvature = last.current - fall, fma(last.current, tau.rate, fall * tau.leak)
    correction, _ = step_to_root(last.voltage - theta, slope, curvature)
    far = splat(theta, FAR)
    return Search(minimum(splat(theta, 0.0) - correction, far), far, last.causal > splat(last.causal, 0.0))


@compiled
def values_at(h, last, theta, tau):
    """Return the `Values` of f at a delay h."""
    rise = charge_integral(h, tau.rate)
    decay = last.current * (splat(theta, 1.0) - tau.rate * rise)
    growth = theta * exp(h * tau.leak)
    value = fma(last.current, rise, last.voltage) - growth
    growth = growth * tau.leak
    return Values(value, decay - growth, fma(decay, tau.rate, growth * tau.leak))


@compiled
def next_step(search, last, theta, tau, epsilon):
    """Return the `Search` after one step to the root of the parabola that touches f (Cauchy's method, of third order).

    A lane stops when its next correction, which the third derivative bounds, is below the rounding of h. A step beyond
    the peak, where f falls, is rare; the peak is computed only then, and h goes back to it.
    """
    h, peak, active = search
    zero = splat(theta, 0.0)
    f = values_at(h, last, theta, tau)
    correction, root_slope = step_to_root(f.value, maximum(f.slope, zero), f.curvature)
    beyond = active & (zero >= f.slope) & (peak == splat(peak, FAR))
    if any_lane(beyond):
        # `select` makes this depend on the step; else, the compiler would compute it before the first one.
        drive = select(beyond, last.current * tau.slow, theta)
        peak = select(beyond, maximum(tau.fast * log(drive / theta), zero), peak)
    moved = minimum(maximum(h - correction, zero), peak)
    h = select(active, select(beyond, peak, moved), h)
    correction = fabs(correction)
    inverse = tau.leak + tau.rate  # 1 / fast
    exact = splat(h, 6 * epsilon) * root_slope * maximum(h, tau.fast) >= (
        correction * correction * correction * f.curvature * inverse
    )
    return Search(h, peak, active & (beyond | ~exact))


@compiled
def first_root(last, theta, tau, epsilon):
    """Return the first root of f, where there are causal inputs; epsilon: the rounding of the type of the results."""
    found = first_step(last, theta, tau)
    for _ in range(MAX_ITERATIONS):
        found = next_step(found, last, theta, tau, epsilon)
        if not any_lane(found.active):
            break
    return found.delay


@compiled
def first_two_roots(one, other, tau, epsilon):
    """Return `first_root` of two pairs of (`LastInput`, threshold), in less time: neither waits for the other."""
    (last, theta), (last2, theta2) = one, other
    found, found2 = first_step(last, theta, tau), first_step(last2, theta2, tau)
    for _ in range(MAX_ITERATIONS):
        found = next_step(found, last, theta, tau, epsilon)
        found2 = next_step(found2, last2, theta2, tau, epsilon)
        if not any_lane(found.active | found2.active):
            break
    return found.delay, found2.delay
