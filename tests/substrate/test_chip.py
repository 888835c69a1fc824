"""A chip depends only on its settings, its seed and the shape of the network."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from perturbed import DELAYS, STRONG, configured, operating, outcome, some_times
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.network import emulate
from ttfsrun.neuron import Neuron, parallel
from ttfsrun.substrate.chip import Chip
from ttfsrun.substrate.emulation import Operation
from ttfsrun.substrate.schema import IMPERFECTIONS, all_perturbations

#: What acts on chips alone, without chance.
PATTERN = {
    key: STRONG[key]
    for key in STRONG
    if "chip" in key or key.split(".")[0] in ("dead_neurons", "stuck_synapses", "tau_ratio_bias", "drift")
}
#: What chance does.
NOISE = {key: STRONG[key] for key in STRONG if "jitter" in key or "sample" in key or "read" in key or "write" in key}
NOISE |= {"v_th.batch_std": 0.1, "spike_time.loss": 0.2}
GROUPS = sorted(IMPERFECTIONS)


def of_group(group: str) -> dict[str, object]:
    return {key: value for key, value in (STRONG | DELAYS).items() if key.split(".")[0] == group}


def with_delays(substrate: Mapping[str, object], **others: object) -> Config:
    return configured(substrate, network__delays="axonal", **others)


def same_chip(first: Chip, second: Chip) -> bool:
    assert first.drawn
    return first.drawn.keys() == second.drawn.keys() and all(
        np.array_equal(one, other, equal_nan=one.dtype != bool)
        for name in first.drawn
        for one, other in zip(first.drawn[name], second.drawn[name], strict=True)
    )


def draws(operation: Operation) -> dict[tuple[str, int], Tensor]:
    """Return all numbers that the one network draws in a batch of 9 samples, by name and layer."""
    shapes = {"weight": [(5, 7), (8, 3)], "input_time": [(9, 5), (9, 1)], "delay": [(9, 5), (9, 8)]}
    found = {}
    for where, (pipeline,) in operation.substrates.pipelines.items():
        for number, perturbation in enumerate(pipeline.perturbations):
            for layer, shape in enumerate(shapes.get(where, [(9, 7), (9, 3)])):
                drawn = pipeline.drawn(number, layer, shape, operation, torch.float64)
                if drawn is not None:
                    (found[perturbation.name, layer],) = drawn
    return found


def identical(first: Tensor, second: Tensor) -> bool:
    return torch.equal(first.nan_to_num(7.0), second.nan_to_num(7.0))


def neurons_of(operation: Operation, n_samples: int) -> Neuron:
    return operation.neuron(0, Neuron(), (n_samples, 7))


# What makes a chip, and what does not


def test_a_seed_makes_the_same_chip_again_and_another_seed_another() -> None:
    chip = Chip.of(configured(PATTERN).chip_spec)
    assert same_chip(chip, Chip.of(configured(PATTERN).chip_spec))
    other = Chip.of(configured(PATTERN, seed__chip=1).chip_spec)
    assert other.drawn.keys() == chip.drawn.keys()
    for name, layers in chip.drawn.items():
        if not name.startswith("drift"):  # calibrated: zeros
            assert not np.array_equal(layers[0], other.drawn[name][0], equal_nan=layers[0].dtype != bool), name


@pytest.mark.parametrize(
    "others",
    [
        {"seed__init": 1},
        {"seed__data": 1},
        {"seed__trial": 1},
        {"training__batch_size": 3},
        {"training__epochs": 9},
        {"training__backward": "same_draw"},
        {"network__neuron__v_th": 0.7},
        {"network__init__mean": [0.0, 0.0]},
        {"evaluation__trials": 5},
        {"cluster__threads": 2},
    ],
    ids="+".join,
)
def test_a_chip_does_not_depend_on_other_seeds_nor_on_the_training(others: dict[str, object]) -> None:
    assert same_chip(Chip.of(configured(PATTERN).chip_spec), Chip.of(configured(PATTERN, **others).chip_spec))


def test_another_layer_does_not_change_the_first_ones_chip() -> None:
    deep = configured(
        PATTERN,
        network__hidden=[7, 4],
        network__init__mean=[1, 1, 1],
        network__init__std=[1, 1, 1],
        training__bumping__silent_fraction=[0, 0, 0],
    )
    chip, shallow = Chip.of(deep.chip_spec), Chip.of(configured(PATTERN).chip_spec)
    assert len(chip.drawn["v_th.chip"]) == 3
    for name, layers in shallow.drawn.items():
        assert np.array_equal(layers[0], chip.drawn[name][0], equal_nan=layers[0].dtype != bool)


def test_the_layers_of_a_chip_are_not_alike() -> None:
    first, second = Chip.of(configured(PATTERN, network__hidden=[3]).chip_spec).drawn["v_th.chip"]
    assert not np.isin(first, second).any()


def test_a_chip_survives_being_saved_to_the_last_bit(tmp_path: Path) -> None:
    config = configured(PATTERN, seed__chip=3)
    chip = Chip.of(config.chip_spec)
    chip.save(tmp_path / "chip.safetensors")
    assert same_chip(chip, Chip.load(tmp_path / "chip.safetensors", config.chip_spec))
    # and takes the place of the one that the seed of another network would have made, strengths and all
    elsewhere = configured({"chip.file": str(tmp_path / "chip.safetensors")}, seed__chip=8, seed__init=1)
    assert same_chip(chip, Chip.of(elsewhere.chip_spec))
    again = configured({**PATTERN, "chip.file": str(tmp_path / "chip.safetensors")}, seed__chip=8, seed__init=1)
    ours = configured(PATTERN, seed__chip=3, seed__init=1)
    results = [outcome([c], some_times(), operating(c)) for c in (again, ours)]
    assert all(map(torch.equal, *(spikes + gradients for spikes, gradients in results)))


def test_a_chip_that_ages_is_the_same_whenever_one_asks() -> None:
    config = configured(PATTERN)
    (step_by_step,), (at_once,) = (emulate([config], [True]).members for _ in range(2))
    early = [step_by_step.chip(age) for age in (0, 1, 2, 3)]
    assert same_chip(at_once.chip(3), early[3])
    assert same_chip(at_once.chip(1), early[1])
    assert len({early[age].drawn["drift.v_th"][0].tobytes() for age in range(4)}) == 4
    older = [chip.drawn["v_th.chip"][0].tobytes() for chip in early]
    assert len(set(older)) == 1  # what does not drift stays


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_chip_is_the_same_for_any_batch_population_and_number_of_threads(
    n_threads: int, threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "SMALLEST_SHARE", 1)
    config, other, times = configured(PATTERN), configured(PATTERN, seed__chip=1, seed__init=1), some_times(20)
    threads(1)
    expected, _ = outcome([config], times, operating(config, age=1))
    threads(n_threads)
    for size in (1, 3, 20):
        configs = [other, config, configured()]
        spikes, _ = outcome(configs, times[:, :size], operating(*configs, age=1))
        for found, alone in zip(spikes, expected, strict=True):
            assert torch.equal(found[1], alone[0, :size])


def test_networks_with_the_same_chip_seed_are_on_the_same_chip() -> None:
    configs = [configured({**PATTERN, **NOISE}, seed__init=seed, seed__trial=seed) for seed in (0, 1)]
    first, second = (member.chip(0) for member in emulate(configs, [True, True]).members)
    assert same_chip(first, second)


# Seeds apart


def test_the_seed_of_the_trial_changes_the_noise_of_trials_and_nothing_else() -> None:
    first, second = (draws(operating(with_delays({**PATTERN, **NOISE, **DELAYS}, seed__trial=s))) for s in (0, 1))
    fixed = {p.name for p in all_perturbations(configured(PATTERN).substrate) if p.when == "chip"}
    assert {name for name, _ in first} > fixed
    for key, drawn in first.items():
        assert identical(drawn, second[key]) == (key[0] in fixed), key


def test_the_seed_of_the_chip_changes_its_pattern_and_nothing_else() -> None:
    first, second = (draws(operating(with_delays({**PATTERN, **NOISE, **DELAYS}, seed__chip=s), age=1)) for s in (0, 1))
    fixed = {p.name for p in all_perturbations(configured(PATTERN).substrate) if p.when == "chip"}
    for key, drawn in first.items():
        if key != ("dead_neurons", 1):  # one of eight patterns
            assert identical(drawn, second[key]) == (key[0] not in fixed), key


@pytest.mark.parametrize("pair", list(itertools.combinations(GROUPS, 2)), ids="+".join)
def test_adding_a_perturbation_leaves_the_draws_of_others_as_they_are(pair: tuple[str, str]) -> None:
    """Compare every pair of groups of settings, in both directions."""
    both = draws(
        operating(with_delays(of_group(pair[0]) | of_group(pair[1]) | {"weight.rounding": "stochastic"}), age=2)
    )
    for group in pair:
        alone = draws(operating(with_delays(of_group(group) | {"weight.rounding": "stochastic"}), age=2))
        assert alone or group in ("tau_ratio_bias", "time_resolution")
        for key, drawn in alone.items():
            assert identical(drawn, both[key]), key


@pytest.mark.parametrize("group", GROUPS)
def test_within_a_group_no_strength_shifts_the_draws_of_another(group: str) -> None:
    whole = draws(operating(with_delays(of_group(group)), age=2))
    for key, value in of_group(group).items():
        if key in ("v_th.chip_mean", "v_th.chip_std", "stuck_synapses.p_zero", "stuck_synapses.p_max"):
            continue  # parameters of one distribution
        for name, drawn in draws(operating(with_delays({key: value}), age=2)).items():
            assert identical(drawn, whole[name]), name


def test_the_correlation_of_the_time_constants_leaves_those_of_the_membranes_as_they_are() -> None:
    taus = {"tau_mem.chip_cv": 0.2, "tau_syn.chip_cv": 0.2}
    chips = [Chip.of(configured({**taus, "tau_syn.correlation": value}).chip_spec) for value in (0.0, 0.7)]
    assert np.array_equal(*(chip.drawn["tau_mem.chip"][0] for chip in chips))
    assert not np.isin(*(chip.drawn["tau_syn.chip"][0] for chip in chips)).any()


@pytest.mark.parametrize("key", ["v_th.chip_std", "v_th.sample_std", "spike_time.jitter", "weight.chip_cv"])
def test_twice_the_strength_is_twice_the_same_draw(key: str) -> None:
    first, second = (draws(operating(configured({key: strength}))) for strength in (0.1, 0.2))
    assert first
    for name, drawn in first.items():
        assert torch.equal(2 * drawn, second[name])


def test_no_two_purposes_share_a_stream() -> None:
    """Streams differ by a checksum of their purpose: the checksums of existing purposes must not collide."""
    names = {p.stream or p.name for p in all_perturbations(configured().substrate)}
    phases = ["training", *(f"validation {epoch}" for epoch in range(300))]
    phases += [f"{split} {trial}" for split in ("train", "valid", "test") for trial in range(100)]
    purposes = [*names, "initial weights", "order", "input noise", *(f"{n} in {p}" for n in names for p in phases)]
    assert len(purposes) > 10000
    assert len({zlib.crc32(purpose.encode()) for purpose in purposes}) == len(purposes)


# When something is drawn anew


def of_step(config: Config, name: str, **when: int | str) -> Tensor:
    return draws(operating(config, **when))[name, 0]


@pytest.mark.parametrize(
    "name", ["input_time.sample", "spike_time.sample", "spike_time.loss", "v_th.sample", "v_leak.sample"]
)
def test_what_is_drawn_for_each_sample_is_different_in_each_and_in_each_batch(name: str) -> None:
    config = configured(NOISE)
    here, later = (of_step(config, name, step=step) for step in (0, 1))
    assert len(here) == 9
    assert len(here.unique(dim=0)) > 1 if here.dtype == torch.bool else len(here.unique()) == here.numel()
    assert not identical(here, later)
    assert not identical(here, of_step(config, name, phase="test 0"))
    assert identical(here, of_step(config, name, writing=3, age=2))


def test_the_noise_of_a_batch_is_the_same_for_all_its_samples() -> None:
    config = configured({"v_th.batch_std": 0.1})
    thresholds = [neurons_of(operating(config, step=step), 9).v_th for step in (0, 0, 1)]
    assert thresholds[0].shape == (1, 1, 7)  # for all samples
    assert len(thresholds[0].unique()) == 7
    assert torch.equal(thresholds[0], thresholds[1])
    assert not torch.isin(thresholds[0], thresholds[2]).any()


@pytest.mark.parametrize("name", ["weight.write", "weight.rounding"])
def test_the_noise_of_writing_stays_until_weights_are_written_anew(name: str) -> None:
    config = configured({"weight.write_std": 0.1, "weight.bits": 4, "weight.rounding": "stochastic"})
    written = of_step(config, name, step=5, writing=5)
    assert torch.equal(written, of_step(config, name, step=6, writing=5))
    assert not torch.isin(written, of_step(config, name, step=6, writing=6)).any()
    assert not torch.isin(written, of_step(config, name, step=5, writing=5, phase="test 0")).any()


def test_the_noise_of_reading_is_new_in_each_batch_whatever_was_written() -> None:
    config = configured({"weight.read_std": 0.1})
    read = of_step(config, "weight.read", step=5, writing=5)
    assert torch.equal(read, of_step(config, "weight.read", step=5, writing=4))
    assert not torch.isin(read, of_step(config, "weight.read", step=6, writing=5)).any()


@pytest.mark.parametrize("key", [key for key in PATTERN if key != "drift.std"])
def test_the_pattern_of_a_chip_is_always_the_same(key: str) -> None:
    config = configured({key: PATTERN[key]})
    results = [
        outcome([config], some_times(), operating(config, step=step, writing=step, age=step, phase=phase))[0]
        for step, phase in ((0, "training"), (7, "test 3"))
    ]
    assert all(map(torch.equal, *results))
