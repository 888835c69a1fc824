"""The edge cases of the model have one defined answer each."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from ttfsrun.neuron import Neuron, first_spike, reference


def spike_of_one(times: list[float], weights: list[float], neuron: Neuron, dtype: torch.dtype = torch.float64) -> float:
    """The first spike of one neuron in one sample."""
    return first_spike(torch.tensor([times], dtype=dtype), torch.tensor(weights, dtype=dtype)[:, None], neuron).item()


def peak_delay(tau_mem: float, tau_syn: float) -> float:
    """When the response to one input is largest."""
    return tau_mem if tau_mem == tau_syn else math.log(tau_mem / tau_syn) / (1 / tau_syn - 1 / tau_mem)


def number(value: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(value, dtype=dtype)


def test_one_input_spikes_where_its_response_crosses(taus):
    spike = spike_of_one([0.4], [5.0], Neuron(*taus))
    assert 5 * reference.psp(spike - 0.4, *taus) == pytest.approx(1, abs=1e-14)
    assert spike - 0.4 < peak_delay(*taus)


def test_the_order_of_inputs_at_the_same_time_does_not_matter_beyond_rounding(taus, dtype):
    generator = np.random.default_rng(0)
    times = torch.tensor(np.repeat(generator.uniform(0, 1, (5, 4)), 5, axis=1), dtype=dtype)
    weight = torch.tensor(generator.normal(0.4, 0.5, (20, 9)), dtype=dtype)
    forwards, backwards = (
        first_spike(times[:, order].contiguous(), weight[order].contiguous(), Neuron(*taus))
        for order in (torch.arange(20), torch.arange(19, -1, -1))
    )
    assert torch.isfinite(forwards).sum() > 10
    # None of these comes within 1% of grazing: a rounding of the membrane grows by a factor of 10 at the most.
    torch.testing.assert_close(forwards, backwards, rtol=100 * torch.finfo(dtype).eps, atol=0)


def test_inputs_at_the_same_time_act_as_their_sum(taus):
    together = spike_of_one([0.5, 0.5, 0.5, 0.7], [2.0, -1.0, 1.5, 1.0], Neuron(*taus))
    assert together == pytest.approx(spike_of_one([0.5, 0.7], [2.5, 1.0], Neuron(*taus)), rel=1e-14)


def test_without_a_finite_input_there_is_no_spike(taus, dtype):
    spikes = first_spike(torch.full((3, 4), math.inf, dtype=dtype), torch.full((4, 5), 9.0, dtype=dtype), Neuron(*taus))
    assert spikes.tolist() == [[math.inf] * 5] * 3


@pytest.mark.parametrize("shape", [(0, 3, 5), (4, 0, 5), (4, 3, 0), (0, 0, 0), (0, 4, 3, 5), (2, 4, 0, 5)])
def test_nothing_of_something_is_no_error_forwards_or_backwards(shape, dtype):
    *lead, n_rows, n_inputs, n_neurons = shape
    times = torch.zeros(*lead, n_rows, n_inputs, dtype=dtype, requires_grad=True)
    weight = torch.ones(*lead, n_inputs, n_neurons, dtype=dtype, requires_grad=True)
    v_th, tau_mem = (torch.ones(n_neurons, dtype=dtype, requires_grad=True) for _ in range(2))
    spikes = first_spike(times, weight, Neuron(tau_mem, v_th=v_th))
    assert spikes.shape == (*lead, n_rows, n_neurons)
    assert bool((spikes == math.inf).all())
    spikes.sum().backward()
    for leaf in (times, weight, v_th, tau_mem):
        assert leaf.grad is not None
        assert leaf.grad.shape == leaf.shape
        assert not leaf.grad.any()


def test_a_neuron_whose_leak_is_at_or_above_its_threshold_fires_at_0_whatever_comes(dtype):
    times = torch.tensor([[0.5, 0.7], [math.inf, math.inf]], dtype=dtype, requires_grad=True)
    weight = torch.tensor([[9.0, -9.0, 9.0]] * 2, dtype=dtype, requires_grad=True)
    v_leak = torch.tensor([1.0, 1.5, 0.0], dtype=dtype, requires_grad=True)
    v_th = torch.ones(3, dtype=dtype, requires_grad=True)
    spikes = first_spike(times, weight, Neuron(v_th=v_th, v_leak=v_leak))
    assert spikes[:, :2].tolist() == [[0.0, 0.0]] * 2
    assert spikes[0, 2] > 0.5
    spikes[:, :2].sum().backward()
    for leaf in (times, weight, v_th, v_leak):
        assert leaf.grad is not None
        assert not leaf.grad.any()


@pytest.mark.parametrize(("tau_mem", "tau_syn"), [(2.0, 1.0), (1.0, 2.0)])
@pytest.mark.parametrize("start", [0.0, 0.3, 1000.25])
def test_a_peak_that_only_touches_the_threshold_is_no_spike(tau_mem, tau_syn, start, dtype):
    # k peaks at 2 (1/2 - 1/4) = 1/2, where exp(-d / 2) = 1/2: a weight of 2 touches v_th = 1 exactly.
    assert spike_of_one([start], [2.0], Neuron(tau_mem, tau_syn), dtype) == math.inf
    more = 2 * (1 + 8 * torch.finfo(dtype).eps)
    assert spike_of_one([start], [more], Neuron(tau_mem, tau_syn), dtype) == pytest.approx(
        start + 2 * math.log(2),
        # V is flat around its peak: an excess of 8 roundings is left 4 sqrt(eps) before it.
        abs=6 * math.sqrt(torch.finfo(dtype).eps) + 2 * start * torch.finfo(dtype).eps,
    )


@pytest.mark.parametrize("weight", [1.3, 5.0])
@pytest.mark.parametrize("start", [0.0, 0.3, 37.7])
def test_a_peak_of_one_part_in_a_trillion_above_the_threshold_is_a_spike_and_one_below_is_none(taus, weight, start):
    peak = weight * reference.psp(peak_delay(*taus), *taus)
    assert spike_of_one([start], [weight], Neuron(*taus, v_th=number(peak * (1 + 1e-12)))) == math.inf
    spike = spike_of_one([start], [weight], Neuron(*taus, v_th=number(peak * (1 - 1e-12))))
    # V is flat around its peak: 1e-12 of height is sqrt(2e-12) of tau in time, tau being sqrt(tau_mem tau_syn).
    before_peak = math.sqrt(2e-12 * taus[0] * taus[1])
    # A rounding of the threshold's excess, 1e-16 of 1e-12, shifts the crossing by 1e-4 of that.
    assert start + peak_delay(*taus) - spike == pytest.approx(before_peak, rel=1e-3, abs=1e-14 * start)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(
    tau_mem=st.floats(0.2, 20),
    tau_syn=st.floats(0.2, 20),
    start=st.floats(0, 5),
    excess=st.floats(1e-12, 1e-2),
    follower=st.floats(1e-6, 3),
)
def test_a_spike_is_never_missed_however_short_the_peak(tau_mem, tau_syn, start, excess, follower):
    # The membrane is below threshold at both inputs, and above it for a short while in between.
    if math.isclose(tau_mem, tau_syn, rel_tol=1e-6):
        tau_mem = tau_syn
    delay = peak_delay(tau_mem, tau_syn)
    weight = (1 + excess) / reference.psp(delay, tau_mem, tau_syn)
    last = start + delay
    neuron = Neuron(tau_mem, tau_syn)
    assert spike_of_one([start], [weight], neuron) < last
    inputs = [start, start + delay * (1 + math.sqrt(8 * excess)) * (1 + follower)]
    # A membrane with very different time constants hardly falls between the inputs.
    assume(reference.membrane_reference(inputs[1], inputs, [weight, -1.0], tau_mem, tau_syn) < 1)
    crossing = spike_of_one(inputs, [weight, -1.0], neuron)
    assert start < crossing < last
    assert spike_of_one(inputs, [weight * (1 - 2 * excess), -1.0], neuron) == math.inf


def test_a_spike_between_two_inputs_is_not_undone_by_the_second(taus):
    peak = reference.psp(peak_delay(*taus), *taus)
    alone = spike_of_one([0.0], [1.001 / peak], Neuron(*taus))
    assert spike_of_one([0.0, peak_delay(*taus) + 0.2], [1.001 / peak, -50.0], Neuron(*taus)) == alone
    assert spike_of_one([0.0, alone - 1e-3], [1.001 / peak, -50.0], Neuron(*taus)) == math.inf


@pytest.mark.parametrize("gap", [10.0, 100.0, 1e3, 1e4])
def test_far_inputs_neither_overflow_nor_leave_a_trace(taus, gap, dtype):
    # After ten time constants of 2, exp(-10 / 2) * 1.5 of the first input is left; after a hundred, nothing.
    neuron = Neuron(*taus)
    weight = 1.2 / reference.psp(peak_delay(*taus), *taus)
    times = [0.0, gap, 2 * gap]
    spike = spike_of_one(times, [-3.0, 0.1, weight], neuron, dtype)
    expected = reference.first_spike_of_one(times, [-3.0, 0.1, number(weight, dtype).item()], *taus, 1.0)
    assert expected > 2 * gap
    # The slope at the spike is above 0.3.
    assert spike == pytest.approx(expected, rel=8 * torch.finfo(dtype).eps)


def test_a_slow_membrane_remembers_over_many_fast_time_constants(dtype):
    # 200 synaptic time constants later, a membrane of tau 400 still holds exp(-1/2) of its charge.
    neuron = Neuron(tau_mem=400.0, tau_syn=1.0)
    times, weights = [0.0, 100.0, 200.0], [0.625, 0.375, 0.5]
    expected = reference.first_spike_of_one(times, weights, 400.0, 1.0, 1.0)
    assert 200 < expected < 202
    assert spike_of_one(times, weights, neuron, dtype) == pytest.approx(expected, rel=8 * torch.finfo(dtype).eps)


def test_inhibition_alone_never_fires(taus, dtype, draw_layer):
    times, weight = draw_layer(5, 20, 9, dtype=dtype)
    assert bool((first_spike(times, -weight.abs(), Neuron(*taus)) == math.inf).all())


@pytest.mark.parametrize("weight", [1e3, 1e6])
def test_a_huge_weight_fires_at_once(taus, weight, dtype):
    for start in (0.0, 1.5):
        spike = spike_of_one([start, start + 1], [weight, -weight], Neuron(*taus), dtype)
        # k(d) = d to first order: the charge reaches v_th = 1 after 1 / weight. Delays are rounded like 1 and `start`.
        rounding = 2 * torch.finfo(dtype).eps * (1 + start)
        assert spike - start == pytest.approx(1 / weight, rel=2 / weight, abs=rounding)


def test_a_tiny_weight_does_not_fire_but_counts(taus, dtype):
    times, weights = [0.1] * 1000, [1e-3] * 1000
    assert spike_of_one(times[:1], weights[:1], Neuron(*taus), dtype) == math.inf
    sum_of_all = spike_of_one(times, weights, Neuron(*taus, v_th=number(0.25, dtype)), dtype)
    expected = spike_of_one([0.1], [1.0], Neuron(*taus, v_th=number(0.25)))
    # Each of a thousand additions rounds.
    assert sum_of_all == pytest.approx(expected, rel=1000 * torch.finfo(dtype).eps)


def test_an_input_after_the_spike_changes_nothing(taus, dtype, draw_layer):
    times, weight = draw_layer(5, 20, 9, dtype=dtype)
    spikes = first_spike(times, weight, Neuron(*taus))
    latest = spikes[torch.isfinite(spikes)].max().item()
    later = torch.cat([times, torch.full((5, 1), latest + 1e-3, dtype=dtype)], dim=1)
    for added in (50.0, -50.0):
        more = first_spike(later, torch.cat([weight, torch.full((1, 9), added, dtype=dtype)]), Neuron(*taus))
        spiked = torch.isfinite(spikes)
        torch.testing.assert_close(more[spiked], spikes[spiked], rtol=100 * torch.finfo(dtype).eps, atol=0)
