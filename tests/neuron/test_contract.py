"""Arguments, results and errors of `first_spike`."""

from __future__ import annotations

import math

import pytest
import torch

from ttfsrun.neuron import Neuron, first_spike


def test_spikes_have_the_type_of_the_inputs(dtype, draw_layer):
    times, weight = draw_layer(4, 6, 3, dtype=dtype)
    assert first_spike(times, weight, Neuron()).dtype == dtype


def test_parameters_of_another_type_do_not_change_the_type_of_the_spikes(draw_layer):
    times, weight = draw_layer(4, 6, 3, dtype=torch.float32)
    neuron = Neuron(tau_mem=torch.ones(3, dtype=torch.float64), v_th=torch.ones(4, 3, dtype=torch.float64))
    spikes = first_spike(times, weight, neuron)
    assert spikes.dtype == torch.float32
    assert torch.equal(spikes, first_spike(times, weight, Neuron(tau_mem=torch.ones(3))))


@pytest.mark.parametrize(
    ("times", "weight", "spikes"),
    [
        ((4, 6), (6, 3), (4, 3)),
        ((5, 4, 6), (5, 6, 3), (5, 4, 3)),
        ((2, 5, 4, 6), (2, 5, 6, 3), (2, 5, 4, 3)),
        ((4, 6), (5, 6, 3), (5, 4, 3)),
        ((5, 4, 6), (6, 3), (5, 4, 3)),
        ((2, 1, 4, 6), (5, 6, 3), (2, 5, 4, 3)),
    ],
)
def test_leading_dimensions_are_networks_and_broadcast(times, weight, spikes):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(times, generator=generator, dtype=torch.float64)
    weights = torch.rand(weight, generator=generator, dtype=torch.float64)
    result = first_spike(inputs, weights, Neuron())
    assert result.shape == spikes
    each = zip(
        inputs.expand(*spikes[:-2], *times[-2:]).reshape(-1, *times[-2:]),
        weights.expand(*spikes[:-2], *weight[-2:]).reshape(-1, *weight[-2:]),
        result.reshape(-1, *spikes[-2:]),
        strict=True,
    )
    for one_times, one_weight, one_result in each:
        assert torch.equal(first_spike(one_times, one_weight, Neuron()), one_result)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3), (4, 1), (4, 3), (5, 1, 1), (5, 4, 3), (2, 1, 1, 3)])
def test_threshold_and_leak_broadcast_to_networks_samples_and_neurons(shape, draw_layer):
    times, weight = draw_layer(5, 4, 6, 3)
    generator = torch.Generator().manual_seed(1)
    v_th = 0.5 + torch.rand(shape, generator=generator, dtype=torch.float64)
    lead = torch.broadcast_shapes(shape[:-2], (5,))
    spikes = first_spike(times, weight, Neuron(v_th=v_th, v_leak=0.25))
    assert spikes.shape == (*lead, 4, 3)
    whole = Neuron(v_th=v_th.expand(*lead, 4, 3), v_leak=torch.full((*lead, 4, 3), 0.25, dtype=torch.float64))
    assert torch.equal(spikes, first_spike(times, weight, whole))


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3), (5, 1, 1), (5, 1, 3), (2, 1, 1, 3)])
def test_time_constants_broadcast_to_networks_and_neurons(shape, draw_layer):
    times, weight = draw_layer(5, 4, 6, 3)
    generator = torch.Generator().manual_seed(2)
    tau_mem = 0.5 + torch.rand(shape, generator=generator, dtype=torch.float64)
    lead = torch.broadcast_shapes(shape[:-2], (5,))
    spikes = first_spike(times, weight, Neuron(tau_mem=tau_mem))
    assert spikes.shape == (*lead, 4, 3)
    whole = first_spike(times, weight, Neuron(tau_mem=tau_mem.expand(*lead, 1, 3)))
    # Shared constants are prepared once for all neurons, in another order of operations.
    torch.testing.assert_close(spikes, whole, rtol=1e-13, atol=0)


def test_inputs_need_not_be_contiguous(draw_layer):
    times, weight = draw_layer(4, 6, 3)
    strided = first_spike(times.T.contiguous().T, weight.T.contiguous().T, Neuron())
    assert torch.equal(strided, first_spike(times, weight, Neuron()))


def test_inputs_are_left_as_they_were(draw_layer):
    times, weight = draw_layer(4, 6, 3)
    before = times.clone(), weight.clone()
    weight.requires_grad_()
    first_spike(times, weight, Neuron()).sum().backward()
    assert torch.equal(times, before[0])
    assert torch.equal(weight, before[1])


@pytest.mark.parametrize("time", [math.nan, -math.inf])
@pytest.mark.parametrize("n_rows", [1, 40])
def test_a_time_that_is_no_time_is_an_error(time, n_rows, dtype, draw_layer):
    times, weight = draw_layer(n_rows, 60, 90, dtype=dtype)
    times[-1, 3] = time
    with pytest.raises(ValueError, match=r"NaN or -inf.*inf means no spike"):
        first_spike(times, weight, Neuron())


@pytest.mark.parametrize(
    ("times", "weight"),
    [
        (torch.float32, torch.float64),
        (torch.float64, torch.float32),
        (torch.float16, torch.float16),
        (torch.int64, torch.int64),
    ],
)
def test_times_and_weights_are_both_float32_or_both_float64(times, weight):
    with pytest.raises(TypeError, match="both must be float32 or both float64"):
        first_spike(torch.ones(2, 3, dtype=times), torch.ones(3, 4, dtype=weight), Neuron())


@pytest.mark.parametrize(("times", "weight"), [((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (4, 3)), ((2, 3), (5, 2, 4))])
def test_shapes_that_do_not_fit_are_an_error_that_names_them(times, weight):
    with pytest.raises(ValueError, match=r"expected \[\.\.\., B, N\] and \[\.\.\., N, M\]") as error:
        first_spike(torch.ones(times), torch.ones(weight), Neuron())
    assert str(list(times)) in str(error.value)
    assert str(list(weight)) in str(error.value)


@pytest.mark.parametrize("name", ["tau_mem", "tau_syn"])
@pytest.mark.parametrize("shape", [(2,), (4,), (7,), (1, 2), (1, 7), (5, 1, 2)])
def test_time_constants_for_another_number_of_neurons_are_an_error(name, shape):
    with pytest.raises((ValueError, RuntimeError)):
        first_spike(torch.ones(4, 6), torch.ones(6, 3), Neuron(**{name: torch.full(shape, 2.0)}))


@pytest.mark.parametrize("name", ["v_th", "v_leak"])
@pytest.mark.parametrize("shape", [(2,), (7,), (2, 3), (3, 3), (8, 3), (4, 2), (4, 4), (5, 2, 3)])
def test_potentials_for_another_number_of_samples_or_neurons_are_an_error(name, shape):
    with pytest.raises((ValueError, RuntimeError)):
        first_spike(torch.ones(4, 6), torch.ones(6, 3), Neuron(**{name: torch.full(shape, 0.5)}))


@pytest.mark.parametrize("name", ["tau_mem", "tau_syn"])
@pytest.mark.parametrize("value", [0.0, -1.0])
@pytest.mark.parametrize("form", [float, lambda value: torch.tensor([[1.0, value]])])
def test_a_time_constant_is_positive(name, value, form):
    with pytest.raises(ValueError, match=rf"{name}={value}: a time constant must be positive"):
        Neuron(**{name: form(value)})


@pytest.mark.parametrize("name", ["tau_mem", "tau_syn", "v_th", "v_leak"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("form", [float, lambda value: torch.tensor([[1.0, value]])])
def test_parameters_are_finite(name, value, form):
    with pytest.raises(ValueError, match=f"{name}={value}: a neuron's parameters must be finite"):
        Neuron(**{name: form(value)})


@pytest.mark.parametrize("name", ["tau_mem", "tau_syn"])
def test_a_time_constant_is_the_same_for_all_samples(name):
    message = rf"{name} \[4, 3\] does not .*; a time constant must be the same for all samples"
    with pytest.raises(ValueError, match=message):
        first_spike(torch.ones(4, 6), torch.ones(6, 3), Neuron(**{name: torch.ones(4, 3)}))


def test_times_that_are_changed_before_the_backward_pass_are_an_error(draw_layer):
    times, weight = draw_layer(4, 6, 3)
    weight.requires_grad_()
    spikes = first_spike(times, weight, Neuron())
    times.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        spikes[torch.isfinite(spikes)].sum().backward()


@pytest.mark.parametrize("limit", [math.nan, -1.0])
def test_a_gradient_limit_is_at_least_zero(limit, draw_layer):
    with pytest.raises(ValueError, match=f"gradient_limit={limit}: it must be at least 0"):
        first_spike(*draw_layer(4, 6, 3), Neuron(), gradient_limit=limit)


def test_numbers_of_networks_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"do not broadcast: times \[2, 4, 3\], weight \[5, 3, 6\], .*tau_mem"):
        first_spike(torch.ones(2, 4, 3), torch.ones(5, 3, 6), Neuron())


def test_a_parameter_counts_as_it_is_given_not_as_float32_would_round_it():
    times, weight = torch.zeros(1, 1), torch.full((1, 1), 4.0)
    threshold = 4 * math.exp(-1) * (1 - 1e-12)  # below the peak by less than float32 can tell
    assert first_spike(times, weight, Neuron(v_th=threshold)).item() < 1
    assert first_spike(times, weight, Neuron(v_th=4 * math.exp(-1) * (1 + 1e-12))).item() == math.inf
    assert first_spike(times, weight, Neuron(v_th=1e-50)).item() == 0
    assert first_spike(times.double(), weight.double(), Neuron(v_th=1e39)).item() == math.inf
