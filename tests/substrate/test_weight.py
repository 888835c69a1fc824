"""Weights on a chip: levels, the order of perturbations, stuck synapses, and projection in training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from perturbed import FIXED, configured, operating
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples, load_samples
from ttfsrun.network import build, emulate
from ttfsrun.substrate.backward import RULES
from ttfsrun.training.trainer import Trainer

weights = arrays.arrays(np.float32, (4, 3), elements=st.floats(-5, 5, width=32))
n_bits = st.integers(1, 8)
sizes = st.floats(0.1, 4)
roundings = st.sampled_from(["nearest", "stochastic"])


def on_chip(config: Config, weight: Tensor, **when: int) -> Tensor:
    """Return a layer's weights [N, M] as they are on the chip."""
    return operating(config, **when).weight(0, weight[None]).value[0]


def quantised(weight: np.ndarray, **settings: object) -> np.ndarray:
    config = configured({f"weight.{key}": value for key, value in settings.items()})
    return on_chip(config, torch.from_numpy(weight)).numpy()


def check_levels(found: np.ndarray, step: float, highest: int) -> None:
    """Multiples of the step, to float32's rounding of the values, at most `highest` of either sign."""
    levels = found.astype(np.float64) / step
    np.testing.assert_allclose(levels, levels.round(), atol=1e-6 * highest)
    assert np.abs(levels.round()).max() <= highest


# Levels


@FIXED
@given(weight=weights, bits=n_bits, clip=sizes, rounding=roundings)
def test_bits_with_a_clip_make_levels_up_to_the_clip(weight: np.ndarray, bits: int, clip: float, rounding: str) -> None:
    found = quantised(weight, bits=bits, clip=clip, rounding=rounding)
    check_levels(found, clip / (2**bits - 1), 2**bits - 1)
    beyond = np.abs(weight) >= clip * (1 + 1e-6)
    np.testing.assert_allclose(found[beyond], np.sign(weight[beyond]) * clip, rtol=1e-6)


@FIXED
@given(weight=weights, bits=n_bits, lsb=st.floats(0.01, 1), rounding=roundings)
def test_bits_with_a_step_make_levels_of_that_step(weight: np.ndarray, bits: int, lsb: float, rounding: str) -> None:
    found = quantised(weight, bits=bits, lsb=lsb, rounding=rounding)
    check_levels(found, lsb, 2**bits - 1)
    assert np.abs(found).max() <= lsb * (2**bits - 1) * (1 + 1e-6)


@FIXED
@given(weight=weights, bits=n_bits, rounding=roundings)
def test_bits_alone_make_levels_up_to_the_largest_weight_of_the_layer(
    weight: np.ndarray, bits: int, rounding: str
) -> None:
    found, largest = quantised(weight, bits=bits, rounding=rounding), float(np.abs(weight).max())
    if largest < 1e-30:  # a step below the smallest float32
        assert np.abs(found).max() <= 1e-30
    else:
        check_levels(found, largest / (2**bits - 1), 2**bits - 1)


@FIXED
@given(weight=weights, lsb=st.floats(0.01, 1), clip=sizes, rounding=roundings)
def test_a_step_with_a_clip_makes_no_level_beyond_the_clip(
    weight: np.ndarray, lsb: float, clip: float, rounding: str
) -> None:
    found = quantised(weight, lsb=lsb, clip=clip, rounding=rounding)
    assert np.abs(found).max() <= clip * (1 + 2e-6)
    check_levels(found, lsb, math.floor(clip / lsb * (1 + 1e-6)))


@FIXED
@given(weight=weights, lsb=st.floats(0.01, 1))
def test_a_step_alone_makes_the_level_nearest_to_each_weight(weight: np.ndarray, lsb: float) -> None:
    found = quantised(weight, lsb=lsb)
    check_levels(found, lsb, math.ceil(5 / lsb))
    assert np.abs(found - weight).max() <= lsb / 2 * (1 + 1e-6) + 1e-6


@FIXED
@given(weight=weights, bits=n_bits, clip=sizes | st.none())
def test_levels_are_symmetric_around_zero(weight: np.ndarray, bits: int, clip: float | None) -> None:
    np.testing.assert_array_equal(quantised(-weight, bits=bits, clip=clip), -quantised(weight, bits=bits, clip=clip))


@FIXED
@given(weight=weights, bits=n_bits, clip=sizes)
def test_quantised_weights_are_their_own_levels(weight: np.ndarray, bits: int, clip: float) -> None:
    found = quantised(weight, bits=bits, clip=clip)
    np.testing.assert_array_equal(quantised(found, bits=bits, clip=clip), found)


@FIXED
@given(weight=weights, bits=n_bits)
def test_so_are_those_whose_largest_weight_sets_the_levels(weight: np.ndarray, bits: int) -> None:
    found = quantised(weight, bits=bits)
    np.testing.assert_allclose(quantised(found, bits=bits), found, rtol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 6])
def test_there_are_as_many_levels_as_bits_and_a_sign_can_tell(bits: int) -> None:
    weight = np.linspace(-3, 3, 10001, dtype=np.float32)[:, None]
    assert len(np.unique(quantised(weight, bits=bits, clip=2.0))) == 2 * (2**bits - 1) + 1


@pytest.mark.parametrize("clip", [0.3, 1.0, 2.1])
def test_stochastic_rounding_never_leaves_the_highest_level(clip: float) -> None:
    top = torch.full((1000, 300), clip)
    config = configured({"weight.bits": 6, "weight.clip": clip, "weight.rounding": "stochastic"})
    for writing in range(3):
        found = on_chip(config, top, writing=writing)
        assert float(found.max()) <= clip * (1 + 1e-6)


def test_a_layer_of_zeros_stays_one() -> None:
    for bits in (1, 8):
        assert not quantised(np.zeros((4, 3), np.float32), bits=bits).any()


def test_the_largest_weight_is_that_of_each_layer_and_network() -> None:
    config = configured({"weight.bits": 1})
    operation = operating(config, config)
    for scale in (1.0, 0.25):
        weight = torch.tensor([[[1.0, -0.2]], [[0.1, -0.3]]]) * scale
        expected = torch.tensor([[[1.0, 0.0]], [[0.0, -0.3]]]) * scale
        assert torch.equal(operation.weight(0, weight).value, expected)


# The order: clip, quantise, fixed pattern, write, held, read


def of(weight: Tensor, settings: dict[str, object], **when: int) -> Tensor:
    return on_chip(configured({f"weight.{key}": value for key, value in settings.items()}), weight, **when)


def test_weights_are_clipped_quantised_made_different_written_and_read_in_this_order() -> None:
    weight = torch.linspace(-3, 3, 35, dtype=torch.float64).reshape(5, 7)
    levels = {"bits": 3, "clip": 1.4}
    noise = {"chip_cv": 0.2, "chip_std": 0.1, "write_std": 0.05, "read_std": 0.03}
    gain = of(torch.ones_like(weight), {"chip_cv": 0.2})  # a factor, as all weights are one
    nothing = torch.zeros_like(weight)
    offset, write, read = (of(nothing, {"clip": 1.4, key: noise[key]}) for key in ("chip_std", "write_std", "read_std"))
    expected = (weight.clamp(-1.4, 1.4) / 0.2).round() * 0.2 * gain + offset + write + read
    torch.testing.assert_close(of(weight, {**levels, **noise}), expected, rtol=1e-12, atol=1e-12)
    assert float((gain - 1).abs().min()) > 1e-4
    assert all(float(each.abs().min()) > 1e-5 for each in (offset, write, read))


@pytest.mark.parametrize("key", ["chip_std", "write_std", "read_std"])
def test_the_unit_of_noise_is_the_largest_weight_that_is_written_whatever_the_chip_makes_of_it(key: str) -> None:
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = of(weight, {key: 0.1}) - weight
    others = {"chip_cv": 0.5, "chip_std": 0.5, "write_std": 0.5, "read_std": 0.5, key: 0.0}
    added = of(weight, {**others, key: 0.1}) - of(weight, others)
    torch.testing.assert_close(added, noise, rtol=1e-9, atol=1e-12)


def test_stuck_synapses_hold_their_value_whatever_is_written_and_are_read_with_noise() -> None:
    stuck = {"stuck_synapses.p_zero": 0.3, "stuck_synapses.p_max": 0.3}
    before = {
        "weight.chip_cv": 0.2,
        "weight.chip_std": 0.1,
        "weight.write_std": 0.1,
        "weight.clip": 1.4,
        "drift.std": 0.1,
    }
    random = torch.Generator().manual_seed(0)
    config, reading = configured(stuck | before), configured({**stuck, **before, "weight.read_std": 0.1})
    pattern = torch.from_numpy(operating(config).members[0].chip(0).drawn["stuck_synapses"][0])
    held = ~pattern.isnan()
    assert set(pattern[held].unique().tolist()) == {-1.0, 0.0, 1.0}
    for step in range(3):
        weight = torch.randn(5, 7, generator=random, dtype=torch.float64)
        found = on_chip(config, weight, step=step, writing=step, age=step)
        assert torch.equal(found[held], 1.4 * pattern[held])
        assert not torch.isin(found[~held], weight).any()
        noise = on_chip(reading, weight, step=step, writing=step, age=step) - found
        assert bool((noise != 0).all())


def test_without_a_clip_synapses_are_stuck_at_the_largest_weight_of_their_layer() -> None:
    config = configured({"stuck_synapses.p_max": 0.5, "weight.chip_std": 0.3})
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    pattern = torch.from_numpy(operating(config).members[0].chip(0).drawn["stuck_synapses"][0])
    held = ~pattern.isnan()
    assert torch.equal(on_chip(config, weight)[held], weight.abs().max() * pattern[held])


# Clipping is a projection after the step


@pytest.fixture(scope="module")
def splits() -> dict[str, Samples]:
    return load_samples(configured().data)[0]


@pytest.mark.parametrize("rule", RULES)
def test_in_training_no_weight_ever_leaves_what_the_chip_can_hold(rule: str, splits: dict[str, Samples]) -> None:
    config = configured(
        {"weight.clip": 0.5, "weight.bits": 4},
        training__backward=rule,
        training__optimizer__learning_rate=0.1,
        training__bumping={"silent_fraction": [0.3, 0.0], "value": 0.2, "scheduled": False},
    )
    assert max(float(weight.abs().max()) for weight in build([config]).weights) > 2
    trainer, seen = Trainer([config], splits["train"], splits["valid"]), []

    def look(batch: int = 0) -> None:
        seen.append(max(float(weight.abs().max()) for weight in trainer.state.learned.weights))

    look()
    trainer.run_epoch(look)
    assert len(seen) == 1 + trainer.n_batches
    assert max(seen) == min(seen) == np.float32(0.5)  # some are at the edge all the time
    best = trainer.best().weights
    assert max(float(weight.abs().max()) for weight in best) == np.float32(0.5)


def test_a_weight_at_the_clip_still_has_its_gradient() -> None:
    clip = configured({"weight.clip": 0.5}, training__backward="same_draw")
    weight, ones = torch.tensor([[[0.5, -0.5, 0.2]]]), torch.ones(1, 1, 3)
    assert torch.equal(operating(clip).weight(0, weight).backward(ones), ones)


def test_a_training_that_is_not_perturbed_does_not_clip_but_the_chip_does(splits: dict[str, Samples]) -> None:
    config = configured({"weight.clip": 0.5}, training__perturbed=False)
    trainer = Trainer([config], splits["train"], splits["valid"])
    trainer.run_epoch()
    weight = trainer.state.learned.weights[0]
    assert float(weight.abs().max()) > 1
    assert torch.equal(operating(config).weight(0, weight).value, weight.clamp(-0.5, 0.5))


def test_projecting_twice_is_projecting_once_and_concerns_only_clips() -> None:
    clipped = configured({"weight.clip": 0.5, "weight.bits": 2, "weight.chip_std": 0.3, "weight.read_std": 0.3})
    free = configured({"weight.bits": 2, "weight.read_std": 0.3})
    network = build([clipped, free])
    before = [weight.clone() for weight in network.weights]
    emulation = emulate([clipped, free], [True, True])
    for _ in range(2):
        emulation.project(network.weights)
        for weight, old in zip(network.weights, before, strict=True):
            assert torch.equal(weight[0], old[0].clamp(-0.5, 0.5))
            assert torch.equal(weight[1], old[1])
