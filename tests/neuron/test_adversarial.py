"""Layers made to break a solver, against fifty digits (`agreement.py` defines agreement)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from agreement import agreement, exact
from fifty_digits import Number, cells, intervals, number
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layers import RATIOS, reach
from torch import Tensor

from ttfsrun.neuron import Neuron, first_spike

# A fixture would be the same for all examples; hypothesis refuses it.
each_type = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
Inputs = list[tuple[float, float]]  # (time, weight in units of what reaches 1 / e)

ratios = st.one_of(
    st.sampled_from(RATIOS),
    st.sampled_from([1 + 2.0**-52, 1 - 2.0**-53, 1 + 1e-12, 1e3, 1e-3]),
    st.floats(0.02, 50),
    st.floats(-12, -1).map(lambda digits: 1 + 10**digits),
)
sizes = st.one_of(st.floats(0.05, 4), st.floats(-6, 3).map(lambda digits: 10**digits))
weights = st.builds(math.copysign, sizes, st.sampled_from([1.0, 1.0, -1.0]))
gaps = st.floats(-15, -6).map(lambda digits: 10**digits)


@st.composite
def events(draw: st.DrawFn, latest: float) -> Inputs:
    """One event: an input, or several at nearly the same time."""
    time, weight = draw(st.floats(-3, latest)), draw(weights)
    kind = draw(st.sampled_from(["one", "one", "tie", "cluster", "pair", "silent"]))
    if kind == "tie":
        return [(time, weight), (time, draw(weights)), (time, draw(weights))]
    if kind == "cluster":
        count = draw(st.integers(2, 30))
        order = np.random.default_rng(draw(st.integers(0, 99)))
        return [(time + 1e-6 * delay, weight * order.normal(1, 2) / count) for delay in order.uniform(0, 1, count)]
    if kind == "pair":
        return [(time, weight), (time + draw(gaps), -weight * draw(st.sampled_from([1.0, 1 + 1e-9, 0.9])))]
    return [(math.inf if kind == "silent" else time, weight)]


@st.composite
def inputs(draw: st.DrawFn, most: int = 8) -> Inputs:
    """A few events within a short or a long time; none is possible."""
    latest = draw(st.sampled_from([0.5, 2.0, 2.0, 30.0, 1e4]))
    return [pair for event in draw(st.lists(events(latest), max_size=most)) for pair in event]


def layer(sample: Inputs, ratio: float, tau_syn: float, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """times [1, N], weight [N, 3] as given, negated and backwards, tau_mem and tau_syn."""
    times = torch.tensor([[time for time, _ in sample]], dtype=dtype) * tau_syn
    weight = torch.tensor([weight for _, weight in sample], dtype=dtype) * (reach(ratio) / tau_syn)
    return times, torch.stack([weight, -weight, weight.flip(0)], 1), *constants(ratio, tau_syn, dtype)


def constants(ratio: float, tau_syn: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return torch.tensor(ratio * tau_syn, dtype=dtype), torch.tensor(tau_syn, dtype=dtype)


@each_type
@settings(deadline=None, max_examples=200, derandomize=True)
@given(sample=inputs(), ratio=ratios, tau_syn=st.sampled_from([1.0, 1.0, 0.1, 7.3]), theta=st.floats(0.05, 3))
def test_whatever_comes_no_spike_is_missed_none_invented(dtype, sample, ratio, tau_syn, theta):
    times, weight, *taus = layer(sample, ratio, tau_syn, dtype)
    neuron = Neuron(*taus, v_th=torch.tensor(theta, dtype=dtype))
    agreement(first_spike(times, weight, neuron), times, weight, neuron)


@each_type
@settings(deadline=None, max_examples=80, derandomize=True)
@given(
    sample=inputs(most=4),
    own=st.lists(st.tuples(ratios, st.floats(0.1, 10), st.floats(0.1, 2), st.floats(-1, 1)), min_size=3, max_size=3),
)
def test_whatever_comes_to_neurons_that_all_differ_no_spike_is_missed_none_invented(dtype, sample, own):
    times, weight, *_ = layer(sample, 1.0, 1.0, dtype)
    ratio, tau_syn, height, v_leak = (torch.tensor(column, dtype=dtype) for column in zip(*own, strict=True))
    neuron = Neuron(ratio * tau_syn, tau_syn, v_leak + height, v_leak)
    agreement(first_spike(times, weight, neuron), times, weight, neuron)


def highest_point(times: Tensor, weight: Tensor, neuron: Neuron) -> tuple[float, Number]:
    """(time, height) of the highest point of one neuron's membrane; the height as fifty digits."""
    ((_, cell),) = cells(times, weight, neuron)
    best = max(intervals(cell), key=lambda interval: interval.highest)
    peak = best.peak()
    return float(best.start + (best.length if peak is None else peak)), best.highest


def conditioned(times: Tensor, weight: Tensor, neuron: Neuron, height: Number) -> bool:
    """Whether 1e-12 of the height is more than the roundings that an answer may be off by."""
    ((_, cell),) = cells(times[:, :-1], weight[:-1], neuron)
    return all(interval.terms < 400 * height for interval in intervals(cell))


def inhibited_then_fired(
    sample: Inputs, ratio: float, gap: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Neuron, Number]:
    """The sample, inhibition shortly after its highest point, and in the end an input that fires any neuron.

    Returns times, weight, neuron and the height of the highest point before that end, as fifty digits.
    """
    assume(any(weight > 1e-2 for time, weight in sample if time < math.inf))
    unit = reach(ratio)
    times, weight = torch.tensor([[t for t, _ in sample]], dtype=dtype), torch.tensor([[w * unit] for _, w in sample])
    neuron = Neuron(*constants(ratio, 1.0, dtype))
    peak, _ = highest_point(times, weight.to(dtype), neuron)
    assume(peak < math.inf)
    finite = times[times < math.inf].max().item()
    later = torch.tensor([[peak + gap, max(finite, peak + gap) + 50]], dtype=dtype)
    strong = weight.abs().sum() + 5 * unit
    more = torch.stack([-strong, 1000 * strong])[:, None]
    times, weight = torch.cat([times, later], 1), torch.cat([weight, more]).to(dtype)
    _, height = highest_point(times[:, :-1], weight[:-1], neuron)
    # Beyond this the sum's terms, when rounded, drown a part in a trillion.
    assume(height > 0.01 * unit and conditioned(times, weight, neuron, height))
    return times, weight, neuron, height


grazing = {
    "sample": inputs(most=4),
    "ratio": ratios.filter(lambda ratio: 0.02 <= ratio <= 50),  # such that 50 tau_syn later an input can fire it
    "gap": st.floats(-9, -1).map(lambda digits: 10**digits),
}


def grazes(times: Tensor, weight: Tensor, neuron: Neuron, v_th: float, exceeds: bool) -> None:
    """Assert that a highest point that `exceeds` v_th or not makes all the difference, also to the solver."""
    peak, _ = highest_point(times[:, :-1], weight[:-1], neuron)
    neuron = Neuron(neuron.tau_mem, neuron.tau_syn, torch.tensor(v_th, dtype=times.dtype))
    ((_, cell),) = cells(times, weight, neuron)
    earliest, _, latest = exact(cell)
    assert (latest <= peak + 1e-9) if exceeds else (earliest > peak + 1)
    spikes = first_spike(times, weight, neuron)
    assert (spikes.item() < peak + 1) is exceeds
    agreement(spikes, times, weight, neuron)


@pytest.mark.parametrize("exceeds", [True, False], ids=["above", "below"])
@settings(deadline=None, max_examples=80, derandomize=True)
@given(**grazing)
def test_one_part_in_a_trillion_decides_between_a_spike_and_none(exceeds, sample, ratio, gap):
    times, weight, neuron, height = inhibited_then_fired(sample, ratio, gap, torch.float64)
    v_th = float(height * (1 - 1e-12 if exceeds else 1 + 1e-12))
    grazes(times, weight, neuron, v_th, exceeds)


@pytest.mark.parametrize("exceeds", [True, False], ids=["above", "below"])
@settings(deadline=None, max_examples=60, derandomize=True)
@given(**grazing)
def test_the_nearest_float32_decides_between_a_spike_and_none(exceeds, sample, ratio, gap):
    times, weight, neuron, height = inhibited_then_fired(sample, ratio, gap, torch.float32)
    nearest = np.float32(float(height))
    if (float(nearest) < height) != exceeds:
        nearest = np.nextafter(nearest, np.float32(0 if exceeds else np.inf))
    assume(abs(number(float(nearest)) - height) > 1e-12 * height)
    grazes(times, weight, neuron, float(nearest), exceeds)


@each_type
@pytest.mark.parametrize("first", [0.0, 0.4], ids=["one_input", "two_inputs"])
@pytest.mark.parametrize("below_one", [False, True], ids=["slow_membrane", "fast_membrane"])
def test_a_crossing_shortly_before_the_peak_is_not_taken_for_the_peak_at_any_ratio(below_one, first, dtype):
    # A first guess of the crossing from a parabola through the start is right on the peak for some ratio near 5 / 3,
    # and how near depends on by how much the peak exceeds the threshold.
    ratio, excess = (
        grid.ravel() for grid in np.meshgrid(np.linspace(1.02, 3, 67), [1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-9])
    )
    ratio = 1 / ratio if below_one else ratio
    tau_mem, tau_syn = torch.tensor(ratio, dtype=dtype), torch.tensor(1.0, dtype=dtype)
    times = torch.tensor([[0.0, 0.25]], dtype=dtype)
    weight = torch.tensor([[first], [1.0]], dtype=dtype).expand(2, ratio.size).contiguous()
    each = cells(times, weight, Neuron(tau_mem, tau_syn))
    height = [max(interval.highest for interval in intervals(cell)) for _, cell in each]
    v_th = torch.tensor([float(h * (1 - e)) for h, e in zip(height, excess, strict=True)], dtype=dtype)
    neuron = Neuron(tau_mem, tau_syn, v_th)
    assert agreement(first_spike(times, weight, neuron), times, weight, neuron).spikes > 0.8 * ratio.size


@pytest.mark.parametrize("ratio", [1e-6, 1e-3, 0.01, 0.02, 50.0, 100.0, 1e3, 1e4, 1e6])
def test_a_peak_is_judged_to_the_last_digits_however_far_apart_the_time_constants_are(ratio, dtype):
    # I tau_mem, the height that a constant current would reach, is then much more than the threshold.
    excess = np.array([sign * 10.0**digits for digits in range(-14, -3) for sign in (1, -1)])
    times, weight = torch.zeros(1, 1, dtype=dtype), torch.full((1, excess.size), reach(ratio), dtype=dtype)
    neuron = Neuron(*constants(ratio, 1.0, dtype))
    height = [float(next(intervals(cell)).highest) for _, cell in cells(times, weight, neuron)]
    neuron = Neuron(neuron.tau_mem, neuron.tau_syn, torch.tensor(height * (1 - excess), dtype=dtype))
    found = agreement(first_spike(times, weight, neuron), times, weight, neuron)
    assert 0 < found.spikes < found.neurons
