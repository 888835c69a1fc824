"""Conditions that a network is evaluated under after its training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ttfsrun.config.compose import compose, expand
from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.ids import point_id
from ttfsrun.data.samples import load_samples
from ttfsrun.errors import ConfigError
from ttfsrun.training.checkpoint import save_state
from ttfsrun.training.trainer import Trainer

CONDITIONS = (
    "evaluation.conditions={simulation: {evaluation.perturbed: false}, elsewhere: {seed.chip: [5, 6]}, "
    "noisy: {substrate: {spike_time: {jitter: [0.01, 0.1]}}, substrate.v_th.chip_std: 0.1}}"
)


def described(*overrides: str) -> list[tuple[str, dict[str, object], int]]:
    return [(c.name, dict(c.settings), c.config.seed.chip) for c in conditions_of(compose(overrides))]


def test_the_first_condition_is_the_point_s_own() -> None:
    config = compose(["substrate=brainscales2", "seed.chip=3"])
    (own,) = conditions_of(config)
    assert own.name == "own"
    assert own.config == config


def test_a_list_of_values_makes_a_grid_and_other_values_do_not() -> None:
    assert described(CONDITIONS) == [
        ("own", {}, 0),
        ("simulation", {}, 0),
        ("elsewhere", {}, 5),
        ("elsewhere", {}, 6),
        ("noisy", {"substrate.spike_time.jitter": 0.01}, 0),
        ("noisy", {"substrate.spike_time.jitter": 0.1}, 0),
    ]
    *_, last = conditions_of(compose([CONDITIONS]))
    assert (last.config.substrate.spike_time.jitter, last.config.substrate.v_th.chip_std) == (0.1, 0.1)


@pytest.mark.parametrize("values", ["[0.1,0.2,0.10]", "[1,1.0]", "[1e-1,0.1]"])
def test_a_value_that_is_listed_twice_is_a_mistake(values: str) -> None:
    words = f"evaluation.conditions={{noisy: {{substrate.spike_time.jitter: {values}}}}}"
    with pytest.raises(
        ConfigError, match=r"conditions\.noisy: substrate\.spike_time\.jitter=.*: a value is listed twice"
    ):
        compose([words])


def test_every_perturbed_condition_goes_on_to_the_further_chips_unless_it_names_its_own() -> None:
    names = [(name, chip) for name, _, chip in described(CONDITIONS, "evaluation.chips=[7, 8]")]
    assert names[:3] == [("own", 0), ("own, other chips", 7), ("own, other chips", 8)]
    assert names[3:6] == [("simulation", 0), ("elsewhere", 5), ("elsewhere", 6)]
    assert names.count(("noisy, other chips", 7)) == 2
    one = described("evaluation.conditions={elsewhere: {seed.chip: 5}}", "evaluation.chips=[7]")
    assert one == [("own", {}, 0), ("own, other chips", {}, 7), ("elsewhere", {}, 5)]


def test_a_named_substrate_is_written_out_so_that_its_file_may_change_later() -> None:
    config = compose(["evaluation.conditions={chip: {substrate: brainscales2}}"])
    frozen = config.evaluation.conditions["chip"]["substrate"]
    assert frozen["weight"]["bits"] == 6
    assert conditions_of(config)[1].config.substrate == compose(["substrate=brainscales2"]).substrate


@pytest.mark.parametrize("first", ["substrate: brainscales2", "substrate.v_th.chip_std: 0.3"])
def test_a_single_setting_goes_over_the_file_in_whatever_order_they_stand(first: str) -> None:
    words = sorted(("substrate: brainscales2", "substrate.v_th.chip_std: 0.3"), key=lambda word: word != first)
    substrate = conditions_of(compose([f"evaluation.conditions={{chip: {{{', '.join(words)}}}}}"]))[1].config.substrate
    assert (substrate.v_th.chip_std, substrate.weight.bits) == (0.3, 6)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("{seed.chip: []}", "seed.chip=[]: a list of no values makes no condition"),
        ("{substrate.v_th.chip_std.0: 0.3}", "substrate.v_th.chip_std.0=0.3: unknown key"),
        ("{5: 3}", "5=3: unknown key"),
    ],
)
def test_a_condition_that_would_do_nothing_is_refused(condition: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        compose([f"evaluation.conditions={{a: {condition}}}"])
    assert f"evaluation.conditions.a: {message}" in str(refusal.value)


def test_conditions_are_part_of_a_point_s_id() -> None:
    assert point_id(compose([CONDITIONS])) != point_id(compose([]))


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as refusal:
        expand(
            [
                "substrate.v_th.chip_std=-1",
                "substrate.weight.bits=0",
                "substrate.dead_neurons.p=2",
                "evaluation.conditions={a: {substrate.v_th.foo: 1, training.epochs: 3}, b: {seed.chip: [1, -1]}, "
                "c: {substrate: brainscale}, own: {evaluation.trials: 2}}",
            ]
        )
    text = str(refusal.value)
    assert text.splitlines()[0] == "8 mistakes"
    for part in (
        "substrate.v_th.chip_std=-1: must be a finite number >= 0",
        "substrate.weight.bits=0: must be an integer >= 1",
        "substrate.dead_neurons.p=2: must be a finite number >= 0 and <= 1",
        "evaluation.conditions.a: substrate.v_th.foo=1: unknown key",
        "evaluation.conditions.a: training.epochs: the training depends on it",
        "evaluation.conditions.b: seed.chip=-1: must be",
        "evaluation.conditions.c: substrate=brainscale: unknown choice; it must be one of brainscales2, ideal",
        "evaluation.conditions.own: the name of the point's own condition is own",
    ):
        assert part in text


def test_a_network_too_large_for_a_condition_s_chip_is_told_by_how_much() -> None:
    with pytest.raises(ConfigError, match=r"conditions\.chip: .*544 neurons, 32 more than the chip's 512"):
        compose(
            [
                "network.hidden=[541]",
                "evaluation.conditions={chip: {substrate: brainscales2}}",
            ]
        )


def test_each_condition_is_one_record_and_one_row(
    ttfsrun: Callable[..., tuple[int, str, str]], tiny_overrides: tuple[str, ...], no_figures: None, tmp_path: Path
) -> None:
    code, output, _ = ttfsrun(
        "train", *tiny_overrides, CONDITIONS, "evaluation.trials=3", "seed.init=1,2", "--out", tmp_path / "run"
    )
    assert code == 0
    table = pd.read_csv(tmp_path / "run" / "conditions.csv")
    assert len(table) == 2 * 6
    one = json.loads((tmp_path / "run" / "seed.init=1" / "metrics.json").read_text())
    rows = table[table["run"] == "seed.init=1"].reset_index()
    assert [record["condition"] for record in one["conditions"]] == list(rows["condition"])[1:]
    assert rows["test_accuracy"][0] == one["test"]["accuracy"]
    assert [record["test"]["accuracy"] for record in one["conditions"]] == list(rows["test_accuracy"])[1:]
    trials = dict(zip(rows["condition"], rows["trials"], strict=True))
    assert trials == {"own": 1, "simulation": 1, "elsewhere": 1, "noisy": 3}  # the others sample nothing in a trial
    noisy = [record["test"] for record in one["conditions"] if record["condition"] == "noisy"]
    assert all(record["samples"] == 3 * one["test"]["samples"] for record in noisy)
    assert all(record["accuracy_std"] is not None for record in noisy)
    assert f"elsewhere: test {100 * table[table['condition'] == 'elsewhere']['test_accuracy'].mean():.2f}" in output


def test_evaluating_under_a_condition_afterwards_gives_the_same_numbers(
    ttfsrun: Callable[..., tuple[int, str, str]], tiny_overrides: tuple[str, ...], no_figures: None, tmp_path: Path
) -> None:
    noisy = ("substrate.spike_time.jitter=0.1", "evaluation.trials=2")
    condition = "evaluation.conditions={noisy: {substrate.spike_time.jitter: 0.1, evaluation.trials: 2}}"
    assert ttfsrun("train", *tiny_overrides, condition, "--out", tmp_path / "run")[0] == 0
    (record,) = json.loads((tmp_path / "run" / "metrics.json").read_text())["conditions"]
    code, output, _ = ttfsrun("evaluate", tmp_path / "run", "--json", "evaluation.conditions=null", *noisy)
    assert code == 2  # it must be groups of settings
    code, output, _ = ttfsrun("evaluate", tmp_path / "run", "--json", *noisy)
    assert code == 0
    later = json.loads(output)["test"]
    later.pop("samples_per_second")
    assert later == record["test"]


def test_no_chip_is_evaluated_on_twice() -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.chips=\[5, 5\]: a chip is listed twice"):
        compose(["evaluation.chips=[5,5]"])
    assert described("evaluation.chips=[4,0]") == [("own", {}, 0), ("own, other chips", {}, 4)]


def test_networks_that_differ_in_more_than_seeds_have_no_mean_in_common(
    ttfsrun: Callable[..., tuple[int, str, str]], tiny_overrides: tuple[str, ...], no_figures: None, tmp_path: Path
) -> None:
    sweep = "substrate.spike_time.jitter=0.0,0.3"
    code, output, _ = ttfsrun("train", *tiny_overrides, sweep, "--out", tmp_path / "run")
    assert code == 0
    assert "mean" not in output
    assert "mean, std of 2 networks" in ttfsrun("train", *tiny_overrides, "seed.init=0,1", "--out", tmp_path / "two")[1]


def test_a_chip_file_that_changed_meanwhile_does_not_change_a_resumed_training(
    ttfsrun: Callable[..., tuple[int, str, str]], tiny_overrides: tuple[str, ...], no_figures: None, tmp_path: Path
) -> None:
    chip, run = tmp_path / "chip", tmp_path / "run"
    strength, file = "substrate.v_th.chip_std=0.1", f"substrate.chip.file={chip / 'chip.safetensors'}"
    assert ttfsrun("chip", *tiny_overrides, strength, "--out", chip)[0] == 0
    assert ttfsrun("train", *tiny_overrides, strength, file, "--out", run)[0] == 0
    config = compose([*tiny_overrides, strength, file])
    trainer = Trainer([config], *(load_samples(config.data)[0][split] for split in ("train", "valid")))
    save_state(run / "checkpoint.safetensors", trainer.state, {"": point_id(config)})
    assert ttfsrun("train", "--resume", run)[0] == 0
    trained = json.loads((run / "metrics.json").read_text())["test"]
    save_state(run / "checkpoint.safetensors", trainer.state, {"": point_id(config)})
    assert ttfsrun("chip", *tiny_overrides, strength, "seed.chip=1", "--out", chip, "--overwrite")[0] == 0
    assert point_id(config) != json.loads((run / "metrics.json").read_text())["id"]
    assert ttfsrun("train", "--resume", run)[0] == 0
    assert json.loads((run / "metrics.json").read_text())["test"] == trained
