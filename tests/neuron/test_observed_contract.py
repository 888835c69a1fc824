"""Arguments, results and errors of `observed_spike`; other networks and threads do not change a bit."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ttfsrun.neuron import Neuron, observed_spike, set_threads

DOUBLE = torch.float64


def measured(*shape: int, dtype: torch.dtype) -> Tensor:
    """Spike times, a few of them silent, among and after the inputs that `draw_layer` draws."""
    observed = 3 * torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return torch.where(observed < 0.3, math.inf, observed)


def observed_times() -> Tensor:
    """Return unusual spike times [5, 3]."""
    values = [-0.0, 0.0, -3.5, 1e-40, 1 / 3, 2.0, 7.25, 1e30, -1e30, math.inf, 0.1, 0.2, 0.3, 1.5, 1.0]
    return torch.tensor(values, dtype=DOUBLE).reshape(5, 3)


def test_observed_times_come_back_to_the_last_bit(dtype, draw_layer):
    times, weight = draw_layer(2, 5, 8, 3, dtype=dtype)
    observed = observed_times().to(dtype)
    spikes = observed_spike(times, weight.requires_grad_(), Neuron(), observed)
    assert spikes.shape == (2, 5, 3)
    assert spikes.dtype == dtype
    integers = torch.int32 if dtype == torch.float32 else torch.int64
    assert torch.equal(spikes.detach().view(integers), observed.view(integers).expand(2, 5, 3))


def test_observed_times_that_are_changed_later_change_nothing(dtype, draw_layer):
    times, weight = draw_layer(5, 8, 6, seed=1, dtype=dtype)
    weight.requires_grad_()
    observed = measured(5, 6, dtype=dtype)

    def gradient(change: float) -> Tensor:
        given = observed.clone()
        spikes = observed_spike(times, weight, Neuron(), given)
        given.add_(change)
        assert torch.equal(spikes, observed)
        return torch.autograd.grad(spikes, weight, torch.isfinite(spikes).to(dtype))[0]

    assert gradient(0.0).any()
    assert torch.equal(gradient(0.0), gradient(1.0))


def test_a_measurement_has_no_derivative(draw_layer):
    times, weight = draw_layer(5, 8, 6)
    observed = torch.ones(5, 6, dtype=DOUBLE, requires_grad=True)
    spikes = observed_spike(times, weight.requires_grad_(), Neuron(), observed)
    assert torch.autograd.grad(spikes.sum(), [weight, observed], allow_unused=True)[1] is None


@pytest.mark.parametrize("wrong", [math.nan, -math.inf])
def test_an_observed_time_that_is_no_time_is_an_error(wrong, dtype, draw_layer):
    times, weight = draw_layer(2, 5, 8, 3, dtype=dtype)
    observed = torch.ones(2, 5, 3, dtype=dtype)
    observed[1, 4, 2] = wrong
    with pytest.raises(ValueError, match=f"observed {wrong}: .*inf means no spike"):
        observed_spike(times, weight, Neuron(), observed)


@pytest.mark.parametrize("observed", [torch.float16, torch.int64, DOUBLE])
def test_observed_times_are_of_the_type_of_the_inputs(observed):
    with pytest.raises(TypeError, match=f"observed {observed}, times torch.float32"):
        observed_spike(torch.ones(5, 8), torch.ones(8, 3), Neuron(), torch.ones(5, 3, dtype=observed))


@pytest.mark.parametrize("shape", [(), (3,), (5, 1), (1, 3), (3, 5), (2, 5, 4)])
def test_observed_times_of_another_shape_are_an_error_that_names_what_is_wanted(shape):
    with pytest.raises(ValueError, match=r"expected \[\.\.\., 5, 3\]") as error:
        observed_spike(torch.ones(5, 8), torch.ones(8, 3), Neuron(), torch.ones(shape))
    assert str(list(shape)) in str(error.value)


def test_observed_times_of_another_number_of_networks_are_an_error():
    with pytest.raises(ValueError, match=r"do not broadcast: times \[2, 5, 8\], .*observed \[4, 5, 3\]"):
        observed_spike(torch.ones(2, 5, 8), torch.ones(8, 3), Neuron(), torch.ones(4, 5, 3))


def test_what_first_spike_refuses_is_refused_here_too(draw_layer):
    times, weight = draw_layer(5, 8, 3)
    observed = torch.ones(5, 3, dtype=DOUBLE)
    for wrong_times, wrong_weight in ((times.float(), weight), (times[:, :7], weight), (times / 0 - times / 0, weight)):
        with pytest.raises((TypeError, ValueError)):
            observed_spike(wrong_times, wrong_weight, Neuron(), observed)
    with pytest.raises(ValueError, match="all weights must be finite"):
        observed_spike(times, weight / 0, Neuron(), observed)
    with pytest.raises(ValueError, match="gradient_limit"):
        observed_spike(times, weight, Neuron(), observed, gradient_limit=-1.0)
    with pytest.raises(ValueError, match="a time constant must be the same for all samples"):
        observed_spike(times, weight, Neuron(torch.ones(5, 3)), observed)


@pytest.mark.parametrize("shape", [(0, 8, 3), (5, 0, 3), (5, 8, 0)])
def test_nothing_in_nothing_out(shape, dtype):
    n_rows, n_inputs, n_neurons = shape
    by = [torch.ones(size, dtype=dtype, requires_grad=True) for size in ((n_rows, n_inputs), (n_inputs, n_neurons))]
    spikes = observed_spike(*by, Neuron(), torch.ones(n_rows, n_neurons, dtype=dtype))
    assert spikes.shape == (n_rows, n_neurons)
    assert not any(bool(gradient.any()) for gradient in torch.autograd.grad(spikes.sum(), by))


def gradients(times: Tensor, weight: Tensor, tau_mem: Tensor, observed: Tensor) -> list[Tensor]:
    """By times, weights and the time constant, for a loss that weighs each spike by its own time."""
    leaves = [tensor.clone().requires_grad_() for tensor in (times, weight, tau_mem)]
    spikes = observed_spike(leaves[0], leaves[1], Neuron(leaves[2], 1.1), observed, gradient_limit=2.0)
    return list(torch.autograd.grad(spikes, leaves, torch.where(torch.isfinite(spikes), spikes, 0)))


@pytest.mark.usefixtures("threads_for_anything")
@pytest.mark.parametrize("n_own", [1, 37])
def test_the_number_of_threads_does_not_change_a_bit(n_own, dtype, draw_layer):
    layer = *draw_layer(3, 40, 20, 37, seed=2, dtype=dtype), torch.linspace(0.7, 1.6, n_own, dtype=dtype)
    each = []
    for threads in (1, 2):
        set_threads(threads)
        each.append(gradients(*layer, measured(3, 40, 37, dtype=dtype)))
    for one, two in zip(*each, strict=True):
        assert one.any()
        assert torch.equal(one, two)


@pytest.mark.parametrize("n_own", [1, 21])
@pytest.mark.parametrize("grouping", [(1,) * 6, (2, 4), (5, 1)])
def test_a_network_is_the_same_bits_in_any_population(grouping, n_own, dtype, draw_layer):
    spread = torch.linspace(0.7, 1.6, 6 * n_own, dtype=dtype).reshape(6, 1, n_own)
    layer = *draw_layer(6, 9, 15, 21, seed=3, dtype=dtype), spread, measured(6, 9, 21, dtype=dtype)
    together = gradients(*layer)
    groups = [gradients(*each) for each in zip(*(tensor.split(grouping) for tensor in layer), strict=True)]
    for whole, parts in zip(together, zip(*groups, strict=True), strict=True):
        assert whole.any()
        assert torch.equal(whole, torch.cat(parts))


def test_a_sample_and_a_neuron_are_the_same_bits_in_any_company(dtype, draw_layer):
    times, weight = draw_layer(33, 15, 21, seed=4, dtype=dtype)
    times[::5, ::2] = math.inf
    tau_mem, observed = torch.ones((), dtype=dtype), measured(33, 21, dtype=dtype)
    by_times, by_weight, _ = gradients(times, weight, tau_mem, observed)
    for rows in (slice(0, 1), slice(32, 33), slice(3, 20), slice(0, 33, 4)):
        assert torch.equal(gradients(times[rows], weight, tau_mem, observed[rows])[0], by_times[rows])
    for columns in (slice(0, 1), slice(20, 21), slice(3, 20), slice(0, 21, 4)):
        some = gradients(times, weight[:, columns], tau_mem, observed[:, columns])[1]
        assert torch.equal(some, by_weight[:, columns])
