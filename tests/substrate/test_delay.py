"""Delays on a chip: their range and clock, mismatch and noise; what of it reaches spikes and derivatives by theta."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from perturbed import DELAYS, configured, doubled, operating, some_times
from torch import Tensor

from ttfsrun.config.compose import ConfigError, compose
from ttfsrun.config.schema import Config
from ttfsrun.network import Network, build, emulate
from ttfsrun.network.delays.kinds import LayerDelays
from ttfsrun.substrate import chip, member
from ttfsrun.substrate.backward import RULES
from ttfsrun.substrate.chip import Chip
from ttfsrun.substrate.emulation import IDEAL, Operation
from ttfsrun.substrate.schema import all_perturbations

KINDS = ("axonal", "dendritic", "synaptic")
FIXED_PATTERN = {"delay.chip_cv": 0.2, "delay.chip_std": 0.2}
STEP = 1e-7  # of a difference


def delayed(kind: Any, substrate: Mapping[str, Any], **others: Any) -> Config:
    return configured(substrate, network__delays=kind, **others)


def possible(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that delays of a kind can have."""
    return {key: value for key, value in settings.items() if kind != "synaptic" or key != "delay.jitter"}


def outcome(network: Network, operation: Operation) -> tuple[list[Tensor], list[Tensor]]:
    """Return the spikes, and the derivatives of sum_n t_n + t_n^2 / 2 by the weights and thetas."""
    done = network.run(some_times(dtype=network.weights[0].dtype), operation)
    return done.spikes, done.gradients([1 + layer for layer in done.spikes]).tensors


def acting(config: Config, layer: int = 0, n_samples: int = 20) -> Tensor:
    delays = build([config]).delays_on(layer, operating(config), n_samples)
    assert isinstance(delays, LayerDelays)
    return delays.acting


CASES = [(kind, key) for kind in KINDS for key in possible(kind, DELAYS)]


@pytest.mark.parametrize(("kind", "key"), CASES)
def test_each_strength_changes_the_network(kind: str, key: str) -> None:
    config = delayed(kind, {key: DELAYS[key]})
    ideal, perturbed = outcome(build([config]), IDEAL)[0], outcome(build([config]), operating(config))[0]
    assert not any(map(torch.equal, ideal, perturbed))


@pytest.mark.parametrize("rule", ["ideal", "same_draw"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_zero_that_is_drawn_and_carried_out_is_the_ideal_network(
    kind: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = ("delay.chip_gain", "delay.chip_offset", *(["delay.jitter"] if kind != "synaptic" else []))

    def carried_out(substrate: Any) -> list[Any]:
        return [chip.Perturbation(**{**vars(p), "off": p.name not in drawn}) for p in all_perturbations(substrate)]

    config = delayed(kind, {}, training__backward=rule)
    expected = outcome(build([config]), IDEAL)
    for module in (chip, member):
        monkeypatch.setattr(module, "all_perturbations", carried_out)
    assert not emulate([config], [True]).ideal
    found = outcome(build([config]), operating(config))
    for one, other in zip(itertools.chain(*found), itertools.chain(*expected), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_no_delay_is_negative_whatever_is_added_to_it(kind: str) -> None:
    wild = {key: 3.0 for key in possible(kind, DELAYS) if key not in ("delay.step", "delay.largest")}
    delays = acting(delayed(kind, wild))
    assert float(delays.min()) == 0
    assert float(delays.max()) > 1
    assert all(
        bool((layer >= 0).all()) for layer in outcome(build([delayed(kind, wild)]), operating(delayed(kind, wild)))[0]
    )


@pytest.mark.parametrize("settings", [{"delay.step": 0.1, "delay.bits": 3}, {"delay.largest": 0.7, "delay.bits": 3}])
def test_a_clock_of_some_bits_has_as_many_delays_and_a_longest_one(settings: dict[str, Any]) -> None:
    config = delayed("synaptic", settings, network__hidden=[200])
    steps = acting(config) / 0.1
    assert torch.allclose(steps, steps.round(), atol=1e-5)
    nominal = build([config]).delays_of(0).values  # type: ignore[attr-defined]
    assert float(nominal.max()) > 0.75
    assert float(steps.max()) == pytest.approx(7)
    assert float((acting(config) - nominal.clamp(max=0.7)).abs().max()) <= 0.05 + 1e-6


def test_the_chip_follows_the_clock_so_that_its_delays_are_between_the_steps() -> None:
    config = delayed("axonal", {"delay.step": 0.25, "delay.chip_std": 0.05, "delay.chip_cv": 0.1})
    nominal = build([config]).delays_of(0).values.double()  # type: ignore[attr-defined]
    drawn = emulate([config], [True]).members[0].chip(0).drawn
    gain, offset = (torch.from_numpy(drawn[f"delay.chip_{name}"][0]) for name in ("gain", "offset"))
    expected = ((nominal.mT / 0.25).round() * 0.25 * (1 + gain) + offset).clamp(min=0)
    torch.testing.assert_close(acting(config).double(), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("kind", "rows"), [("axonal", 5), ("dendritic", 7)])
def test_jitter_is_drawn_for_each_sample_and_source_or_neuron(kind: str, rows: int) -> None:
    config = delayed(kind, {"delay.jitter": 0.01}, network__delay_function={"name": "sigmoid", "shift": 1, "scale": 0})
    delays = acting(config, n_samples=400)
    assert delays.shape == (1, 400, rows)
    assert len(delays.unique()) > 0.98 * delays.numel()
    assert float(delays.std()) == pytest.approx(0.01, rel=0.1)
    assert torch.equal(acting(config, n_samples=30), delays[:, :30])


def test_the_lines_of_one_source_have_one_delay_on_the_chip() -> None:
    config = delayed("axonal", FIXED_PATTERN | {"delay.jitter": 0.1}, network__input_repeats=3)
    network, operation, times = build([config]), operating(config), some_times()
    arriving = network.arrivals(times, network(times, operation), operation)[0]
    inputs, bias = arriving[..., :12].unflatten(-1, (3, 4)), arriving[..., 12:]
    assert torch.equal(inputs, inputs[..., :1, :].expand_as(inputs))
    assert torch.equal(bias, bias[..., :1].expand_as(bias))
    assert emulate([config], [True]).members[0].chip(0).drawn["delay.chip_gain"][0].shape == (1, 5)


def differences(network: Network, operation: Operation) -> list[Tensor]:
    """Return the derivatives of `outcome` by the thetas as central differences."""
    found = []
    for number, theta in network.thetas.items():
        slopes = torch.zeros_like(theta)
        for index in range(theta.numel()):
            ends = []
            for step in (-STEP, STEP):
                moved = network.learned.map(torch.clone)
                moved.thetas[number].view(-1)[index] += step
                spikes = network.with_learned(moved)(some_times(dtype=torch.float64), operation)
                finite = [layer[layer.isfinite()] for layer in spikes]
                ends.append(sum(float((times + times * times / 2).sum()) for times in finite))
            slopes.view(-1)[index] = (ends[1] - ends[0]) / (2 * STEP)
        found.append(slopes)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_same_draw_has_the_derivatives_of_the_perturbed_delays(kind: str) -> None:
    strong = possible(kind, {"delay.chip_cv": 0.3, "delay.chip_std": 0.4, "delay.jitter": 0.4, "v_th.chip_std": 0.05})
    config = delayed(kind, strong, training__backward="same_draw", network__input_repeats=2)
    network, operation = doubled(build([config])), operating(config)
    delays = network.delays_on(0, operation, 20)
    assert isinstance(delays, LayerDelays)
    assert 0 < float((delays.acting == 0).double().mean()) < 0.5  # some end at 0
    gradients = outcome(network, operation)[1][len(network.weights) :]
    for one, other in zip(gradients, differences(network, operation), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
        assert bool(one.any())


def test_range_and_clock_pass_the_derivative_on_unchanged() -> None:
    config = delayed("axonal", {"delay.step": 0.1, "delay.largest": 0.3}, training__backward="same_draw")
    network, operation = build([config]), operating(config)
    delays = network.delays_on(0, operation, 20)
    assert isinstance(delays, LayerDelays)
    assert bool((delays.values > 0.35).any())
    assert delays.on_chip is not None
    gradient = torch.randn(1, 20, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(delays.on_chip.backward(gradient), gradient)


@pytest.mark.parametrize("kind", KINDS)
def test_the_rules_without_knowledge_of_the_chip_use_the_nominal_delays(kind: str) -> None:
    """Delays as on the chip, but taken for the nominal ones, have other derivatives."""
    for rule in ("observed", "ideal"):
        config = delayed(kind, FIXED_PATTERN, training__backward=rule)
        network, operation = build([config]), operating(config)
        spikes, gradients = outcome(network, operation)
        same = delayed(kind, FIXED_PATTERN, training__backward="same_draw")
        assert all(map(torch.equal, spikes, outcome(network, operating(same))[0]))
        done = network.run(some_times(), IDEAL)
        if rule == "ideal":
            by_hand = done.gradients([1 + layer for layer in spikes]).tensors
            assert all(map(torch.equal, gradients, by_hand))
        assert not all(map(torch.equal, gradients, outcome(network, operating(same))[1]))


@pytest.mark.parametrize("kind", KINDS)
def test_company_changes_no_bit_of_spikes_and_derivatives(kind: str) -> None:
    substrates: list[dict[str, Any]] = [{}, {"delay.jitter": 0.1}, FIXED_PATTERN, DELAYS, {"delay.step": 0.2}]
    configs = [
        delayed(kind, possible(kind, settings), training__backward=rule, seed__init=number, seed__chip=number)
        for number, (settings, rule) in enumerate(itertools.product(substrates, RULES))
    ]
    together = outcome(build(configs), operating(*configs))
    for p, config in enumerate(configs):
        alone = outcome(build([config]), operating(config))
        for found, expected in zip(itertools.chain(*together), itertools.chain(*alone), strict=True):
            assert torch.equal(found[p], expected[0]), p


def test_the_delays_of_a_chip_move_no_other_number_of_it() -> None:
    plain = configured({"v_th.chip_std": 0.1})
    both = delayed(["axonal", "none"], {"v_th.chip_std": 0.1} | FIXED_PATTERN)
    for one, other in zip(
        Chip.of(plain.chip_spec).drawn["v_th.chip"], Chip.of(both.chip_spec).drawn["v_th.chip"], strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_chip_with_delays_in_some_layers_is_saved_and_read(tmp_path: Path) -> None:
    config = delayed(["none", "synaptic"], FIXED_PATTERN)
    drawn = Chip.of(config.chip_spec)
    drawn.save(tmp_path / "chip.safetensors")
    read = Chip.load(tmp_path / "chip.safetensors", config.chip_spec)
    assert read.drawn["delay.chip_gain"][1].shape == (8, 3)
    for name, layers in drawn.drawn.items():
        assert all(map(np.array_equal, layers, read.drawn[name]))
    assert drawn.summary()["layer"].tolist() == [2, 2]
    elsewhere = delayed(["none", "synaptic"], {"chip.file": str(tmp_path / "chip.safetensors")}, seed__chip=5)
    assert torch.equal(acting(elsewhere, layer=1), acting(config, layer=1))


@pytest.mark.parametrize("key", ["step", "largest", "chip_cv", "chip_std", "jitter"])
def test_a_network_without_delays_cannot_have_their_imperfections(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"substrate\.delay\.{key}=.*the network has no delays; set network.delays"):
        compose([f"substrate.delay.{key}=0.1"])


def test_noise_of_each_synapse_is_refused_and_bits_need_a_scale() -> None:
    with pytest.raises(ConfigError, match="the delays of layer 2 are synaptic"):
        compose(["network.delays=[axonal,synaptic]", "substrate.delay.jitter=0.1"])
    with pytest.raises(ConfigError, match="bits=3 has no scale"):
        compose(["network.delays=axonal", "substrate.delay.bits=3"])
    with pytest.raises(ConfigError, match=r"largest=1\.0 is not step"):
        compose(["network.delays=axonal", "substrate.delay={bits:3,step:0.1,largest:1}"])
