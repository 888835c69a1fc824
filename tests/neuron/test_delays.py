"""Layers with delays: input i reaches neuron j at t_i + d_ij, exactly, with exact derivatives."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
import torch
from agreement import agreement, exact
from fake_driver import fake_gpu
from fifty_digits import cells, derivatives, mp
from lane_device import one_by_one
from torch import Tensor

from ttfsrun.neuron import Neuron, device, first_spike, observed_spike, set_threads
from ttfsrun.neuron.kernels.cuda.launch import Cuda
from ttfsrun.neuron.kernels.cuda.ptx import TARGETS, ptx

#: Operations of PTX that round.
OPERATION = re.compile(r"^\s*(?:@\S+\s+)?((?:add|sub|mul|mad|fma|div|rcp|sqrt)\.[a-z.]*f(?:32|64))", re.M)

P, B, N, M = 3, 37, 30, 21


def draw(dtype: torch.dtype, *shape: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """(times, weight, delays), with silent inputs, and with times and delays on a grid, so that many arrivals meet."""
    *lead, n_rows, n_inputs, n_neurons = shape or (P, B, N, M)
    random = np.random.default_rng(seed)
    times = random.uniform(0, 2, (*lead, n_rows, n_inputs))
    times[random.uniform(size=times.shape) < 0.3] = math.inf
    times[..., ::2] = np.round(8 * times[..., ::2]) / 8
    delays = random.uniform(0, 1, (*lead, n_inputs, n_neurons))
    delays[..., ::2, ::2] = np.round(8 * delays[..., ::2, ::2]) / 8
    weight = random.normal(4 / n_inputs, 6 / n_inputs, delays.shape)
    times, weight, delays = (torch.tensor(array, dtype=dtype) for array in (times, weight, delays))
    return times, weight, delays


def neurons(dtype: torch.dtype, are_alike: bool) -> dict[str, Tensor]:
    """Parameters of neurons; time constants of P networks, one for all neurons or one for each."""
    random = np.random.default_rng(1)
    shape = (P, 1, 1 if are_alike else M)
    return {name: torch.tensor(random.lognormal(0, 0.2, shape), dtype=dtype) for name in ("tau_mem", "tau_syn", "v_th")}


def results(
    layer: tuple[Tensor, ...], parameters: dict[str, Tensor], limit: float = math.inf, observed: Tensor | None = None
) -> dict[str, Tensor]:
    """Spikes, and the gradients by times, weight, delays if there are any, and all parameters."""
    leaves = [tensor.clone().requires_grad_() for tensor in (*layer, *parameters.values())]
    times, weight, *delays = leaves[: len(layer)]
    neuron = Neuron(**dict(zip(parameters, leaves[len(layer) :], strict=True)))
    if observed is None:
        spikes = first_spike(times, weight, neuron, *delays, gradient_limit=limit)
    else:
        spikes = observed_spike(times, weight, neuron, observed, *delays, gradient_limit=limit)
    gradients = torch.autograd.grad(spikes, leaves, spikes.detach().nan_to_num(posinf=0.0))
    names = [*("times", "weight", "delays")[: len(layer)], *parameters]
    return {"spikes": spikes.detach(), **dict(zip(names, gradients, strict=True))}


def times_to_observe(dtype: torch.dtype) -> Tensor:
    return torch.tensor(np.random.default_rng(2).uniform(0, 4, (P, B, M)), dtype=dtype)


@pytest.mark.parametrize("limit", [math.inf, 0.2])
@pytest.mark.parametrize("are_observed", [False, True])
@pytest.mark.parametrize("are_alike", [True, False])
def test_delays_of_zero_are_the_bits_of_none(are_alike, are_observed, limit, dtype):
    times, weight, delays = draw(dtype)
    parameters = neurons(dtype, are_alike)
    observed = times_to_observe(dtype) if are_observed else None
    expected = results((times, weight), parameters, limit, observed)
    delays[1] = 0  # one network of three
    for zeros, networks in ((torch.zeros_like(delays), slice(None)), (delays, 1)):
        found = results((times, weight, zeros), parameters, limit, observed)
        for name, tensor in expected.items():
            assert torch.equal(found[name][networks], tensor[networks]), name


@pytest.mark.parametrize("are_observed", [False, True])
@pytest.mark.parametrize("are_alike", [True, False])
def test_one_neuron_at_a_time_has_the_same_bits(are_alike, are_observed, dtype):
    times, weight, delays = draw(dtype)
    delays[1] = 0
    parameters = neurons(dtype, are_alike)
    observed = times_to_observe(dtype) if are_observed else None
    expected = results((times, weight, delays), parameters, 0.2, observed)
    with one_by_one():
        found = results((times, weight, delays), parameters, 0.2, observed)
    assert expected["spikes"].isfinite().double().mean() > 0.3
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("are_observed", [False, True])
def test_their_kernels_are_valid_code_for_gpus(are_observed, dtype):
    layer, parameters = draw(dtype, P, 5, 9, M), neurons(dtype, False)
    observed = times_to_observe(dtype)[:, :5] if are_observed else None
    expected = results(layer, parameters, 0.2, observed)
    with fake_gpu() as library, mock.patch.dict(device.DEVICES, cpu=Cuda()):
        found = results(layer, parameters, 0.2, observed)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
    assert "solve_blocks" in {kernel.py_func.__name__ for kernel, _ in library.kernels}
    for kernel, kinds in library.kernels:
        text = ptx(kernel, kinds, TARGETS[0])
        assert all(".rn" in operation for operation in OPERATION.findall(text)), kernel
        assert not re.search(r"\.ftz|\.local|\bcall", text), kernel


@pytest.mark.usefixtures("threads_for_anything")
def test_neither_threads_nor_other_networks_change_a_bit(dtype):
    times, weight, delays = draw(dtype)
    parameters = neurons(dtype, False)
    set_threads(1)
    expected = results((times, weight, delays), parameters, 0.2)
    set_threads(3)
    for network in range(P):
        one = slice(network, network + 1)
        layer = tuple(tensor[one] for tensor in (times, weight, delays))
        found = results(layer, {name: value[one] for name, value in parameters.items()}, 0.2)
        for name, tensor in expected.items():
            assert torch.equal(found[name], tensor[one]), name


def kinds(delays: Tensor) -> dict[str, Tensor]:
    return {"synaptic": delays, "axonal": delays[:, :1]}


@pytest.mark.parametrize("kind", ["synaptic", "axonal"])
def test_spikes_are_those_of_fifty_digits(kind, taus, dtype):
    times, weight, delays = draw(torch.float32, 4, 20, 6)
    times, weight, delays = (tensor.to(dtype) for tensor in (times, weight, (8 * delays).round() / 8))
    random = np.random.default_rng(3)
    tau_mem, tau_syn = (tau * torch.tensor(random.lognormal(0, 0.2, (1, 6)), dtype=dtype) for tau in taus)
    tau_mem[0, 0], tau_syn[0, 0] = taus
    neuron, delays = Neuron(tau_mem, tau_syn, 0.4), kinds(delays)[kind]
    # On this grid, the sums of delays and half of the times are exact in float32, those of all in float64.
    times = (2**12 * times).round() / 2**12
    seen = agreement(first_spike(times, weight, neuron, delays), times, weight, neuron, delays)
    assert seen.spikes > 10
    assert seen.outside > 20


@pytest.mark.parametrize("spread", [0.0, 1e-12, 1e-9, 1e-6])
def test_arrivals_that_are_close_to_each_other_and_far_from_others_are_in_their_exact_order(spread, dtype):
    random = np.random.default_rng(4)
    sent = np.concatenate([random.uniform(0, 1, 40), [1e4]])[None]
    arrivals = 2 + spread * random.uniform(0, 1, (41, 3))
    times = torch.tensor(sent, dtype=dtype)
    delays = torch.tensor(np.maximum(arrivals - sent.T, 0), dtype=dtype)
    weight = torch.tensor(random.normal(0.2, 1, (41, 3)), dtype=dtype)
    neuron = Neuron(v_th=0.7)
    seen = agreement(first_spike(times, weight, neuron, delays), times, weight, neuron, delays)
    assert seen.spikes > 0


def test_derivatives_are_those_of_fifty_digits(taus):
    times, weight, delays = draw(torch.float64, 4, 20, 6)
    random = np.random.default_rng(6)
    times = times + torch.tensor(random.uniform(0, 0.1, times.shape))  # no two arrivals are at one time
    tau_mem, tau_syn = (tau * torch.tensor(random.lognormal(0, 0.1, (1, 6))) for tau in taus)
    neuron = Neuron(tau_mem, tau_syn, 0.4)
    # Each sample is a network, so that nothing is added up over samples.
    leaves = [tensor.clone().requires_grad_() for tensor in (weight.expand(4, 20, 6), delays.expand(4, 20, 6))]
    spikes = first_spike(times[:, None], leaves[0], neuron, leaves[1])
    by_weight, by_delays = torch.autograd.grad(spikes, leaves, spikes.isfinite().double())
    count = 0
    for (row, column), cell in cells(times, weight, neuron, delays):
        right = exact(cell)
        if right.outside(torch.float64):
            count += int(right.spike < mp.inf)
            expected = derivatives(cell, right.spike)
            for found, entries in ((by_weight, expected.weights), (by_delays, expected.times)):
                scale = max(map(abs, entries))
                for value, entry in zip(found[row, :, column].tolist(), entries, strict=True):
                    assert abs(value - entry) <= 1e-8 * scale
    assert count > 10


def test_derivatives_are_those_of_differences(taus):
    times, weight, delays = draw(torch.float64, 2, 4, 9, 5)
    parameters = [torch.full((5,), value, dtype=torch.float64) for value in (*taus, 0.5)]

    def spikes(*leaves: Tensor) -> Tensor:
        times_of_all = first_spike(*leaves[:2], Neuron(*leaves[3:]), leaves[2])
        return times_of_all[times_of_all.isfinite()]

    # No two arrivals are at one time, where there is no derivative.
    random = np.random.default_rng(5)
    leaves = [times.nan_to_num(posinf=3.0) + torch.tensor(random.uniform(0, 0.1, times.shape)), weight]
    leaves += [delays + torch.tensor(random.uniform(0, 0.1, delays.shape)), *parameters]
    assert len(spikes(*leaves)) > 15
    assert torch.autograd.gradcheck(spikes, [leaf.requires_grad_() for leaf in leaves])


@pytest.mark.parametrize("kind", ["synaptic", "axonal"])
def test_the_derivatives_by_the_delays_of_a_neuron_sum_to_one(kind, taus):
    # Each sample is a network, so that nothing is added up over samples.
    times, weight, delays = draw(torch.float64, 40, 1, 20, 1 if kind == "axonal" else 6)
    delays.requires_grad_()
    spikes = first_spike(times, weight, Neuron(*taus, 0.5), delays)
    fired = spikes.isfinite()
    assert 0.3 < fired.double().mean() < 1
    (gradient,) = torch.autograd.grad(spikes, delays, fired.double())
    scale = gradient.abs().amax(1).clamp(min=1)
    assert ((gradient.sum(1) - fired[:, 0].double()).abs() <= 1e-9 * scale).all()


def test_the_derivative_by_a_time_is_the_sum_of_those_by_its_delays(dtype):
    times, weight, delays = draw(dtype, B, 1, N, M)
    found = results((times, weight, delays), {"v_th": torch.ones(1, dtype=dtype)})
    sums = found["delays"].double().sum(2)
    scale = found["delays"].abs().sum(2)
    bound = 10 * torch.finfo(dtype).eps * scale.double()
    assert ((found["times"][:, 0].double() - sums).abs() <= bound).all()


def test_the_limit_drops_the_same_samples_for_weights_and_delays(dtype):
    times, weight, delays = draw(dtype, B, 1, N, M)  # each sample is a network
    parameters = {"v_th": torch.ones(1, dtype=dtype)}
    full, limited = (results((times, weight, delays), parameters, limit) for limit in (math.inf, 0.2))
    kept = full["weight"].abs().amax(1) <= 0.2
    assert 0.1 < kept.double().mean() < 0.9
    for name in ("weight", "delays"):
        assert torch.equal(limited[name], torch.where(kept[:, None], full[name], 0))
    assert torch.equal(limited["times"], full["times"])


def test_observed_spikes_are_returned_and_have_the_derivatives_of_first_ones_there():
    layer = draw(torch.float64)
    parameters = neurons(torch.float64, False)
    first = results(layer, parameters)
    found = results(layer, parameters, observed=first["spikes"])
    for name, tensor in first.items():
        if name == "spikes":
            assert torch.equal(found[name], tensor)
        else:
            torch.testing.assert_close(found[name], tensor, rtol=1e-6, atol=1e-9 * tensor.abs().max().item())


@pytest.mark.parametrize("shape", [(1, M), (M,), (P, 1, M)])
def test_dendritic_delays_shift_the_spikes(shape, dtype):
    times, weight, _ = draw(dtype)
    delays = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    delays.requires_grad_()
    plain = first_spike(times, weight, Neuron())
    spikes = first_spike(times, weight, Neuron(), delays)
    assert torch.equal(spikes, plain + delays)
    (gradient,) = torch.autograd.grad(spikes, delays, torch.ones_like(spikes))
    assert torch.equal(gradient, plain.isfinite().to(dtype).sum_to_size(shape))


def test_observed_spikes_are_those_after_a_dendritic_delay(dtype):
    times, weight, _ = draw(dtype)
    delays, observed = torch.full((1, M), 0.3, dtype=dtype), times_to_observe(dtype)
    observed[:, ::3] = math.inf
    weight.requires_grad_()
    spikes = observed_spike(times, weight, Neuron(), observed, delays)
    assert torch.equal(spikes, observed)
    before = observed_spike(times, weight, Neuron(), observed - delays)
    upstream = observed.isfinite().to(dtype)
    found, expected = (torch.autograd.grad(each, weight, upstream)[0] for each in (spikes, before))
    assert torch.equal(found, expected)


def test_a_neuron_that_fires_by_itself_waits_for_its_dendritic_delay_only(dtype):
    times, weight = torch.full((1, 2), 0.5, dtype=dtype), torch.ones(2, 3, dtype=dtype)
    neuron = Neuron(v_th=-0.5)
    delays = torch.tensor([[0.25, 0.5, 0.75]], dtype=dtype)
    assert torch.equal(first_spike(times, weight, neuron, delays), delays)
    assert not first_spike(times, weight, neuron, delays.expand(2, 3)).any()
    assert not first_spike(times, weight, neuron, torch.ones(2, 1, dtype=dtype)).any()


@pytest.mark.parametrize(("n_rows", "n_inputs", "n_neurons"), [(0, 3, 2), (2, 0, 3), (2, 3, 0), (3, 1, 2), (2, 9, 17)])
def test_layers_of_any_size_have_gradients(n_rows, n_inputs, n_neurons, dtype):
    times, weight = torch.rand(n_rows, n_inputs).to(dtype), torch.ones(n_inputs, n_neurons, dtype=dtype)
    delays = torch.rand(n_inputs, n_neurons).to(dtype).requires_grad_()
    spikes = first_spike(times, weight, Neuron(v_th=0.1), delays)
    (gradient,) = torch.autograd.grad(spikes.sum(), delays)
    assert spikes.shape == (n_rows, n_neurons)
    assert gradient.shape == delays.shape


@pytest.mark.parametrize(
    ("delays", "error", "message"),
    [
        (torch.full((3, 2), -0.5), ValueError, "delays -0.5: a delay must be finite and at least 0"),
        (torch.full((3, 1), math.inf), ValueError, "delays inf: a delay must be finite"),
        (torch.full((1, 2), math.nan), ValueError, "delays nan: a delay must be finite"),
        (torch.zeros(2, 2), ValueError, r"delays \[2, 2\]: expected axonal ones \[..., 3, 1\], dendritic ones"),
        (torch.zeros(3, 2, dtype=torch.float64), TypeError, "delays torch.float64, times torch.float32"),
        (torch.zeros(4, 3, 2), ValueError, r"do not broadcast: times \[2, 5, 3\].*delays \[4, 3, 2\]"),
    ],
)
def test_delays_that_do_not_fit_are_refused(delays, error, message):
    with pytest.raises(error, match=message):
        first_spike(torch.zeros(2, 5, 3), torch.ones(3, 2), Neuron(), delays)


MEMORY = """
import resource, torch
from ttfsrun.neuron import Neuron, first_spike

def run(n_rows, n_inputs, n_neurons):
    generator = torch.Generator().manual_seed(0)
    times = torch.rand(n_rows, n_inputs, generator=generator).requires_grad_()
    weight = (0.003 + torch.randn(n_inputs, n_neurons, generator=generator) / 30).requires_grad_()
    delays = torch.rand(n_inputs, n_neurons, generator=generator).requires_grad_()
    spikes = first_spike(times, weight, Neuron(), delays, gradient_limit=1.0)
    spikes[torch.isfinite(spikes)].sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, torch.isfinite(spikes).double().mean().item()

before, _ = run(4, 100, 100)
after, spiked = run(500, 1000, 1000)
print(after - before, spiked)
"""


def test_memory_does_not_grow_with_the_number_of_arrivals():
    child = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=False, timeout=300)
    assert child.returncode == 0, child.stderr
    # An order of arrival of each neuron, in int32, would be 2 GB; see the same test without delays.
    kilobytes, spiked = map(float, child.stdout.split())
    assert 0.2 < spiked < 1
    assert 1024 * kilobytes < 200e6
