"""Derivatives of spike times: against finite differences, against their closed form, and against laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from ttfsrun.neuron import Neuron, first_spike, reference
from ttfsrun.neuron.kernels.gradient_by_weights import GROUP

DOUBLE = torch.float64


def finite_spikes(spikes: Tensor) -> Tensor:
    """gradcheck can not subtract inf from inf."""
    return spikes[torch.isfinite(spikes)]


def slope(spike: float, times: Tensor, weight: Tensor, neuron: Neuron) -> float:
    """V'(T) of one neuron: current minus leak."""
    drive = reference.current(spike, times.tolist(), weight.tolist(), neuron.tau_syn)
    return drive - (neuron.v_th - neuron.v_leak) / neuron.tau_mem


def leaves(*tensors: Tensor) -> list[Tensor]:
    return [tensor.clone().requires_grad_() for tensor in tensors]


@pytest.mark.parametrize("lead", [(), (3,)])
def test_derivatives_by_weights_and_times_are_the_limits_of_differences(taus, lead, draw_layer):
    def spikes(times: Tensor, weight: Tensor) -> Tensor:
        return finite_spikes(first_spike(times, weight, Neuron(*taus)))

    times, weight = draw_layer(*lead, 4, 6, 5, seed=1)
    n_spikes = len(spikes(times, weight))
    assert 5 < n_spikes < math.prod(lead) * 4 * 5  # some neurons are silent
    assert torch.autograd.gradcheck(spikes, leaves(times, weight))


@pytest.mark.parametrize("shape", [(), (5,), (4, 1), (4, 5), (3, 1, 5), (3, 4, 5)])
def test_derivatives_by_threshold_and_leak_are_the_limits_of_differences(taus, shape, draw_layer):
    times, weight = draw_layer(3, 4, 6, 5, seed=2)

    def spikes(v_th: Tensor, v_leak: Tensor) -> Tensor:
        return finite_spikes(first_spike(times, weight, Neuron(*taus, v_th=v_th, v_leak=v_leak)))

    v_th, v_leak = torch.full(shape, 0.8, dtype=DOUBLE), torch.full(shape, 0.1, dtype=DOUBLE)
    assert 5 < len(spikes(v_th, v_leak)) < 3 * 4 * 5
    assert torch.autograd.gradcheck(spikes, leaves(v_th, v_leak))


def test_derivatives_are_right_where_each_neuron_has_its_own_time_constants(draw_layer):
    times, weight = draw_layer(2, 4, 6, 5, seed=3)
    tau_mem, tau_syn = torch.tensor([1, 2, 1.5, 0.7, 9.0]), torch.tensor([[[1, 1, 1, 1, 0.5]], [[2, 0.5, 1, 0.7, 1]]])

    def spikes(times: Tensor, weight: Tensor, v_th: Tensor, v_leak: Tensor) -> Tensor:
        return finite_spikes(first_spike(times, weight, Neuron(tau_mem, tau_syn, v_th, v_leak)))

    potentials = torch.full((4, 5), 0.8, dtype=DOUBLE), torch.full((2, 1, 5), -0.1, dtype=DOUBLE)
    assert len(spikes(times, weight, *potentials)) > 5
    assert torch.autograd.gradcheck(spikes, leaves(times, weight, *potentials))


def test_derivatives_of_inputs_far_apart_are_right(taus, draw_layer):
    def spikes(times: Tensor, weight: Tensor) -> Tensor:
        return finite_spikes(first_spike(times, weight, Neuron(*taus)))

    times, weight = draw_layer(3, 8, 5, seed=4, span=30.0)
    assert len(spikes(times, 2 * weight)) > 5
    assert torch.autograd.gradcheck(spikes, leaves(times, 2 * weight))


def test_one_weight_of_several_networks_collects_the_gradient_of_all(draw_layer):
    times, weight = draw_layer(3, 4, 6, 5)
    shared, own = leaves(weight[0], weight[0].expand(3, 6, 5))
    for each in (shared, own):
        finite_spikes(first_spike(times, each, Neuron())).sum().backward()
    torch.testing.assert_close(shared.grad, own.grad.sum(0))


def test_derivatives_follow_the_closed_formula(taus, draw_layer):
    times, weight = draw_layer(4, 9, 5, seed=5)
    neuron = Neuron(*taus, v_th=0.9, v_leak=0.2)
    for column in range(5):
        leaf_times, leaf_weight = leaves(times, weight[:, [column]])
        spikes = first_spike(leaf_times, leaf_weight, neuron)
        for row in torch.isfinite(spikes).nonzero()[:, 0].tolist():
            spike = spikes[row, 0].item()
            steepness = slope(spike, times[row], weight[:, column], neuron)
            by_times, by_weight = torch.autograd.grad(spikes[row, 0], [leaf_times, leaf_weight], retain_graph=True)
            expected = [-reference.psp(spike - time, *taus) / steepness for time in times[row].tolist()]
            np.testing.assert_allclose(by_weight[:, 0], expected, rtol=1e-10, atol=1e-13)
            # k' = exp(-d / tau_syn) - k / tau_mem
            rise = [
                math.exp(-(spike - time) / taus[1]) - reference.psp(spike - time, *taus) / taus[0]
                if time < spike
                else 0.0
                for time in times[row].tolist()
            ]
            expected = weight[:, column].numpy() * rise / steepness
            np.testing.assert_allclose(by_times[row], expected, rtol=1e-10, atol=1e-12)


def test_a_higher_threshold_and_a_lower_leak_are_the_same_to_a_spike(taus, draw_layer):
    times, weight = draw_layer(4, 9, 5, seed=6)
    v_th, v_leak = leaves(torch.ones(4, 5, dtype=DOUBLE), torch.zeros(4, 5, dtype=DOUBLE))
    spikes = first_spike(times, weight, Neuron(*taus, v_th=v_th, v_leak=v_leak))
    finite_spikes(spikes).sum().backward()
    assert torch.equal(v_th.grad, -v_leak.grad)
    assert torch.equal(v_th.grad > 0, torch.isfinite(spikes))
    row, column = torch.isfinite(spikes).nonzero()[0].tolist()
    steepness = slope(spikes[row, column].item(), times[row], weight[:, column], Neuron(*taus))
    assert v_th.grad[row, column].item() == pytest.approx(1 / steepness, rel=1e-11)


samples = st.lists(st.tuples(st.floats(0, 4), st.floats(-2, 5)), min_size=1, max_size=8)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@settings(deadline=None, max_examples=150, derandomize=True)
@given(sample=samples, tau_mem=st.floats(0.2, 5), tau_syn=st.floats(0.2, 5), v_leak=st.sampled_from([0.0, 0.5, -0.5]))
def test_the_derivatives_by_the_input_times_sum_to_one(dtype, sample, tau_mem, tau_syn, v_leak):
    # All inputs a little later: the spike as much later.
    times, weight = (torch.tensor([*column], dtype=dtype) for column in zip(*sample, strict=True))
    times.requires_grad_()
    neuron = Neuron(tau_mem, tau_syn, v_leak=v_leak)
    spike = first_spike(times[None], weight[:, None], neuron)[0, 0]
    if spike < math.inf:
        spike.backward()
        # The sum is V'(T) / V'(T), each with the rounding of its own terms, which are at most |w| and theta / tau.
        terms = weight.abs().sum().item() + (1 - v_leak) / min(tau_mem, tau_syn)
        steepness = slope(spike.item(), times.detach(), weight, neuron)
        relative = 64 * torch.finfo(dtype).eps * terms / max(steepness, 1e-30)
        assume(relative < 0.1)  # else it grazes the threshold, and no digit of V'(T) is known
        assert abs(times.grad.sum().item() - 1) <= relative
    else:
        assert not torch.autograd.grad(spike, times)[0].any()


def test_a_shift_of_all_inputs_shifts_the_spike_and_leaves_its_derivatives(taus, draw_layer):
    times, weight = draw_layer(4, 12, 9, seed=7)
    here, there = leaves(times, times)
    spikes, shifted = (first_spike(leaf + shift, weight, Neuron(*taus)) for leaf, shift in ((here, 0), (there, 3)))
    torch.testing.assert_close(shifted, spikes + 3, rtol=1e-12, atol=0)
    finite_spikes(spikes).sum().backward()
    finite_spikes(shifted).sum().backward()
    torch.testing.assert_close(here.grad, there.grad, rtol=1e-9, atol=1e-11)


def test_an_input_after_the_spike_has_no_gradient_at_all(taus, dtype, draw_layer):
    times, weight = draw_layer(6, 20, 1, seed=8, dtype=dtype)
    times, weight = leaves(times, weight.abs())
    spikes = first_spike(times, weight, Neuron(*taus))
    assert bool(torch.isfinite(spikes).all())
    for row in range(6):
        by_times, by_weight = torch.autograd.grad(spikes[row, 0], [times, weight], retain_graph=True)
        causal = times[row] < spikes[row]
        assert 0 < causal.sum() < 20
        assert torch.equal(by_times[row] != 0, causal)
        assert torch.equal(by_weight[:, 0] < 0, causal)
        assert torch.equal(by_weight[:, 0] != 0, causal)
        others = torch.arange(6) != row
        assert not by_times[others].any()


def test_a_silent_input_has_no_gradient(taus, dtype, draw_layer):
    times, weight = draw_layer(6, 20, 9, seed=9, dtype=dtype)
    times[:, ::4] = math.inf
    times, weight = leaves(times, weight)
    finite_spikes(first_spike(times, weight, Neuron(*taus))).sum().backward()
    assert not times.grad[:, ::4].any()
    assert not weight.grad[::4].any()
    assert bool(torch.isfinite(times.grad).all())


@pytest.mark.parametrize("upstream", [1.0, math.inf, math.nan])
def test_a_silent_neuron_has_no_gradient_whatever_the_loss_says(upstream, taus, dtype, draw_layer):
    times, weight = draw_layer(6, 20, 9, seed=10, dtype=dtype)
    weight = 3 * weight
    weight[:, ::2] = -weight[:, ::2].abs()
    times, weight, v_th = leaves(times, weight, torch.ones(6, 9, dtype=dtype))
    spikes = first_spike(times, weight, Neuron(*taus, v_th=v_th))
    silent = torch.isinf(spikes)
    assert 6 * 5 <= silent.sum() < 6 * 9
    spikes.backward(torch.where(silent, upstream, 0.0).to(dtype))
    for leaf in (times, weight, v_th):
        assert not leaf.grad.any()


@pytest.mark.parametrize("own_taus", [False, True])
def test_the_limit_drops_exactly_the_samples_and_neurons_whose_largest_entry_exceeds_it(taus, own_taus, draw_layer):
    times, weight = draw_layer(7, 12, 9, seed=11)
    neuron = Neuron(*(torch.full((9,), tau) for tau in taus)) if own_taus else Neuron(*taus)
    upstream = torch.tensor(np.random.default_rng(12).normal(size=(7, 9)))

    def gradients(limit: float, upstream: Tensor = upstream) -> list[Tensor]:
        by = leaves(times, weight)
        spikes = first_spike(*by, neuron, gradient_limit=limit)
        return list(torch.autograd.grad(spikes, by, upstream))

    each_row = [torch.where(torch.arange(7)[:, None] == row, upstream, 0.0) for row in range(7)]
    parts = torch.stack([gradients(math.inf, one_row)[1] for one_row in each_row])  # [B, N, M]
    largest = parts.abs().amax(1)
    limit = largest[largest > 0].median().item()
    kept = largest <= limit
    assert 10 < (kept & (largest > 0)).sum() < kept.sum() < 7 * 9

    by_times, by_weight = gradients(limit)
    torch.testing.assert_close(by_weight, (parts * kept[:, None]).sum(0), rtol=1e-12, atol=1e-15)
    assert torch.equal(by_times, gradients(math.inf)[0])

    # The median is the largest entry of one pair, which does not exceed it, but does exceed anything below.
    row, column = (largest == limit).nonzero()[0].tolist()
    assert gradients(limit, each_row[row])[1][:, column].any()
    assert not gradients(np.nextafter(limit, 0), each_row[row])[1][:, column].any()


@pytest.mark.parametrize("excess", [8, 100, 1e4])
def test_a_neuron_that_grazes_its_threshold_has_a_large_but_finite_gradient(taus, dtype, excess):
    peak_delay = taus[0] if taus[0] == taus[1] else math.log(taus[0] / taus[1]) / (1 / taus[1] - 1 / taus[0])
    height = (1 + excess * torch.finfo(dtype).eps) / reference.psp(peak_delay, *taus)
    times, weight, v_th = leaves(*(torch.tensor([[x]], dtype=dtype) for x in (0.25, height, 1.0)))
    spike = first_spike(times, weight, Neuron(*taus, v_th=v_th))
    assert spike < math.inf
    spike.backward()
    for leaf in (times, weight, v_th):
        assert bool(torch.isfinite(leaf.grad).all())
    # V'' at the peak is theta / (tau_mem tau_syn), so that V' = sqrt(2 excess V'' theta).
    expected = math.sqrt(taus[0] * taus[1] / (2 * excess * torch.finfo(dtype).eps))
    # The excess itself is known to about two roundings, and V'' changes on the way from the peak.
    tolerance = 2 / excess + 2 * math.sqrt(excess * torch.finfo(dtype).eps)
    assert v_th.grad.item() == pytest.approx(expected, rel=tolerance)
    assert weight.grad.item() == pytest.approx(-expected / height, rel=tolerance)


def test_a_neuron_that_grazes_its_threshold_is_stopped_by_the_limit():
    times, weight = leaves(torch.tensor([[0.0]]), torch.tensor([[math.e * (1 + 1e-6), 10.0]]))
    first_spike(times, weight, Neuron(), gradient_limit=0.2).sum().backward()
    assert weight.grad[0, 0] == 0
    assert -0.2 < weight.grad[0, 1] < 0


def test_weight_gradients_add_groups_of_consecutive_samples_one_after_the_other(taus, dtype, draw_layer):
    times, weight = draw_layer(2 * GROUP + 11, 15, 21, dtype=dtype, seed=4)

    def by_weight(rows: slice) -> np.ndarray:
        (inputs,) = leaves(weight)
        spikes = first_spike(times[rows], inputs, Neuron(*taus))
        return torch.autograd.grad(spikes, inputs, torch.isfinite(spikes).to(dtype))[0].numpy()  # type: ignore[no-any-return]

    each = [by_weight(slice(row, row + 1)) for row in range(len(times))]
    groups = [sum(each[first : first + GROUP]) for first in range(0, len(each), GROUP)]
    total = by_weight(slice(None))
    assert np.array_equal(total, sum(groups))
    assert not np.array_equal(total, sum(each))  # one after the other, without groups


@pytest.mark.parametrize("n_neurons", [3, 16, 21])
def test_gradients_are_the_same_bits_together_and_each_alone(n_neurons, taus, dtype, draw_layer):
    times, weight = draw_layer(2, 2 * GROUP + 11, 37, n_neurons, dtype=dtype, seed=5)
    times[0, 5:, ::3] = math.inf
    inputs = leaves(times, weight)
    spikes = first_spike(*inputs, Neuron(*taus), gradient_limit=0.3)
    upstream = torch.isfinite(spikes).to(dtype)
    together = torch.autograd.grad(spikes, inputs, upstream)
    assert all(gradient.any() for gradient in together)
    for both, kept in zip(together, (0, 1), strict=True):
        tensors = [tensor.clone().requires_grad_(number == kept) for number, tensor in enumerate((times, weight))]
        alone = first_spike(*tensors, Neuron(*taus), gradient_limit=0.3)
        assert torch.equal(torch.autograd.grad(alone, tensors[kept], upstream)[0], both)


def test_second_derivatives_are_refused(draw_layer):
    times, weight = leaves(*draw_layer(4, 6, 5))
    spikes = finite_spikes(first_spike(times, weight, Neuron()))
    (gradient,) = torch.autograd.grad(spikes.square().sum(), weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
