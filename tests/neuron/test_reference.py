"""The float64 reference neuron: its limits, and the equation that it solves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from ttfsrun.neuron import reference

time_constants = st.floats(0.1, 10)


def test_the_response_starts_at_zero_with_slope_one(taus):
    assert reference.psp(0.0, *taus) == 0
    assert reference.psp(-1.0, *taus) == 0
    assert reference.psp(1e-9, *taus) == pytest.approx(1e-9, rel=1e-8)


@given(delay=st.floats(0, 1e6), tau_mem=time_constants, tau_syn=time_constants)
def test_the_response_is_positive_bounded_and_symmetric_in_the_time_constants(delay, tau_mem, tau_syn):
    response = reference.psp(delay, tau_mem, tau_syn)
    assert 0 <= response <= min(tau_mem, tau_syn)
    assert response == pytest.approx(reference.psp(delay, tau_syn, tau_mem), rel=1e-12)


@given(delay=st.floats(0, 20), tau=time_constants, difference=st.floats(1e-12, 1e-6))
def test_the_response_is_continuous_through_equal_time_constants(delay, tau, difference):
    equal = reference.psp(delay, tau, tau)
    for near in (tau * (1 + difference), tau * (1 - difference)):
        # dk/dtau is at most d^2 / tau^2 k, half of it from either constant.
        assert reference.psp(delay, near, tau) == pytest.approx(equal, rel=difference * (1 + delay / tau) + 1e-14)


def test_the_response_for_a_ratio_of_two_is_a_difference_of_exponentials():
    assert reference.psp(2 * math.log(2), 2.0, 1.0) == pytest.approx(0.5, rel=1e-15)
    assert reference.psp(0.7, 2.0, 1.0) == pytest.approx(2 * (math.exp(-0.35) - math.exp(-0.7)), rel=1e-15)


def test_the_membrane_solves_the_differential_equations_of_the_model(taus):
    times, weights = [0.1, 0.4, 0.9], [1.2, -0.7, 2.0]
    state = np.zeros(2)  # V - v_leak, I
    for start, end, weight in zip(times, [*times[1:], 3.0], weights, strict=True):
        state[1] += weight
        solution = solve_ivp(
            lambda _, y: [y[1] - y[0] / taus[0], -y[1] / taus[1]], (start, end), state, rtol=1e-11, atol=1e-13
        )
        state = solution.y[:, -1].copy()
        assert reference.membrane_reference(end, times, weights, *taus) == pytest.approx(state[0], rel=1e-9)
        before_the_input = [time if time < end else math.inf for time in times]
        assert reference.current(end, before_the_input, weights, taus[1]) == pytest.approx(state[1], rel=1e-9)


@given(
    sample=st.lists(st.tuples(st.floats(0, 5), st.floats(-2, 4)), min_size=1, max_size=6),
    tau_mem=time_constants,
    tau_syn=time_constants,
)
def test_the_membrane_is_at_threshold_at_the_spike_and_below_before(sample, tau_mem, tau_syn):
    times, weights = zip(*sample, strict=True)
    spike = reference.first_spike_of_one(times, weights, tau_mem, tau_syn, 1.0)
    terms = 1 + min(tau_mem, tau_syn) * sum(map(abs, weights))
    if spike < math.inf:
        # One rounding of the time moves the membrane by its slope, which is at most the current.
        rounding = 1e-15 * (terms + spike * sum(map(abs, weights)))
        assert reference.membrane_reference(spike, times, weights, tau_mem, tau_syn) == pytest.approx(1, abs=rounding)
    end = min(spike, max(times) + 20)
    for time in np.linspace(0, end, 200, endpoint=False):
        assert reference.membrane_reference(time, times, weights, tau_mem, tau_syn) <= 1 + 1e-15 * terms


def test_a_peak_must_exceed_the_threshold():
    # For tau_mem = 2 tau_syn = 2 a weight of 2 peaks at exactly 1.
    assert reference.first_spike_of_one([0.0], [2 * (1 - 1e-14)], 2.0, 1.0, 1.0) == math.inf
    above = reference.first_spike_of_one([0.0], [2 * (1 + 1e-12)], 2.0, 1.0, 1.0)
    assert above == pytest.approx(2 * math.log(2) - 2e-6, abs=1e-8)


def test_a_peak_between_two_inputs_is_seen(taus):
    before = reference.first_spike_of_one([0.0], [5.0], *taus, 1.0)
    assert reference.first_spike_of_one([0.0, 0.9], [5.0, -100.0], *taus, 1.0) == before < 0.9


def test_a_neuron_whose_leak_is_above_its_threshold_fires_at_zero():
    assert reference.first_spike_of_one([0.5], [1.0], 1.0, 1.0, 0.0) == 0
    assert reference.first_spike_of_one([0.5], [1.0], 1.0, 1.0, -1.0) == 0


@pytest.mark.parametrize("times", [[], [math.inf], [math.inf, math.inf]])
def test_without_an_input_there_is_no_spike(times):
    assert reference.first_spike_of_one(times, [9.0] * len(times), 1.0, 1.0, 1.0) == math.inf


def test_a_layer_is_its_neurons_one_by_one(taus):
    generator = np.random.default_rng(0)
    times, weight = generator.uniform(0, 1, (3, 5)), generator.normal(1, 1, (5, 4))
    layer = reference.first_spike_reference(times, weight, *taus, 1.0)
    assert layer.shape == (3, 4)
    assert layer[2, 1] == reference.first_spike_of_one(times[2], weight[:, 1], *taus, 1.0)


def test_inputs_far_apart_do_not_overflow(taus):
    assert 1e4 < reference.first_spike_of_one([0.0, 1e4], [-1.0, 5.0], *taus, 1.0) < 1e4 + 1
