"""One neuron and one sample in arithmetic of fifty digits: brute force, and no line shared with the package.

Each parameter is exactly the number that its binary float says. V is above its leak, theta = v_th - v_leak.
The walk visits all intervals between inputs, in order. In each, V' has at most one zero, so that the highest
point is an end or that extremum; the first interval whose highest point exceeds theta holds the spike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import mpmath
import torch
from torch import Tensor

from ttfsrun.neuron import Neuron

mp = mpmath.MPContext()
# Fifty digits are left even where the time constants differ in their last bit: 1 / (1/tau_syn - 1/tau_mem)
# costs 16 of them, its square, in the derivatives, 32; crossing another input within 1e-6 costs some too.
mp.dps = 100
DIGITS = 50
Number = Any  # mpmath has no types


@dataclass(frozen=True)
class Cell:
    """One neuron, and what one sample sends it."""

    times: tuple[Number, ...]  # in any order; inf sends nothing
    weights: tuple[Number, ...]
    tau_mem: Number
    tau_syn: Number
    theta: Number

    def causal(self, time: Number) -> list[tuple[Number, Number]]:
        """(delay, weight) of each input before `time`."""
        return [(time - t, w) for t, w in zip(self.times, self.weights, strict=True) if t < time]


@dataclass(frozen=True)
class Interval:
    """From one input to the next: V and I just after the first, and what V's terms add up to."""

    cell: Cell
    start: Number
    length: Number  # inf after the last input
    voltage: Number
    current: Number
    terms: Number

    def state(self, delay: Number) -> tuple[Number, Number]:
        """(V, I) `delay` after the start."""
        leak, decay, rise = kernels(delay, self.cell.tau_mem, self.cell.tau_syn)
        return self.voltage * leak + self.current * rise, self.current * decay

    def slope(self, delay: Number) -> Number:
        voltage, current = self.state(delay)
        return current - voltage / self.cell.tau_mem

    @cached_property
    def end(self) -> tuple[Number, Number]:
        """(V, I) just before the next input; at rest if none comes."""
        return self.state(self.length) if self.length < mp.inf else (mp.mpf(0), mp.mpf(0))

    def peak(self) -> Number | None:
        """Delay of the interior maximum of V, if there is one."""
        if self.current <= 0:  # V'' = -I / tau_syn >= 0 where V' = 0: a minimum
            return None
        a, b = 1 / self.cell.tau_mem, 1 / self.cell.tau_syn
        if a == b:  # V = (V0 + I0 d) exp(-a d)
            delay = 1 / a - self.voltage / self.current
        else:  # V = (V0 + I0 / (b - a)) exp(-a d) - I0 / (b - a) exp(-b d)
            ratio = a / b * (1 + (b - a) * self.voltage / self.current)
            if ratio <= 0:
                return None
            delay = -mp.log(ratio) / (b - a)
        return delay if 0 < delay < self.length else None

    @cached_property
    def highest(self) -> Number:
        """The highest V of this interval: at its start, its end, or in between."""
        peak = self.peak()
        inside = self.voltage if peak is None else self.state(peak)[0]
        return max(self.voltage, self.end[0], inside)

    def crossing(self, level: Number) -> Number | None:
        """Time at which V first exceeds `level` in this interval."""
        if self.highest <= level:
            return None
        if self.voltage > level or level <= 0:
            return self.start
        # On its way to a level above 0, V is concave: V'' = -I / tau_syn - V' / tau_mem with I > 0, V' > 0. Newton's
        # method from the left hence gets closer with each step and never passes the crossing.
        delay = mp.mpf(0)
        while True:
            step = (level - self.state(delay)[0]) / self.slope(delay)
            delay += step
            if step <= mp.mpf(10) ** -(DIGITS + 10) * delay:
                return self.start + delay


@lru_cache(1 << 14)
def kernels(delay: Number, tau_mem: Number, tau_syn: Number) -> tuple[Number, Number, Number]:
    """exp(-delay / tau_mem), exp(-delay / tau_syn), and k: V after an input of unit weight."""
    a, b = 1 / tau_mem, 1 / tau_syn
    leak, decay = mp.exp(-a * delay), mp.exp(-b * delay)
    return leak, decay, delay * leak if a == b else (leak - decay) / (b - a)


def response(delay: Number, tau_mem: Number, tau_syn: Number) -> Number:
    """Return k."""
    return kernels(delay, tau_mem, tau_syn)[2]


def response_slope(delay: Number, tau_mem: Number, tau_syn: Number) -> Number:
    """Return dk / d delay."""
    _, decay, rise = kernels(delay, tau_mem, tau_syn)
    return decay - rise / tau_mem


def response_by_tau(delay: Number, tau: Number, other: Number) -> Number:
    """Return dk / dtau; k is symmetric in the two time constants."""
    a, b = 1 / tau, 1 / other
    if a == b:
        by_rate = -(delay**2) / 2 * mp.exp(-a * delay)
    else:
        by_rate = (response(delay, tau, other) - delay * mp.exp(-a * delay)) / (b - a)
    return -by_rate * a**2


def intervals(cell: Cell) -> Iterator[Interval]:
    """All intervals from the first input on, by recurrence."""
    inputs = sorted((t, w) for t, w in zip(cell.times, cell.weights, strict=True) if t < mp.inf)
    fast = min(cell.tau_mem, cell.tau_syn)
    voltage = current = above = charge = mp.mpf(0)
    ends = [*(time for time, _ in inputs), mp.inf][1:]
    for (start, weight), end in zip(inputs, ends, strict=True):
        current += weight
        charge += fast * abs(weight)
        interval = Interval(cell, start, end - start, voltage, current, above + charge)
        if interval.length > 0:
            yield interval
        if interval.length < mp.inf:
            voltage, current = interval.end
            leak, decay, rise = kernels(interval.length, cell.tau_mem, cell.tau_syn)
            above = above * max(leak, decay) + charge / fast * rise
            charge *= min(leak, decay)


def first_spikes(cell: Cell, shifts: Sequence[Number] = (0,)) -> list[Number]:
    """First crossing of theta + shift (theta + terms), for each shift; 0 gives the first spike itself.

    terms is what V's terms add up to, at the last input before t: sum_i |w_i| (k(d) + fast exp(-d / fast)), with the
    second part for what input i will still contribute, d after it. A shift of eps is one rounding of these terms.
    """
    if cell.theta <= 0:
        return [mp.mpf(0)] * len(shifts)
    found = [mp.inf] * len(shifts)
    waiting = list(range(len(shifts)))
    for interval in intervals(cell):
        for i in tuple(waiting):
            time = interval.crossing(cell.theta + shifts[i] * (cell.theta + interval.terms))
            if time is not None:
                found[i] = time
                waiting.remove(i)
        if not waiting:
            break
    return found


def membrane(cell: Cell, time: Number) -> Number:
    """Return V - v_leak, as the plain sum over all inputs."""
    return mp.fsum(w * response(delay, cell.tau_mem, cell.tau_syn) for delay, w in cell.causal(time))


def slope(cell: Cell, time: Number) -> Number:
    """Return V', as the plain sum over all inputs."""
    return mp.fsum(w * response_slope(delay, cell.tau_mem, cell.tau_syn) for delay, w in cell.causal(time))


@dataclass(frozen=True)
class Derivatives:
    """Derivatives of the first spike, by the implicit function theorem; 0 for what does not affect it."""

    weights: list[Number]
    times: list[Number]
    v_th: Number
    v_leak: Number
    tau_mem: Number  # the sums of what each input contributes
    tau_syn: Number
    tau_terms: Number  # the largest contribution of one input to either of these sums


def derivatives(cell: Cell, spike: Number) -> Derivatives:
    """At a first spike `spike`; all are 0 where there is none, or where it does not depend on the inputs."""
    constants = cell.tau_mem, cell.tau_syn
    if spike == mp.inf or cell.theta <= 0:
        nothing = [mp.mpf(0)] * len(cell.times)
        return Derivatives(nothing, nothing, *[mp.mpf(0)] * 5)
    steepness = slope(cell, spike)
    by_weights, by_times, by_mem, by_syn = [], [], [], []
    for time, weight in zip(cell.times, cell.weights, strict=True):
        delay = max(spike - time, mp.mpf(0))
        causal = 1 if time < spike else 0
        by_weights.append(-response(delay, *constants) / steepness if causal else mp.mpf(0))
        by_times.append(causal * weight * response_slope(delay, *constants) / steepness)
        by_mem.append(-weight * response_by_tau(delay, cell.tau_mem, cell.tau_syn) / steepness)
        by_syn.append(-weight * response_by_tau(delay, cell.tau_syn, cell.tau_mem) / steepness)
    largest = max(abs(term) for term in (*by_mem, *by_syn))
    by_theta = 1 / steepness
    return Derivatives(by_weights, by_times, by_theta, -by_theta, mp.fsum(by_mem), mp.fsum(by_syn), largest)


def number(value: float) -> Number:
    """Return exactly this float."""
    return mp.mpf(value)


def cells(
    times: Tensor, weight: Tensor, neuron: Neuron, delays: Tensor | None = None
) -> Iterator[tuple[tuple[int, int], Cell]]:
    """((row, column), cell) for times [B, N], weight and delays [N, M]; the parameters count as they are given.

    The times of a cell are those of arrival.
    """
    shape = len(times), weight.shape[1]
    theta, tau_mem, tau_syn = (
        torch.as_tensor(value, dtype=torch.float64).detach().expand(shape).tolist()
        for value in (neuron.v_th - neuron.v_leak, neuron.tau_mem, neuron.tau_syn)
    )
    rows = [tuple(map(number, row)) for row in times.detach().tolist()]
    delays = torch.zeros_like(weight) if delays is None else delays.detach().expand(weight.shape)
    columns, waits = ([tuple(map(number, each)) for each in tensor.detach().T.tolist()] for tensor in (weight, delays))
    for row in range(shape[0]):
        for column in range(shape[1]):
            constants = (number(value[row][column]) for value in (tau_mem, tau_syn, theta))
            arrivals = tuple(time + wait for time, wait in zip(rows[row], waits[column], strict=True))
            yield (row, column), Cell(arrivals, columns[column], *constants)
