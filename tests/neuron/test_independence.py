"""Results depend neither on other networks nor on threads; memory does not grow with the number of synaptic events."""

from __future__ import annotations

import math
import subprocess
import sys
import threading

import pytest
import torch
from torch import Tensor

from ttfsrun.neuron import Neuron, first_spike, parallel, set_threads


def results(times: Tensor, weight: Tensor, neuron: Neuron) -> tuple[Tensor, Tensor, Tensor]:
    """(spikes, gradient by times, gradient by weights) for a loss that weighs each spike by its own time."""
    times, weight = times.clone().requires_grad_(), weight.clone().requires_grad_()
    spikes = first_spike(times, weight, neuron)
    upstream = torch.where(torch.isfinite(spikes), spikes, 0).detach()
    return spikes.detach(), *torch.autograd.grad(spikes, [times, weight], upstream)


def neuron_of(kind: str, taus: tuple[float, float], n_neurons: int) -> Neuron:
    """All neurons with the same time constants, or each with its own."""
    if kind == "shared":
        return Neuron(*taus)
    return Neuron(taus[0] * torch.linspace(0.7, 1.6, n_neurons), taus[1])


@pytest.fixture(params=["shared", "own"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param  # type: ignore[no-any-return]


@pytest.mark.usefixtures("threads_for_anything")
def test_the_number_of_threads_does_not_change_a_bit(taus, kind, dtype, draw_layer):
    times, weight = draw_layer(3, 40, 50, 70, dtype=dtype)
    each = []
    for threads in (1, 2, 3):
        set_threads(threads)
        each.append(results(times, weight, neuron_of(kind, taus, 70)))
    for other in each[1:]:
        for one, same in zip(each[0], other, strict=True):
            assert one.any()
            assert torch.equal(one, same)


@pytest.mark.usefixtures("restore_threads")
@pytest.mark.parametrize("items", [0, 1, 2, 3, 5, 100])
def test_threads_share_all_items_and_each_item_once(items):
    set_threads(3)
    shares, runners = [], set()
    used = min(items, 3)
    together = threading.Barrier(max(used, 1))

    def task(low: int, high: int) -> None:
        shares.append((low, high))
        if threading.get_ident() not in runners:
            runners.add(threading.get_ident())
            together.wait(timeout=60)  # returns only if all threads do run at the same time

    parallel.for_ranges(task, items, 10 * parallel.SMALLEST_SHARE)
    assert len(runners) == max(used, 1)
    assert len(shares) == (min(items, used * parallel.SHARES_PER_THREAD) if used > 1 else 1)
    assert sorted(item for low, high in shares for item in range(low, high)) == list(range(items))


@pytest.mark.usefixtures("restore_threads")
def test_little_work_is_not_worth_a_thread():
    set_threads(3)
    shares = []
    parallel.for_ranges(lambda low, high: shares.append((low, high)), 100, parallel.SMALLEST_SHARE - 1)
    assert shares == [(0, 100)]


@pytest.mark.usefixtures("restore_threads")
@pytest.mark.parametrize("wrong", [0, 50, 99])
def test_an_error_in_any_thread_reaches_the_caller(wrong):
    set_threads(3)

    def task(low: int, high: int) -> None:
        if low <= wrong < high:
            raise ValueError(f"item {wrong}")

    with pytest.raises(ValueError, match=f"item {wrong}"):
        parallel.for_ranges(task, 100, 10 * parallel.SMALLEST_SHARE)


def test_a_network_is_the_same_bits_alone_and_in_a_population_of_seven(taus, kind, dtype, draw_layer):
    times, weight = draw_layer(7, 9, 15, 21, dtype=dtype, seed=1)
    neuron = neuron_of(kind, taus, 21)
    population = results(times, weight, neuron)
    for network in range(7):
        alone = results(times[network], weight[network], neuron)
        for one, company in zip(alone, population, strict=True):
            assert torch.equal(one, company[network])


def test_a_network_with_its_own_parameters_is_the_same_bits_in_a_population(dtype, draw_layer):
    times, weight = draw_layer(3, 9, 15, 21, dtype=dtype, seed=2)
    generator = torch.Generator().manual_seed(0)
    tau_mem, tau_syn, v_th = (0.7 + torch.rand(3, 1, n, generator=generator) for n in (1, 21, 1))
    population = results(times, weight, Neuron(tau_mem, tau_syn, v_th))
    for network in range(3):
        alone = results(times[network], weight[network], Neuron(tau_mem[network], tau_syn[network], v_th[network]))
        for one, company in zip(alone, population, strict=True):
            assert torch.equal(one, company[network])


def test_a_sample_is_the_same_bits_in_any_company(taus, kind, dtype, draw_layer):
    times, weight = draw_layer(37, 15, 21, dtype=dtype, seed=3)
    times[::5, ::2] = math.inf
    neuron = neuron_of(kind, taus, 21)
    spikes, by_times, _ = results(times, weight, neuron)
    assert by_times.any(1).sum() > 20
    for company in (slice(0, 1), slice(36, 37), slice(3, 20), slice(0, 37, 4)):
        some_spikes, some_by_times, _ = results(times[company], weight, neuron)
        assert torch.equal(some_spikes, spikes[company])
        assert torch.equal(some_by_times, by_times[company])
    backwards, backwards_by_times, _ = results(times.flip(0), weight, neuron)
    assert torch.equal(backwards.flip(0), spikes)
    assert torch.equal(backwards_by_times.flip(0), by_times)


def test_a_neuron_is_the_same_bits_in_any_company(taus, kind, dtype, draw_layer):
    # A SIMD vector computes 16 or 8 neurons at once; the search for one's crossing must not touch another's.
    times, weight = draw_layer(40, 12, 37, dtype=dtype, seed=4)
    tau_mem = neuron_of(kind, taus, 37).tau_mem
    spikes, _, by_weight = results(times, weight, Neuron(tau_mem, taus[1]))
    assert by_weight.any(0).sum() > 20
    for column in range(37):
        # The shortest time constant of a layer, here that of neuron 0, decides which steps are short ones.
        pick = [column] if kind == "shared" else [0, column]
        tau = tau_mem if kind == "shared" else tau_mem[pick]
        alone, _, alone_by_weight = results(times, weight[:, pick].contiguous(), Neuron(tau, taus[1]))
        assert torch.equal(alone[:, -1], spikes[:, column])
        assert torch.equal(alone_by_weight[:, -1], by_weight[:, column])


def results_by_tau(times: Tensor, weight: Tensor, tau_mem: Tensor, tau_syn: Tensor) -> list[Tensor]:
    """Spikes, and the gradients by times, weights and both time constants for a loss as in `results`."""
    leaves = [tensor.clone().requires_grad_() for tensor in (times, weight, tau_mem, tau_syn)]
    spikes = first_spike(leaves[0], leaves[1], Neuron(leaves[2], leaves[3]))
    upstream = torch.where(torch.isfinite(spikes), spikes, 0).detach()
    return [spikes.detach(), *torch.autograd.grad(spikes, leaves, upstream)]


def own_taus(*shape: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Time constants around 1, some of them equal to each other."""
    generator = torch.Generator().manual_seed(1)
    tau_mem, tau_syn = (0.7 + torch.rand(shape, generator=generator, dtype=dtype) for _ in range(2))
    if shape and shape[-1] > 1:
        tau_mem[..., ::4] = tau_syn[..., ::4]
    return tau_mem, tau_syn


@pytest.mark.usefixtures("threads_for_anything")
@pytest.mark.parametrize("shape", [(), (70,), (3, 1, 1), (3, 1, 70)])
def test_the_number_of_threads_does_not_change_a_bit_of_the_gradients_by_the_time_constants(shape, dtype, draw_layer):
    times, weight = draw_layer(3, 40, 50, 70, dtype=dtype, seed=5)
    constants = own_taus(*shape, dtype=dtype)
    each = []
    for threads in (1, 2, 3):
        set_threads(threads)
        each.append(results_by_tau(times, weight, *constants))
    for other in each[1:]:
        for one, same in zip(each[0], other, strict=True):
            assert one.any()
            assert torch.equal(one, same)


@pytest.mark.parametrize("n_own", [1, 21])
def test_a_network_has_the_same_bits_of_gradients_by_its_time_constants_alone_and_with_two_others(
    n_own, dtype, draw_layer
):
    # 21 neurons fill neither one vector nor two.
    times, weight = draw_layer(3, 9, 15, 21, dtype=dtype, seed=6)
    tau_mem, tau_syn = own_taus(3, 1, n_own, dtype=dtype)
    population = results_by_tau(times, weight, tau_mem, tau_syn)
    for network in range(3):
        alone = results_by_tau(times[network], weight[network], tau_mem[network], tau_syn[network])
        for one, company in zip(alone, population, strict=True):
            assert one.any()
            assert torch.equal(one, company[network])


@pytest.mark.usefixtures("restore_torch_threads")
def test_a_gradient_that_many_spikes_add_up_to_is_the_same_alone_and_in_a_population(draw_layer):
    # From 32,768 numbers on, torch divides a sum among its threads.
    times, weight = draw_layer(3, 300, 20, 130, dtype=torch.float32, seed=17)

    def gradients(networks: slice, threads: int) -> list[Tensor]:
        torch.set_num_threads(threads)
        parameters = [torch.ones(3, 1, 1, requires_grad=True) for _ in range(3)]
        here = Neuron(*(parameter[networks] for parameter in parameters))
        spikes = first_spike(times[networks], weight[networks], here)
        gradients = torch.autograd.grad(spikes, parameters, torch.isfinite(spikes).float())
        return [gradient[networks] for gradient in gradients]

    together = gradients(slice(None), 1)
    for network in range(3):
        alone = gradients(slice(network, network + 1), 2)
        assert all(torch.equal(a, b[[network]]) for a, b in zip(alone, together, strict=True))
        assert all(bool((gradient != 0).all()) for gradient in alone)


MEMORY = """
import resource, torch
from ttfsrun.neuron import Neuron, first_spike

def run(n_rows, n_inputs, n_neurons):
    generator = torch.Generator().manual_seed(0)
    times = torch.rand(n_rows, n_inputs, generator=generator).requires_grad_()
    weight = (0.003 + torch.randn(n_inputs, n_neurons, generator=generator) / 30).requires_grad_()
    spikes = first_spike(times, weight, Neuron(), gradient_limit=1.0)
    spikes[torch.isfinite(spikes)].sum().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, torch.isfinite(spikes).double().mean().item()

before, _ = run(4, 100, 100)
after, spiked = run(500, 1000, 1000)
print(after - before, spiked)
"""


def test_memory_does_not_grow_with_the_number_of_synaptic_events():
    child = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=False, timeout=300)
    assert child.returncode == 0, child.stderr
    # One float32 for each sample, input and neuron would be 2 GB. B (N + M) + N M is 2 million, 8 MB for each
    # quantity that is kept: times, order, steps, weights and their gradient, ... come to about 20 of them.
    kilobytes, spiked = map(float, child.stdout.split())
    assert 0.2 < spiked < 1
    assert 1024 * kilobytes < 200e6
