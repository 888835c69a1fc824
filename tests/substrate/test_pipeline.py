"""Many networks at once: each with its own strengths, chip and random numbers, to the bits that it has alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from perturbed import STRONG, configured, operating
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.network import emulate
from ttfsrun.neuron import Neuron
from ttfsrun.neuron.draws import normal, uniform
from ttfsrun.substrate import pipeline
from ttfsrun.substrate.emulation import Operation
from ttfsrun.substrate.kinds import shifted
from ttfsrun.substrate.perturbation import Perturbation
from ttfsrun.substrate.pipeline import Draws

UNBOUNDED = {key: value for key, value in STRONG.items() if key not in ("weight.bits", "weight.lsb", "weight.clip")}
#: Networks that differ only in numbers.
ALIKE = [
    configured({key: value * factor for key, value in UNBOUNDED.items()}, seed__chip=chip, seed__trial=trial)
    for factor, chip, trial in ((1.0, 0, 0), (0.5, 1, 0), (0.9, 0, 3), (0.5, 0, 3), (0.5, 1, 0))
]
#: Networks with other perturbations.
MIXED = [
    configured(),
    configured(UNBOUNDED, seed__trial=1),
    configured(STRONG, seed__chip=2),
    configured({"weight.bits": 3, "weight.rounding": "stochastic", "weight.chip_std": 0.1}),
    configured({"weight.clip": 1.0, "spike_time.jitter": 0.1, "v_th.sample_std": 0.1}, seed__trial=2),
    configured({"weight.clip": 0.7, "spike_time.jitter": 0.2, "v_th.sample_std": 0.2}),
    configured({"time_resolution.step": 0.1, "time_resolution.rounding": "floor", "dead_neurons.p": 0.3}),
    configured(),
]


def computed(operation: Operation, chosen: list[int]) -> list[Tensor]:
    """Return all that an operation makes of the quantities of some networks, and the derivatives."""
    random = torch.Generator().manual_seed(0)
    size = len(MIXED)
    weight, gradient = (torch.randn(size, 5, 7, generator=random)[chosen] for _ in range(2))
    times, by_spikes = (torch.rand(size, 9, 7, generator=random)[chosen] for _ in range(2))
    nominal = Neuron(*(0.5 + torch.rand(4, size, 1, 1, generator=random, dtype=torch.float64)[:, chosen]))
    on_chip, spikes, neuron = (
        operation.weight(0, weight),
        operation.spikes(0, times),
        operation.neuron(0, nominal, (9, 7)),
    )
    parameters = [getattr(neuron, name) for name in ("tau_mem", "tau_syn", "v_th", "v_leak")]
    return [
        operation.external(0, times),
        on_chip.value,
        on_chip.backward(gradient),
        spikes.value,
        spikes.backward(by_spikes),
        operation.silent_by_itself(0, times),
        *(value.expand(len(chosen), 9, 7) for value in parameters),
    ]


@pytest.mark.parametrize("configs", [ALIKE, MIXED], ids=["alike", "mixed"])
def test_each_network_has_the_same_bits_alone_and_among_others(configs: list[Config]) -> None:
    everybody = list(range(len(configs)))
    together = operating(*configs, age=2, step=4, writing=3)
    found = computed(together, everybody)
    for p in everybody:
        alone = computed(operating(configs[p], age=2, step=4, writing=3), [p])
        part = computed(together.only([p]), [p])
        for one, other, of_part in zip(found, alone, part, strict=True):
            assert torch.equal(one[p], other[0])
            assert torch.equal(of_part, other)


def test_networks_that_differ_only_in_numbers_are_perturbed_at_once() -> None:
    pipelines = emulate(ALIKE, [True] * len(ALIKE)).pipelines
    assert len(pipelines) == 7
    assert all(len(of_quantity) == 1 and of_quantity[0].chosen is None for of_quantity in pipelines.values())


def test_a_network_takes_no_part_in_perturbations_that_it_does_not_have() -> None:
    for where, pipelines in emulate(MIXED, [True] * len(MIXED)).pipelines.items():
        taking_part = sorted(p for pipeline in pipelines for p in pipeline.chosen.tolist())
        have = [p for p, config in enumerate(MIXED) if where in emulate([config], [True]).pipelines]
        assert taking_part == have


def test_networks_on_the_same_chip_in_the_same_trial_share_it() -> None:
    first, other, same = emulate([ALIKE[0], ALIKE[2], ALIKE[0]], [True] * 3).members
    assert first is same
    assert first is not other


def test_a_function_that_hides_a_number_is_not_mistaken_for_one_that_hides_another() -> None:
    def hiding(std: float) -> Perturbation:
        def draw(random: Any, shape: tuple[int, ...]) -> Any:
            return std * random.standard_normal(shape)

        return Perturbation(name="hidden", where="v_th", when="batch", change=shifted, draw=draw)

    assert hiding(0.1).form != hiding(0.2).form


def test_the_same_trial_has_the_same_noise_at_any_strength() -> None:
    configs = [configured({"spike_time.jitter": jitter}, seed__init=seed) for jitter, seed in ((0.1, 0), (0.2, 1))]
    noise = operating(*configs).spikes(0, torch.zeros(2, 9, 7, dtype=torch.float64)).value
    assert bool(noise.all())
    assert torch.equal(2 * noise[0], noise[1])


def test_two_draws_of_one_perturbation_are_one_stream() -> None:
    keys, draws = torch.tensor([5, 6]), Draws(torch.tensor([5, 6]), 3)
    assert torch.equal(draws.standard_normal((2, 3)), normal(keys, 3, (2, 3)))
    assert torch.equal(draws.random((5,)), uniform(keys, 3, (5,), first=6))
    assert torch.equal(draws.random((2,)), uniform(keys, 3, (2,), first=11))


def test_chips_are_as_old_as_the_operation_says() -> None:
    configs = [configured({"drift.std": 0.2, "weight.chip_cv": 0.1}, seed__chip=chip) for chip in (0, 1)]
    substrates = emulate(configs, [True, True])
    weight = torch.ones(2, 5, 7, dtype=torch.float64)
    for age in (0, 2, 3, 3, 1):
        found = substrates.during("training", age=age).weight(0, weight).value
        for p, config in enumerate(configs):
            (member,) = emulate([config], [True]).members
            drawn = member.chip(age).drawn
            expected = (1 + drawn["drift.weight"][0]) * (1 + drawn["weight.chip_gain"][0])
            np.testing.assert_allclose(found[p], expected, rtol=1e-12)


def test_levels_and_clips_are_those_of_each_network() -> None:
    settings = [{"weight.bits": 1, "weight.clip": 1.0}, {"weight.bits": 2, "weight.clip": 2.0}]
    found = operating(*map(configured, settings)).weight(0, torch.linspace(-4, 4, 201).expand(2, 1, -1)).value
    assert found[0].unique().tolist() == [-1, 0, 1]
    assert len(found[1].unique()) == 7
    assert float(found[1].max()) == 2


def test_dead_neurons_and_lost_spikes_are_those_of_each_network() -> None:
    configs = [configured({"dead_neurons.p": 1.0}), configured(), configured({"spike_time.loss": 0.5})]
    operation, times = operating(*configs), torch.full((3, 50, 7), math.inf)
    dead, ideal, lossy = operation.silent_by_itself(0, times) == math.inf
    assert not dead.any()
    assert bool(ideal.all())
    assert torch.equal(lossy, operation.spikes(0, torch.zeros(3, 50, 7)).value[2] < math.inf)
    assert bool((times == math.inf).all())


@pytest.mark.parametrize("at_once", [1, 60])
def test_numbers_that_are_drawn_for_a_few_networks_at_once_are_the_same(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation, everybody = operating(*ALIKE, age=2, step=4, writing=3), list(range(len(ALIKE)))
    expected = computed(operation, everybody)
    drawn = []

    def recording(keys: Tensor, *args: Any, **more: Any) -> Tensor:
        drawn.append(normal(keys, *args, **more))
        return drawn[-1]

    monkeypatch.setattr(pipeline, "DRAWN_AT_ONCE", at_once)
    monkeypatch.setattr(pipeline, "normal", recording)
    assert all(map(torch.equal, computed(operation, everybody), expected))
    assert all(len(numbers) == 1 or numbers.numel() <= at_once for numbers in drawn)
    assert any(len(numbers) > 1 for numbers in drawn) == (at_once > 1)
