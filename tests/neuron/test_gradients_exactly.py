"""All six derivatives of a first spike against fifty digits: weights, input times, v_th, v_leak, tau_mem, tau_syn.

What agreeing means: to 1e-8 of the largest entry by any weight (by any input time) of this neuron; v_th and v_leak
have one entry. The derivatives by the time constants are sums over the inputs that may cancel: to 1e-8 of the largest
term. Near a grazing contact no digit of V'(T) is known, by which all are divided: neurons count whose V'(T) differs
by less than 1e-9 between the earliest and the latest spike that `agreement.py` takes for the same. That is a
neighbourhood of about V'(T)^2 < 4e-6 |V''(T)| terms, with the terms of the membrane as there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from agreement import exact
from each_alone import CONSTANTS, assert_close, leaves, of_one
from fifty_digits import Cell, Derivatives, Number, cells, derivatives, mp, slope
from layers import FEW_RATIOS, LAYERS, RATIOS, draw, own_parameters
from torch import Tensor

from ttfsrun.neuron import Neuron, first_spike

DOUBLE = torch.float64


def steep_spike(cell: Cell) -> Number | None:
    """The first spike, or inf, if the slope at the spike is known to 1e-9."""
    earliest, spike, latest = exact(cell)
    if earliest == latest:
        return spike
    if latest < mp.inf and abs(slope(cell, latest) - slope(cell, earliest)) < 1e-9 * slope(cell, spike):
        return spike
    return None


def compared(times: Tensor, weight: Tensor, neuron: Neuron) -> Iterator[tuple[Derivatives, dict[str, Tensor]]]:
    """(exact derivatives, computed ones by their names) of all neurons that count."""
    found = leaves(times, weight, neuron).gradients()
    for (row, column), cell in cells(times, weight, neuron):
        spike = steep_spike(cell)
        if spike is not None:
            yield derivatives(cell, spike), of_one(found, row, column)


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("name", LAYERS)
def test_derivatives_are_those_of_fifty_digits(name, ratio):
    times, weight, neuron = draw(name, ratio, DOUBLE, seed=3)
    pairs = list(compared(times, weight, neuron))
    assert len(pairs) >= 0.7 * times.shape[0] * weight.shape[1]  # few graze, even of those that are made to
    assert any(expected.v_th > 0 for expected, _ in pairs)
    for expected, found in pairs:
        assert_close(expected, found)


@pytest.mark.parametrize("ratio", FEW_RATIOS)
@pytest.mark.parametrize("name", ["usual", "cancelling", "far_apart"])
def test_so_they_are_where_each_neuron_has_its_own_parameters(name, ratio):
    times, weight, neuron = draw(name, ratio, DOUBLE, seed=4)
    neuron = own_parameters(neuron, len(times), weight.shape[1], np.random.default_rng(5))
    pairs = list(compared(times, weight, neuron))
    assert len(pairs) >= 0.7 * times.shape[0] * weight.shape[1]
    assert any(expected.v_th > 0 for expected, _ in pairs)
    for expected, found in pairs:
        assert_close(expected, found)


def test_in_float32_they_are_those_of_fifty_digits_to_four_digits():
    times, weight, neuron = draw("usual", 1.1, torch.float32, seed=6)
    count = 0
    for expected, found in compared(times, weight, neuron):
        # A rounding of the time, 1e-7, changes k and V' by as much, and V' is the difference of two terms.
        if 0 < expected.v_th < 20:
            count += 1
            assert_close(expected, found, 1e-4)
    assert count > 10


TAU_SHAPES = [(), (1,), (5,), (1, 5), (2, 1, 1), (2, 1, 5)]
POTENTIAL_SHAPES = [*TAU_SHAPES, (3, 1), (3, 5), (2, 3, 1), (2, 3, 5)]


@pytest.mark.parametrize(
    ("name", "shape"),
    [(name, shape) for name in CONSTANTS for shape in (TAU_SHAPES if name.startswith("tau") else POTENTIAL_SHAPES)],
)
def test_a_constant_that_many_share_collects_the_derivatives_of_all(name, shape, draw_layer):
    times, weight = draw_layer(2, 3, 8, 5, seed=12)
    values = {"v_th": 0.9, "v_leak": 0.1, "tau_mem": 1.2, "tau_syn": 1.0}
    shared = torch.full(shape, values[name], dtype=DOUBLE, requires_grad=True)
    neuron = Neuron(**{**values, name: shared})
    spikes = first_spike(times, weight, neuron)
    upstream = torch.tensor(np.random.default_rng(13).normal(size=(2, 3, 5)))
    (found,) = torch.autograd.grad(spikes, shared, torch.where(torch.isfinite(spikes), upstream, 0))
    assert found.shape == shared.shape
    expected, scale = torch.zeros(2, 3, 5, dtype=DOUBLE), torch.zeros(2, 3, 5, dtype=DOUBLE)
    for network in range(2):
        alone = Neuron(**values)
        for (row, column), cell in cells(times[network], weight[network], alone):
            spike = steep_spike(cell)
            assert spike is not None
            by = derivatives(cell, spike)
            expected[network, row, column] = float(getattr(by, name))
            scale[network, row, column] = float(by.tau_terms if name.startswith("tau") else by.v_th)
    assert (expected != 0).sum() > 10
    error = (found - (expected * upstream).sum_to_size(shape)).abs()
    assert bool((error <= 1e-8 * (scale * upstream.abs()).sum_to_size(shape)).all())


@pytest.mark.parametrize("shape", [(), (5,), (2, 1, 5)])
@pytest.mark.parametrize("ratio", [1.0, 1 + 1e-9, 1.001, 2.0, 0.5, 7.0])
def test_derivatives_by_the_time_constants_are_the_limits_of_differences(ratio, shape, draw_layer):
    times, weight = draw_layer(2, 3, 8, 5, seed=14)

    def spikes(tau_mem: Tensor, tau_syn: Tensor) -> Tensor:
        times_of_all = first_spike(times, 1.3 * weight, Neuron(tau_mem, tau_syn))
        return times_of_all[torch.isfinite(times_of_all)]

    constants = [torch.full(shape, tau, dtype=DOUBLE, requires_grad=True) for tau in (1.1 * ratio, 1.1)]
    assert len(spikes(*constants)) > 10
    assert torch.autograd.gradcheck(spikes, constants)


@pytest.mark.parametrize("ratio", FEW_RATIOS)
@pytest.mark.parametrize("name", [name for name in LAYERS if name != "many"])
def test_laws_of_shift_and_scale_hold_for_the_derivatives(name, ratio):
    times, weight, neuron = draw(name, ratio, DOUBLE, seed=15)
    layer = leaves(times, weight, neuron)
    spikes = layer.spikes()
    by = [layer.times, layer.weight, *layer.constants.values()]
    gradients = torch.autograd.grad(spikes, by, torch.isfinite(spikes).double())
    # Time scales with the time constants, and with it charge, current times time, against the weights.
    products = [gradient * sign * leaf for gradient, sign, leaf in zip(gradients, (1, -1, 0, 0, 1, 1), by, strict=True)]
    count = 0
    for (row, column), cell in cells(times, weight, neuron):
        spike = spikes[row, column].item()
        if spike < math.inf and steep_spike(cell) is not None:
            count += 1
            by_times = gradients[0][row, column]
            # Each entry is right to 1e-8 of the largest, as above.
            assert abs(by_times.sum().item() - 1) <= 1e-8 * by_times.abs().max().item()
            terms = torch.cat([product[row, column].flatten() for product in products])
            assert abs(terms.sum().item() - spike) <= 1e-8 * terms.abs().max().item()
    assert count > 0


def test_the_two_time_constants_may_change_places(draw_layer):
    times, weight = draw_layer(4, 9, 5, seed=16)

    def gradients(tau_mem: float, tau_syn: float) -> list[Tensor]:
        constants = [torch.tensor(tau, dtype=DOUBLE, requires_grad=True) for tau in (tau_mem, tau_syn)]
        spikes = first_spike(times, weight, Neuron(*constants))
        return list(torch.autograd.grad(spikes[torch.isfinite(spikes)].sum(), constants))

    for tau_mem, tau_syn in ((1.3, 0.8), (1.0, 1 + 1e-9), (1.0, 1.0)):
        by_mem, by_syn = gradients(tau_mem, tau_syn)
        there_by_mem, there_by_syn = gradients(tau_syn, tau_mem)
        torch.testing.assert_close(by_mem, there_by_syn, rtol=1e-10, atol=0)
        torch.testing.assert_close(by_syn, there_by_mem, rtol=1e-10, atol=0)
        assert by_mem != 0


@pytest.mark.parametrize("upstream", [1.0, math.inf, math.nan])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_neuron_that_is_silent_or_fires_by_itself_has_no_derivative_by_its_time_constants(upstream, shape, dtype):
    times = torch.tensor([[0.5, 0.7], [math.inf, math.inf]], dtype=dtype)
    weight = torch.tensor([[-9.0, 0.1, 9.0]] * 2, dtype=dtype)
    tau_mem, tau_syn = (torch.full(shape, tau, dtype=dtype, requires_grad=True) for tau in (1.5, 1.0))
    spikes = first_spike(times, weight, Neuron(tau_mem, tau_syn, v_th=torch.tensor([1.0, 1.0, -0.5], dtype=dtype)))
    assert spikes.tolist() == [[math.inf, math.inf, 0.0]] * 2
    spikes.backward(torch.full_like(spikes, upstream))
    for leaf in (tau_mem, tau_syn):
        assert leaf.grad is not None
        assert not leaf.grad.any()


def test_a_neuron_that_fires_by_itself_does_not_spoil_the_derivatives_of_its_neighbours(dtype):
    times, weight = torch.full((1, 1), 0.5, dtype=dtype), torch.full((1, 2), 9.0, dtype=dtype)
    tau_mem = torch.tensor(1e6, dtype=dtype, requires_grad=True)
    both = first_spike(times, weight, Neuron(tau_mem, 1.0, torch.tensor([-0.5, 1.0], dtype=dtype)))
    alone = first_spike(times, weight[:, 1:], Neuron(tau_mem, 1.0))
    assert both[0, 0] == 0
    ours, expected = (torch.autograd.grad(spikes.sum(), tau_mem)[0] for spikes in (both, alone))
    assert ours == expected != 0
