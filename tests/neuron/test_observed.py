"""Spikes that were measured elsewhere: their times stay as they are, their derivatives are the nominal neuron's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from each_alone import assert_close, leaves, of_one
from fifty_digits import Cell, Number, cells, derivatives, mp, number, response, slope
from layers import FEW_RATIOS, draw, own_parameters
from torch import Tensor

from ttfsrun.neuron import Neuron, first_spike, observed_spike, reference

DOUBLE = torch.float64


def measured(times: Tensor, weight: Tensor, neuron: Neuron, seed: int = 0) -> Tensor:
    """As from a chip: the nominal spikes, each moved; silent neurons spike after an input; a few others are silent.

    times [..., B, N], weight [..., N, M] with M <= N.
    """
    random = np.random.default_rng(seed)
    spikes = first_spike(times, weight, neuron).double().numpy()
    fast = np.minimum(*(torch.as_tensor(tau).double().numpy() for tau in (neuron.tau_mem, neuron.tau_syn)))
    inputs = random.permuted(times.double().numpy(), axis=-1)[..., : weight.shape[1]]
    moved = np.where(np.isfinite(spikes), spikes + 0.3 * fast * random.normal(size=spikes.shape), inputs + fast)
    return torch.tensor(np.where(random.random(spikes.shape) < 0.1, math.inf, moved), dtype=times.dtype)


def steepness(cell: Cell, time: Number) -> tuple[Number, Number]:
    """(V', what its terms add up to in magnitude)."""
    constants = cell.tau_mem, cell.tau_syn
    slow, fast = max(constants), min(constants)
    parts = [abs(w) * (mp.exp(-delay / fast) + response(delay, *constants) / slow) for delay, w in cell.causal(time)]
    return slope(cell, time), mp.fsum(parts)


def check_against_fifty_digits(times: Tensor, weight: Tensor, neuron: Neuron, tolerance: float = 1e-8) -> None:
    """All six derivatives where the membrane rises, and that there are none where it does not.

    Undecided are neurons whose V' is not known to a tenth of the tolerance, with 2^-52 of its terms as a rounding.
    Far after its inputs, a membrane is at rest for all that floats can tell.
    """
    times = times.repeat(3, 1)  # each neuron is measured three times
    observed = measured(times, weight, neuron)
    found = leaves(times, weight, neuron).gradients(observed)
    numbers = torch.finfo(times.dtype)
    unknown, rest = 10 * numbers.eps / tolerance, numbers.tiny / numbers.eps
    rising = not_rising = 0
    for (row, column), cell in cells(times, weight, neuron):
        time = number(observed[row, column].item())
        here = of_one(found, row, column)
        rise, terms = steepness(cell, time) if time < mp.inf else (mp.mpf(0), mp.mpf(0))
        if rise > max(unknown * terms, 2 * rest):
            rising += 1
            assert_close(derivatives(cell, time), here, tolerance)
        elif rise < -unknown * terms or terms < rest / 2:
            not_rising += 1
            assert not any(bool(values.any()) for values in here.values())
    assert rising > 2
    assert not_rising > 0
    assert rising + not_rising >= 0.9 * observed.numel()


@pytest.mark.parametrize("ratio", [*FEW_RATIOS, 2.0, 0.5])
@pytest.mark.parametrize("name", ["usual", "together", "wide_weights", "far_apart", "cancelling"])
def test_derivatives_are_those_of_fifty_digits_where_the_membrane_rises_and_else_there_are_none(name, ratio):
    check_against_fifty_digits(*draw(name, ratio, DOUBLE, seed=21))


@pytest.mark.parametrize("ratio", [*FEW_RATIOS, 2.0, 0.5])
def test_so_it_is_where_each_neuron_has_its_own_parameters(ratio):
    times, weight, neuron = draw("usual", ratio, DOUBLE, seed=22)
    random = np.random.default_rng(23)
    check_against_fifty_digits(times, weight, own_parameters(neuron, 1, weight.shape[1], random))


@pytest.mark.parametrize("ratio", [1.0, 1.1])
def test_in_float32_they_are_those_of_fifty_digits_to_four_digits(ratio):
    check_against_fifty_digits(*draw("usual", ratio, torch.float32, seed=24), tolerance=1e-4)


def test_at_its_own_spikes_a_neuron_has_its_own_derivatives(taus, draw_layer):
    times, weight = draw_layer(6, 12, 9, seed=1)
    layer = leaves(times, weight, Neuron(*taus, v_th=0.9, v_leak=0.1))
    spikes = layer.spikes().detach()
    expected, found = layer.gradients(), layer.gradients(spikes)
    steep = (expected["v_th"] > 0) & (expected["v_th"] < 100)  # nor do they graze their threshold
    assert 20 < steep.sum() < 6 * 9
    for name, values in expected.items():
        largest = values.abs().flatten(2).amax(2)[..., None, None]
        assert bool(((found[name] - values).abs() <= 1e-9 * largest)[steep[..., 0, 0]].all()), name
    assert torch.equal(spikes, layer.spikes(spikes))


@pytest.mark.parametrize("own_taus", [False, True])
def test_derivatives_are_those_of_a_neuron_whose_threshold_is_what_its_membrane_has_there(taus, own_taus, draw_layer):
    times, weight = draw_layer(5, 8, 6, seed=2)
    scale = torch.linspace(0.8, 1.3, 6, dtype=DOUBLE) if own_taus else 1.0
    neuron = Neuron(taus[0] * scale, taus[1])
    observed = measured(times, weight, neuron)
    tau_mem = torch.as_tensor(neuron.tau_mem, dtype=DOUBLE).expand(6).tolist()
    v_there = [
        [reference.membrane_reference(time, row, weight[:, m], tau_mem[m], taus[1]) for m, time in enumerate(spikes)]
        for row, spikes in zip(times.tolist(), observed.tolist(), strict=True)
    ]
    own = Neuron(neuron.tau_mem, taus[1], v_th=torch.tensor(v_there, dtype=DOUBLE).nan_to_num(1).clamp_min(1e-3))
    agree = (first_spike(times, weight, own) - observed).abs() < 1e-9  # the membrane is there for the first time
    assert 10 < agree.sum() < 5 * 6

    by = [tensor.clone().requires_grad_() for tensor in (times, weight)]
    found = torch.autograd.grad(observed_spike(*by, neuron, observed), by, agree.double())

    def total(times: Tensor, weight: Tensor) -> float:
        return first_spike(times, weight, own)[agree].sum().item()

    step = 1e-7  # some slopes are near 0, and second derivatives large
    for which, gradient in enumerate(found):
        for index in np.ndindex(gradient.shape):
            moved = [[tensor.clone() for tensor in (times, weight)] for _ in range(2)]
            for sign, tensors in zip((1, -1), moved, strict=True):
                tensors[which][index] += sign * step
            difference = (total(*moved[0]) - total(*moved[1])) / (2 * step)
            assert difference == pytest.approx(gradient[index].item(), rel=1e-5, abs=1e-6)


def test_the_value_of_the_threshold_does_not_matter(taus, dtype, draw_layer):
    times, weight = draw_layer(5, 8, 6, seed=3, dtype=dtype)
    observed = measured(times, weight, Neuron(*taus))

    def gradients(v_th: float, v_leak: float) -> list[Tensor]:
        by = [tensor.clone().requires_grad_() for tensor in (times, weight, torch.tensor(v_th), torch.tensor(v_leak))]
        spikes = observed_spike(*by[:2], Neuron(*taus, *by[2:]), observed)
        return list(torch.autograd.grad(spikes, by, torch.isfinite(spikes).to(dtype)))

    expected = gradients(1.0, 0.0)
    assert expected[2] == -expected[3] > 0
    for v_th, v_leak in ((0.3, -7.0), (0.0, 0.0), (-2.0, 5.0)):
        assert all(map(torch.equal, gradients(v_th, v_leak), expected))


def test_the_derivatives_by_the_input_times_sum_to_one_or_there_are_none(taus, draw_layer):
    times, weight = draw_layer(8, 12, 9, seed=4)
    neuron = Neuron(*taus)
    found = leaves(times, weight, neuron).gradients(measured(times, weight, neuron))
    rises = found["v_th"][..., 0, 0] > 0
    assert 40 < rises.sum() < 8 * 9
    sums, largest = found["times"].sum((2, 3)), found["times"].abs().amax((2, 3))
    assert bool(((sums - 1).abs() <= 1e-10 * largest)[rises].all())
    for values in found.values():
        assert not values[~rises].any()


@pytest.mark.parametrize("upstream", [1.0, math.inf, math.nan])
@pytest.mark.parametrize(
    ("time", "why"),
    [
        (math.inf, "no spike"),
        (-2.0, "before all inputs"),
        (0.5, "at the first input"),
        (3.0, "falling"),
        (1e4, "at rest again"),
        (1e30, "at rest for ever"),
    ],
)
@pytest.mark.parametrize("own_taus", [False, True])
def test_there_is_no_derivative_where(time, why, own_taus, upstream, taus, dtype):
    times = torch.tensor([[0.75, 0.5, math.inf]], dtype=dtype)
    # Inhibited membranes rise until they are at rest.
    weight = torch.tensor([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0]], dtype=dtype) * (-1 if why.startswith("at rest") else 1)
    tau_mem = torch.full((2,) if own_taus else (), taus[0], dtype=dtype)
    by = [tensor.requires_grad_() for tensor in (times, weight, tau_mem, torch.ones(1, 2, dtype=dtype))]
    spikes = observed_spike(times, weight, Neuron(tau_mem, taus[1], by[3]), torch.full((1, 2), time, dtype=dtype))
    for gradient in torch.autograd.grad(spikes, by, torch.full_like(spikes, upstream)):
        assert gradient.eq(0).all(), why


def test_an_inhibited_membrane_on_its_way_back_to_rest_has_finite_derivatives(taus, dtype):
    # Until V' leaves the range of its type, the derivatives are right, and then there are none.
    delays = torch.linspace(10, 2000, 800, dtype=dtype)[:, None]
    times, weight = torch.zeros(800, 1, dtype=dtype), torch.full((1, 1), -3.0, dtype=dtype)
    found = leaves(times, weight, Neuron(*taus)).gradients(delays)
    there = found["v_th"].flatten() > 0
    longest = delays[there].max().item()
    assert 60 < longest < 2000
    assert torch.equal(there, delays[:, 0] <= longest)
    assert all(bool(torch.isfinite(values).all()) for values in found.values())
    rounding = torch.finfo(dtype).eps * longest
    np.testing.assert_allclose(found["times"].flatten(), there.double(), atol=10 * rounding)


def test_only_inputs_before_the_observed_time_have_a_gradient(taus, dtype, draw_layer):
    times, weight = draw_layer(6, 20, 9, seed=6, dtype=dtype)
    times[:, ::7] = math.inf
    weight = weight.abs()
    observed = times[:, 1:10].clone()  # each at the time of an input
    layer = leaves(times, weight, Neuron(*taus))
    found = layer.gradients(observed)
    before = times[:, None, :] < observed[:, :, None]  # [B, M, N]
    rises = (found["v_th"] > 0).flatten(1)[..., None]
    assert 20 < rises.sum() < 6 * 9
    assert torch.equal(found["weights"][..., 0] != 0, before & rises & torch.isfinite(observed)[..., None])
    assert not found["times"][:, :, 0][~before].any()


def test_the_slope_is_that_of_float64_rounded_once(taus, draw_layer):
    times, weight = draw_layer(9, 20, 20, seed=7, dtype=torch.float32)
    times[:, 4:] = math.inf
    times = times - 0.7  # float32 rounds the difference of two times, unless they are within a factor of two
    weight = 5 * weight
    neuron = Neuron(*taus, v_th=torch.ones(9, 20, dtype=DOUBLE, requires_grad=True))
    observed = measured(times, weight, Neuron(*taus))

    def by_threshold(dtype: torch.dtype) -> Tensor:
        spikes = observed_spike(times.to(dtype), weight.to(dtype), neuron, observed.to(dtype))
        return torch.autograd.grad(spikes, neuron.v_th, torch.isfinite(spikes).to(dtype))[0]

    found, exact = by_threshold(torch.float32), by_threshold(DOUBLE)
    assert (found > 0).sum() > 50
    assert torch.equal(found, torch.where(exact > 0, 1 / (1 / exact).float(), 0.0).double())


@pytest.mark.parametrize("own_taus", [False, True])
def test_the_limit_drops_exactly_the_samples_and_neurons_whose_largest_entry_exceeds_it(taus, own_taus, draw_layer):
    times, weight = draw_layer(7, 12, 9, seed=8)
    neuron = Neuron(*(torch.full((9,), tau) for tau in taus)) if own_taus else Neuron(*taus)
    observed = measured(times, weight, neuron)
    parts = leaves(times, weight, neuron).gradients(observed)["weights"][..., 0]  # [B, M, N]
    largest = parts.abs().amax(2)
    limit = largest[largest > 0].median().item() * (1 + 1e-12)
    kept = largest <= limit
    assert 10 < (kept & (largest > 0)).sum() < kept.sum() < 7 * 9

    by = [tensor.clone().requires_grad_() for tensor in (times, weight)]
    upstream = torch.isfinite(observed).double()
    limited, free = (
        torch.autograd.grad(observed_spike(*by, neuron, observed, gradient_limit=each), by, upstream)
        for each in (limit, math.inf)
    )
    torch.testing.assert_close(limited[1], (parts * kept[..., None]).sum(0).T, rtol=1e-12, atol=1e-15)
    assert torch.equal(limited[0], free[0])
