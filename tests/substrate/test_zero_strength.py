"""Zero strength is the ideal network, bit for bit: skipped or applied, one perturbation alone or all together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from perturbed import DELAYS, FIXED, MANNERS, STRONG, configured, operating, outcome, some_times
from torch import Tensor

from ttfsrun.config.dotted_keys import leaves
from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples, load_samples
from ttfsrun.evaluation.metrics import compute_metrics
from ttfsrun.network import build, emulate
from ttfsrun.neuron import Neuron
from ttfsrun.substrate import chip, member
from ttfsrun.substrate.backward import RULES
from ttfsrun.substrate.chip import Chip
from ttfsrun.substrate.emulation import IDEAL
from ttfsrun.substrate.kinds import scaled, shifted, silenced
from ttfsrun.substrate.perturbation import Perturbation
from ttfsrun.substrate.schema import Substrate, all_perturbations
from ttfsrun.training.responses import collect_responses
from ttfsrun.training.trainer import Trainer

#: Time constants of each neuron's own take other kernels, which round differently (see `Member.kind`).
OF_TAUS = ("tau_mem.chip", "tau_syn.chip")


def sound(perturbation: Perturbation) -> bool:
    """Return whether it can be applied at zero strength: without bits there are no levels, without a step no grid."""
    return perturbation.name not in ("weight.clip", "weight.rounding") and perturbation.stage != "clock"


DRAWN = [p.name for p in all_perturbations(configured().substrate) if sound(p)]


@pytest.fixture
def carried_out(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Apply the perturbations whose name matches although they are off."""

    def carry_out(*names: str) -> None:
        def also(substrate: Substrate) -> list[Perturbation]:
            return [replace(p, off=p.off and p.name not in names) for p in all_perturbations(substrate)]

        monkeypatch.setattr(chip, "all_perturbations", also)
        monkeypatch.setattr(member, "all_perturbations", also)

    return carry_out


@pytest.fixture(scope="module")
def splits() -> dict[str, Samples]:
    return load_samples(configured().data)[0]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) > 0 and all(map(torch.equal, first, second))


def trained(config: Config, splits: dict[str, Samples]) -> list[bytes]:
    """Return everything that training produces for a network."""
    trainer = Trainer([config], splits["train"], splits["valid"])
    for _ in range(config.training.epochs):
        trainer.run_epoch()
    state = trainer.state
    groups = [
        *state.learned.tensors,
        *state.best.tensors,
        *state.moments.first,
        *state.moments.second,
        state.moments.steps,
    ]
    return [tensor.numpy().tobytes() for tensor in (*groups, state.best_score, state.best_epoch, state.curves)]


def test_each_number_among_the_settings_of_a_substrate_is_a_strength_or_a_manner() -> None:
    settings = {key for key, _ in leaves(msgspec.to_builtins(configured().substrate)) if not key.startswith("chip.")}
    assert settings == STRONG.keys() | DELAYS.keys() | MANNERS


@pytest.mark.parametrize("key", STRONG)
def test_each_strength_changes_the_network(key: str) -> None:
    config, times = configured({key: STRONG[key]}), some_times()
    ideal, _ = outcome([config], times, IDEAL)
    perturbed, _ = outcome([config], times, operating(config, age=1))
    assert not any(map(torch.equal, ideal, perturbed))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("key", STRONG)
def test_without_it_the_network_is_ideal(key: str, rule: str) -> None:
    off = None if key in ("weight.bits", "weight.lsb", "weight.clip") else 0.0
    config, times = configured({key: off}, training__backward=rule), some_times()
    spikes, gradients = outcome([config], times, operating(config, age=1))
    expected = outcome([config], times, IDEAL)
    assert same(spikes, expected[0])
    assert same(gradients, expected[1])
    assert emulate([config], [True]).ideal


@pytest.mark.parametrize("name", DRAWN)
def test_a_zero_that_is_drawn_and_carried_out_changes_no_bit_of_a_quantity(
    name: str, carried_out: Callable[..., None]
) -> None:
    config = configured()
    carried_out(name)
    operation = operating(config, age=2)
    assert not emulate([config], [True]).ideal
    random = torch.Generator().manual_seed(1)
    for layer, (n_inputs, n_neurons) in enumerate([(5, 7), (8, 3)]):
        weight = torch.randn(1, n_inputs, n_neurons, generator=random)
        times, spikes = (torch.rand(1, 20, n, generator=random) for n in (n_inputs, n_neurons))
        spikes[:, ::3] = math.inf
        nominal = Neuron(*(0.5 + torch.rand(4, 1, 1, 1, generator=random, dtype=torch.float64)))
        neuron = operation.neuron(layer, nominal, (20, n_neurons))
        for value, found in (
            (times, operation.external(layer, times)),
            (spikes, operation.spikes(layer, spikes).value),
            (weight, operation.weight(layer, weight).value),
            *((getattr(nominal, key), getattr(neuron, key)) for key in ("tau_mem", "tau_syn", "v_th", "v_leak")),
        ):
            assert torch.equal(found, value.expand(found.shape))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("names", [[name] for name in DRAWN] + [DRAWN], ids=lambda names: "+".join(names[:2]))
def test_a_network_of_zeros_that_are_carried_out_is_the_ideal_one(
    names: list[str], rule: str, carried_out: Callable[..., None]
) -> None:
    config, times = configured(training__backward=rule), some_times()
    expected, by_hand = outcome([config], times, IDEAL)
    carried_out(*names)
    operation = operating(config, age=2)
    spikes, gradients = outcome([config], times, operation)
    if set(names) & set(OF_TAUS):  # other kernels, which round differently
        for one, other in zip(spikes, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=0)
    else:
        assert same(spikes, expected)
    if set(names) & set(OF_TAUS) or rule == "observed":  # the slope at a recorded time, not at the crossing
        for one, other in zip(gradients, by_hand, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    else:
        assert same(gradients, by_hand)


@pytest.mark.parametrize("rule", RULES)
def test_a_clip_that_no_weight_reaches_changes_nothing(rule: str, splits: dict[str, Samples]) -> None:
    wide = configured({"weight.clip": 1e6}, training__backward=rule)
    spikes, gradients = outcome([wide], some_times(), operating(wide))
    expected, by_hand = outcome([wide], some_times(), IDEAL)
    assert same(spikes, expected)
    if rule != "observed":
        assert same(gradients, by_hand)
        assert trained(wide, splits) == trained(configured(training__perturbed=False), splits)


@pytest.mark.parametrize("rule", RULES)
def test_training_on_the_ideal_substrate_is_plain_training(rule: str, splits: dict[str, Samples]) -> None:
    plain = trained(configured(training__perturbed=False), splits)
    on_it = {"training__perturbed": True, "training__backward": rule, "seed__chip": 5, "seed__trial": 6}
    assert trained(configured(**on_it), splits) == plain
    noisy = configured({"weight.read_std": 0.01}, **on_it)
    assert trained(noisy, splits) != plain
    unperturbed = msgspec.structs.replace(noisy.training, perturbed=False)
    assert trained(msgspec.structs.replace(noisy, training=unperturbed), splits) == plain


@pytest.mark.parametrize("rule", ["ideal", "same_draw"])
def test_training_on_a_saved_chip_of_zeros_is_plain_training(
    rule: str, tmp_path: Path, splits: dict[str, Samples]
) -> None:
    strong = configured({key: value for key, value in STRONG.items() if not key.startswith("tau")})
    nothing = {"stuck_synapses": math.nan, "dead_neurons": False}
    zeros = {
        name: tuple(np.full_like(array, nothing.get(name, 0)) for array in layers)
        for name, layers in Chip.of(strong.chip_spec).drawn.items()
    }
    assert len(zeros) >= 6
    Chip(zeros).save(tmp_path / "zeros.safetensors")
    config = configured({"chip.file": str(tmp_path / "zeros.safetensors")}, training__backward=rule)
    (on_chip,) = emulate([config], [True]).members
    assert {p.name for perturbations in on_chip.acting.values() for p in perturbations} == zeros.keys()
    assert trained(config, splits) == trained(configured(training__perturbed=False), splits)


def test_evaluating_on_a_saved_chip_of_zeros_is_plain_evaluation(tmp_path: Path, splits: dict[str, Samples]) -> None:
    zeros = {
        "v_th.chip": (np.zeros((1, 7)), np.zeros((1, 3))),
        "weight.chip_gain": (np.zeros((5, 7)), np.zeros((8, 3))),
    }
    Chip(zeros).save(tmp_path / "zeros.safetensors")
    config, part = configured({"chip.file": str(tmp_path / "zeros.safetensors")}), splits["test"]
    substrate = emulate([config], [True])
    network, loss = build([config]), config.training.loss
    (plain,) = collect_responses(network, part, loss)
    (result,) = collect_responses(network, part, loss, lambda step: substrate.during("test", step), 7)
    assert compute_metrics(result) == compute_metrics(plain)
    np.testing.assert_array_equal(result.decision_time, plain.decision_time)


floats = st.floats(width=32, allow_nan=False)
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@FIXED
@given(value=arrays.arrays(np.float32, 5, elements=floats), unit=finite)
def test_a_change_of_zero_leaves_every_float_as_it_is(value: np.ndarray, unit: float) -> None:
    times = torch.from_numpy(value)
    zeros = torch.zeros(5)
    assert torch.equal(shifted(times, zeros, unit), times)
    assert torch.equal(scaled(times, zeros, unit), times)
    assert torch.equal(silenced(times, zeros.bool(), unit), times)
