"""Spike times against the float64 reference, against closed forms, and against laws of the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import lambertw

from ttfsrun.neuron import Neuron, first_spike, reference

SPANS = [0.1, 2.0, 30.0, 1e3, 1e4]


def slopes(spikes, times, weight, tau_mem, tau_syn, theta):
    """dV/dt at each spike [B, M], inf where there is none."""
    out = np.full(spikes.shape, np.inf)
    for row, column in zip(*np.nonzero(spikes < np.inf), strict=True):
        drive = reference.current(spikes[row, column], times[row], weight[:, column], tau_syn)
        out[row, column] = drive - theta / tau_mem
    return out


def membranes(time, times, weight, tau_mem, tau_syn):
    """V - v_leak of every neuron [M] at one time, from times [N] and weight [N, M]."""
    return np.array([reference.psp(time - t, tau_mem, tau_syn) for t in times]) @ weight


@pytest.mark.parametrize("span", SPANS)
def test_in_float64_spikes_are_those_of_the_reference_to_twelve_digits(taus, span, draw_layer):
    times, weight = draw_layer(6, 20, 12, span=span)
    spikes = first_spike(times, weight, Neuron(*taus)).numpy()
    expected = reference.first_spike_reference(times.numpy(), weight.numpy(), *taus, 1.0)
    assert np.array_equal(spikes == np.inf, expected == np.inf)
    # At a slope below 0.05, rounding of the membrane alone shifts the crossing by 1e-14 and more.
    slope = slopes(expected, times.numpy(), weight.numpy(), *taus, 1.0)
    steep = (slope > 0.05) & (slope < np.inf)
    assert steep.sum() >= 0.9 * (expected < np.inf).sum() > 10
    error = np.abs(spikes[steep] - expected[steep]) / np.maximum(1, expected[steep])
    assert error.max() < 1e-12


@pytest.mark.parametrize("span", SPANS)
def test_spikes_are_exact_up_to_the_rounding_of_the_membrane(taus, span, dtype, draw_layer, check_exact):
    times, weight = draw_layer(5, 20, 9, span=span, dtype=dtype, seed=1)
    times[0, ::3] = np.inf
    spikes = first_spike(times, weight, Neuron(*taus))
    assert torch.isfinite(spikes).sum() > 0
    check_exact(spikes, times, weight, Neuron(*taus))


@pytest.mark.parametrize("span", [0.1, 3.0, 1e3])
def test_every_neuron_may_have_its_own_time_constants(span, dtype, draw_layer, check_exact):
    times, weight = draw_layer(4, 15, 21, span=span, dtype=dtype, seed=2)
    generator = np.random.default_rng(3)
    tau_mem, tau_syn = (torch.tensor(generator.lognormal(0, 0.6, (1, 21)), dtype=dtype) for _ in range(2))
    tau_mem[0, :4], tau_syn[0, :4] = torch.tensor([1, 2, 0.5, 40]), torch.tensor([1, 1, 1, 0.1])
    neuron = Neuron(tau_mem, tau_syn)
    spikes = first_spike(times, weight, neuron)
    assert torch.isfinite(spikes).sum() > 0
    check_exact(spikes, times, weight, neuron)


def test_time_constants_given_for_each_neuron_or_once_mean_the_same(taus, draw_layer, check_exact):
    times, weight = draw_layer(5, 12, 11, seed=4)
    each = Neuron(*(torch.full((11,), tau, dtype=torch.float64) for tau in taus))
    spikes = first_spike(times, weight, each)
    check_exact(spikes, times, weight, Neuron(*taus))


def test_threshold_and_leak_may_differ_for_each_sample_and_neuron(taus, dtype, draw_layer, check_exact):
    times, weight = draw_layer(6, 15, 10, dtype=dtype, seed=5)
    generator = np.random.default_rng(6)
    v_th = torch.tensor(generator.uniform(0.4, 1.4, (6, 10)), dtype=dtype)
    v_leak = torch.tensor(generator.uniform(-0.3, 0.3, (6, 1)), dtype=dtype)
    neuron = Neuron(*taus, v_th=v_th, v_leak=v_leak)
    check_exact(first_spike(times, weight, neuron), times, weight, neuron)


def test_numbers_as_parameters_are_not_rounded_to_float32():
    # 1.1 in float32 is off by 2e-8.
    times, weight = torch.zeros(1, 1, dtype=torch.float64), torch.full((1, 1), 4.0, dtype=torch.float64)
    numbers = Neuron(tau_mem=1.3, tau_syn=0.9, v_th=1.1, v_leak=0.1)
    expected = reference.first_spike_of_one([0.0], [4.0], 1.3, 0.9, 1.1 - 0.1)
    assert first_spike(times, weight, numbers).item() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("ratio", [0.55, 0.6, 1.0, 1.6, 1.77, 1.8, 2.0])
def test_a_threshold_just_below_the_peak_is_crossed_before_the_peak(ratio, dtype, draw_layer, check_exact):
    # A parabola through the start of the interval may miss such a threshold; the search then starts at the peak.
    times, weight = draw_layer(1, 5, 200, dtype=dtype, seed=15)
    grid = np.linspace(0, 10, 2001)
    values = (times[0].double().numpy(), weight.double().numpy(), ratio, 1.0)
    peaks = np.max([membranes(time, *values) for time in grid], axis=0)
    below = 1 - 10 ** np.random.default_rng(16).uniform(-5, -2, len(peaks))
    neuron = Neuron(ratio, 1.0, v_th=torch.tensor(np.where(peaks > 0.1, below * peaks, 9.0), dtype=dtype))
    spikes = first_spike(times, weight, neuron)
    assert torch.isfinite(spikes).sum() > 100
    check_exact(spikes, times, weight, neuron)


def test_for_equal_time_constants_the_spike_is_lamberts_w(dtype):
    generator = np.random.default_rng(7)
    times = torch.tensor(generator.uniform(0, 0.3, (5, 8)), dtype=dtype)
    weight = torch.tensor(generator.uniform(0.2, 0.5, (8, 6)), dtype=dtype)
    tau, theta = 1.25, 0.8
    spikes = first_spike(times, weight, Neuron(tau, tau, v_th=0.9, v_leak=0.1)).double().numpy()
    # With all inputs causal, V(T) = exp(-T / tau) (a T - b) = theta.
    x = np.exp(times.double().numpy() / tau)
    a, b = x @ weight.double().numpy(), (x * times.double().numpy()) @ weight.double().numpy()
    expected = b / a - tau * lambertw(-theta / (tau * a) * np.exp(b / (tau * a))).real
    assert expected.min() > times.max()
    np.testing.assert_allclose(spikes, expected, rtol=32 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("tau_syn", [1.0, 0.6])
def test_for_a_membrane_twice_as_slow_the_spike_is_the_root_of_a_quadratic(tau_syn, dtype):
    generator = np.random.default_rng(8)
    times = torch.tensor(generator.uniform(0, 0.2, (5, 8)), dtype=dtype)
    weight = torch.tensor(generator.uniform(0.3, 0.6, (8, 6)) / tau_syn, dtype=dtype)
    spikes = first_spike(times, weight, Neuron(2 * tau_syn, tau_syn)).double().numpy()
    # With all inputs causal and u = exp(-T / tau_mem), V(T) = tau_mem (a u - b u^2) = v_th = 1.
    tau_mem = 2 * tau_syn
    a, b = (np.exp(times.double().numpy() / tau) @ weight.double().numpy() for tau in (tau_mem, tau_syn))
    expected = tau_mem * np.log(2 * b / (a + np.sqrt(a**2 - 4 * b / tau_mem)))
    assert expected.min() > times.max()
    np.testing.assert_allclose(spikes, expected, rtol=32 * torch.finfo(dtype).eps)


def test_a_response_is_the_same_with_both_time_constants_exchanged(dtype, draw_layer):
    times, weight = draw_layer(5, 12, 11, seed=9, dtype=dtype)
    one, other = (first_spike(times, weight, Neuron(*pair)) for pair in ((0.6, 1.7), (1.7, 0.6)))
    assert torch.equal(one, other)


def test_the_order_in_which_inputs_are_listed_does_not_matter(taus, dtype, draw_layer):
    times, weight = draw_layer(5, 30, 11, seed=10, dtype=dtype)
    order = torch.tensor(np.random.default_rng(11).permutation(30))
    shuffled = first_spike(times[:, order].contiguous(), weight[order].contiguous(), Neuron(*taus))
    assert torch.equal(shuffled, first_spike(times, weight, Neuron(*taus)))


def test_an_input_that_is_silent_might_as_well_not_be_there(taus, dtype, draw_layer):
    times, weight = draw_layer(5, 30, 11, seed=12, dtype=dtype)
    times[:, 7:19] = np.inf
    present = [*range(7), *range(19, 30)]
    without = first_spike(times[:, present].contiguous(), weight[present].contiguous(), Neuron(*taus))
    assert torch.equal(first_spike(times, weight, Neuron(*taus)), without)


def test_the_unit_of_time_does_not_matter(taus, dtype, draw_layer):
    # Charge is current times time: a weight gets smaller as time is counted in smaller units. Powers of 2 are exact.
    times, weight = draw_layer(5, 20, 11, seed=13, dtype=dtype)
    slow = first_spike(1024 * times, weight / 1024, Neuron(*(1024 * tau for tau in taus)))
    torch.testing.assert_close(slow, 1024 * first_spike(times, weight, Neuron(*taus)), rtol=1e-6, atol=0)


def test_the_unit_of_voltage_does_not_matter(taus, dtype, draw_layer):
    times, weight = draw_layer(5, 20, 11, seed=14, dtype=dtype)
    large = first_spike(times, 1024 * weight, Neuron(*taus, v_th=1024.0))
    torch.testing.assert_close(large, first_spike(times, weight, Neuron(*taus)), rtol=1e-6, atol=0)


time_constants = st.floats(0.1, 10)
spike_times = st.one_of(st.floats(-3, 6), st.just(np.inf), st.sampled_from([0.0, 1.0, 1.0 + 2**-20]))
weights = st.one_of(st.floats(-3, 5), st.just(0.0))


@st.composite
def samples(draw):
    """(times [2, N], weight [N, 3]): inputs may coincide, be silent, have weight 0."""
    n_inputs = draw(st.integers(1, 7))
    times = draw(st.lists(spike_times, min_size=2 * n_inputs, max_size=2 * n_inputs))
    weight = draw(st.lists(weights, min_size=3 * n_inputs, max_size=3 * n_inputs))
    return np.reshape(times, (2, n_inputs)), np.reshape(weight, (n_inputs, 3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@settings(deadline=None, max_examples=150, derandomize=True)
@given(sample=samples(), tau_mem=time_constants, tau_syn=time_constants, theta=st.floats(0.05, 4))
def test_no_input_yields_anything_but_the_first_spike(dtype, check_exact, sample, tau_mem, tau_syn, theta):
    times, weight = (torch.tensor(array, dtype=dtype) for array in sample)
    neuron = Neuron(tau_mem, tau_syn, v_th=torch.tensor(theta, dtype=dtype))
    check_exact(first_spike(times, weight, neuron), times, weight, neuron)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(sample=samples(), tau_mem=time_constants, tau_syn=time_constants)
def test_a_higher_threshold_is_never_reached_earlier(sample, tau_mem, tau_syn):
    times, weight = (torch.tensor(array) for array in sample)
    low, high = (first_spike(times, weight, Neuron(tau_mem, tau_syn, v_th=v_th)) for v_th in (0.5, 0.75))
    assert bool((low <= high).all())
