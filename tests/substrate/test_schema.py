"""Impossible substrates are refused: each mistake is reported by its key, all of them in one message."""

from __future__ import annotations

import math

import pytest
from perturbed import DELAYS, STRONG

from ttfsrun.config.compose import ConfigError, compose, expand
from ttfsrun.config.diagnostics import show

#: A value that each strength cannot have, and what is said of it.
BAD: dict[str, tuple[object, str]] = dict.fromkeys(STRONG | DELAYS, (-0.1, ">= 0")) | {
    "spike_time.loss": (1.5, ">= 0 and <= 1"),
    "dead_neurons.p": (1.01, ">= 0 and <= 1"),
    "stuck_synapses.p_zero": (2, ">= 0 and <= 1"),
    "stuck_synapses.p_max": (-0.1, ">= 0 and <= 1"),
    "v_th.chip_mean": (math.nan, "a finite number"),
    "tau_ratio_bias": (-1, "> -1"),
    "weight.bits": (0, "an integer >= 1 and <= 24"),
    "weight.lsb": (0, "> 0"),
    "weight.clip": (-2, "> 0"),
    "delay.bits": (0, "an integer >= 1 and <= 24"),
    "delay.step": (0, "> 0"),
    "delay.largest": (-2, "> 0"),
    "tau_syn.correlation": (2, ">= -1 and <= 1"),
    "drift.tau": (0, "> 0"),
    "time_resolution.rounding": ("ceil", "one of nearest, floor"),
    "weight.rounding": ("up", "one of nearest, stochastic"),
}
CONDITIONS = "evaluation.conditions={a:{substrate.v_th.chp_std:1},b:{training.epochs:3},c:{substrate.v_th.chip_std:-1}}"
ABOUT_CONDITIONS = [
    "evaluation.conditions.a: substrate.v_th.chp_std=1: unknown key; did you mean substrate.v_th.chip_std?",
    "evaluation.conditions.b: training.epochs: the training depends on it and happens once; a condition sets ",
    "evaluation.conditions.c: substrate.v_th.chip_std=-1: must be a finite number >= 0",
]


def complaints_about(*overrides: str) -> list[str]:
    """Return the lines of the message, without the line that counts them."""
    with pytest.raises(ConfigError) as caught:
        expand(overrides)
    first, *others = str(caught.value).split("\n  ")
    if not others:
        return [first]
    assert first == f"{len(others)} mistakes"
    return others


def check(lines: list[str], expected: list[str]) -> None:
    """Each expected line has begun one of the lines, and there are no others."""
    assert len(lines) == len(expected), lines
    for begin in expected:
        assert sum(line.startswith(begin) for line in lines) == 1, (begin, lines)


@pytest.mark.parametrize("key", BAD)
def test_a_value_that_makes_no_sense_is_refused(key: str) -> None:
    value, words = BAD[key]
    (line,) = complaints_about(f"substrate.{key}={value}")
    assert line.startswith(f"substrate.{key}={show(value)}")
    assert words in line


def test_all_of_them_are_told_in_one_message() -> None:
    lines = complaints_about(*(f"substrate.{key}={value}" for key, (value, _) in BAD.items()))
    check(lines, [f"substrate.{key}=" for key in BAD])


def test_wrong_values_and_wrong_conditions_are_told_in_one_message() -> None:
    lines = complaints_about(
        "substrate.v_leak.chip_std=-1",
        "substrate.weight.bits=0",
        "substrate.dead_neurons.p=1.5",
        "substrate.tau_syn.correlation=2",
        CONDITIONS,
    )
    expected = [
        "substrate.v_leak.chip_std=-1: ",
        "substrate.weight.bits=0: ",
        "substrate.dead_neurons.p=1.5: ",
        "substrate.tau_syn.correlation=2: ",
    ]
    check(lines, expected + ABOUT_CONDITIONS)


def test_conditions_are_refused_by_their_name_and_all_at_once() -> None:
    own = CONDITIONS.replace("{a:", "{own:{seed.chip:1},a:")
    expected = ["evaluation.conditions.own: the name of the point's own condition is own", *ABOUT_CONDITIONS]
    check(complaints_about(own), expected)


def test_a_condition_repeats_no_mistake_of_the_configuration() -> None:
    lines = complaints_about("substrate.v_th.chip_std=-1", "evaluation.conditions={a:{seed.chip:3},b:{seed.chip:-3}}")
    check(lines, ["substrate.v_th.chip_std=-1: ", "evaluation.conditions.b: seed.chip=-3: "])


def test_each_entry_of_a_grid_of_a_condition_is_looked_at() -> None:
    lines = complaints_about("evaluation.conditions={a:{substrate.spike_time.jitter:[0.1,-1,abc]}}")
    expected = [f"evaluation.conditions.a: substrate.spike_time.jitter={value}: " for value in ("-1", "abc")]
    check(lines, expected)


@pytest.mark.parametrize(
    "key", ["training.backward", "network.hidden", "seed.init", "data.r_big", "training.perturbed"]
)
def test_a_condition_cannot_change_what_the_training_depends_on(key: str) -> None:
    value = {"training.backward": "ideal", "network.hidden": "[[3]]", "training.perturbed": "false"}.get(key, "0.5")
    (line,) = complaints_about(f"evaluation.conditions={{a:{{{key}:{value}}}}}")
    assert line.startswith(f"evaluation.conditions.a: {key}: the training depends on it")


@pytest.mark.parametrize(
    ("settings", "sound"),
    [
        ("{bits:3,lsb:0.2,clip:1.4}", True),
        ("{bits:3,lsb:0.2}", True),
        ("{bits:3,clip:1.4}", True),
        ("{lsb:0.2,clip:1.3}", True),
        ("{bits:3,lsb:0.2,clip:1.5}", False),
        ("{bits:4,lsb:0.2,clip:1.4}", False),
    ],
)
def test_of_bits_step_and_clip_no_three_may_contradict_each_other(settings: str, sound: bool) -> None:
    if sound:
        assert compose([f"substrate.weight={settings}"]).substrate.weight.lsb in (0.2, None)
    else:
        (line,) = complaints_about(f"substrate.weight={settings}")
        assert "is not lsb (2^bits - 1) = " in line
        assert "leave one of bits, lsb and clip null" in line


def test_contradictions_of_several_groups_are_told_at_once() -> None:
    lines = complaints_about(
        "substrate.weight={bits:3,lsb:0.2,clip:9}", "substrate.stuck_synapses={p_zero:0.6,p_max:0.6}"
    )
    check(
        lines, ["substrate.weight.clip=9.0 is not ", "substrate.stuck_synapses.p_zero=0.6 and p_max=0.6 add up to more"]
    )


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["substrate.chip.neurons=122"], "it has 123 neurons, 1 more than the chip's 122"),
        (["substrate.chip.neurons=123"], None),
        (["substrate.chip.inputs_per_neuron=120"], "layer 2 needs 121 inputs per neuron (bias and repeated lines"),
        (["substrate.chip.inputs_per_neuron=121"], None),
        (
            ["substrate.chip.inputs_per_neuron=121", "network.input_repeats=25"],
            "layer 1 needs 125 inputs per neuron (bias and repeated lines included), 4 more than the chip's 121",
        ),
        (["substrate=brainscales2", "network.input_repeats=5"], None),
        (
            ["substrate=brainscales2", "experiment=mnist_28x28"],
            "layer 1 needs 784 inputs per neuron (bias and repeated lines included), 528 more than the chip's 256",
        ),
    ],
)
def test_a_network_that_is_too_large_for_the_chip_is_refused_by_how_much(
    overrides: list[str], expected: str | None
) -> None:
    if expected is None:
        assert compose(overrides)
    else:
        (line,) = complaints_about(*overrides)
        assert line.startswith("substrate.chip: the network does not fit: ")
        assert expected in line


def test_what_fits_must_also_fit_the_chip_of_a_condition() -> None:
    (line,) = complaints_about("evaluation.conditions={small:{substrate.chip.neurons:100}}")
    assert line == (
        "evaluation.conditions.small: substrate.chip: the network does not fit: "
        "it has 123 neurons, 23 more than the chip's 100"
    )
