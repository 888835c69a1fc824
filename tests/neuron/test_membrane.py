"""The membrane's closed form for figures agrees with the reference neuron, and passes through the exact spike."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ttfsrun.neuron import Neuron, first_spike, reference
from ttfsrun.neuron.membrane import responses, voltage

time_constants = st.floats(0.1, 10)


@given(
    sample=st.lists(st.tuples(st.floats(-1, 5), st.floats(-2, 4)), max_size=6),
    at=st.floats(-1, 9),
    tau_mem=time_constants,
    tau_syn=time_constants,
    v_leak=st.floats(-1, 1),
)
def test_it_is_the_voltage_of_the_plain_neuron(
    sample: list[tuple[float, float]], at: float, tau_mem: float, tau_syn: float, v_leak: float
) -> None:
    times, weight = (np.array([pair[k] for pair in sample]) for k in (0, 1))
    plain = v_leak + reference.membrane_reference(at, times, weight, tau_mem, tau_syn)  # type: ignore[arg-type]
    (drawn,) = voltage(np.array([at]), times, weight, (tau_mem, tau_syn), v_leak)
    assert drawn == pytest.approx(plain, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("tau", [(1.0, 1.0), (2.0, 1.0), (1.0, 2.0), (1.3, 0.7), (1.0, 1.0 + 1e-13)])
@pytest.mark.parametrize("v_leak", [0.0, -0.4, 0.3])
def test_the_exact_spike_lies_on_it_at_the_threshold(tau: tuple[float, float], v_leak: float) -> None:
    random = np.random.default_rng(0)
    times, weight = random.uniform(0, 2, 8), random.normal(0.6, 1.0, (8, 20))
    times[3] = math.inf
    neuron = Neuron(tau_mem=tau[0], tau_syn=tau[1], v_th=1.0, v_leak=v_leak)
    spikes = first_spike(torch.from_numpy(times[None]), torch.from_numpy(weight), neuron)[0].numpy()
    assert 5 <= np.isfinite(spikes).sum() <= 19
    for spike, column in zip(spikes, weight.T, strict=True):
        before = np.linspace(0, min(spike, 40.0), 500, endpoint=False)
        assert (voltage(before, times, column, tau, v_leak) < 1.0).all()
        if spike < math.inf:
            assert voltage(np.array([spike]), times, column, tau, v_leak)[0] == pytest.approx(1.0, abs=1e-14)


def test_far_from_its_inputs_the_membrane_is_at_rest() -> None:
    assert (
        voltage(np.array([-5.0, 0.0, 1e5]), np.array([0.0]), np.array([3.0]), (1.0, 2.0), 0.25).tolist() == [0.25] * 3
    )
    assert voltage(np.array([1.0]), np.array([math.inf]), np.array([3.0]), (1.0, 2.0), 0.25).tolist() == [0.25]


def test_the_response_starts_with_slope_one_whatever_the_time_constants() -> None:
    for tau in ((1.0, 1.0), (2.0, 1.0), (0.1, 10.0)):
        assert responses(np.array([0.0, 1e-9]), *tau) == pytest.approx([0, 1e-9], rel=1e-7)
