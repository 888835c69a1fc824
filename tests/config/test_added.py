"""Settings that were added to the schema: earlier points keep their ids, and what was stored is read as it was."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from ttfsrun.config.added import ADDED, with_former_values, without_former_values
from ttfsrun.config.compose import compose, revise
from ttfsrun.config.dotted_keys import ABSENT, assign, lookup
from ttfsrun.config.ids import identify, point_id, shape_id, training_id
from ttfsrun.config.schema import config_of

EXPERIMENTS = ("yin_yang_paper", "mnist_16x16_paper", "mnist_28x28", "mnist_28x28_paper")
OTHER: dict[str, Any] = {
    "substrate.delay": {"bits": None, "step": 0.1, "largest": None, "chip_cv": 0.0, "chip_std": 0.0, "jitter": 0.0},
    "data.augmentation": {"rotation": 5.0, "shear": 0.0, "scale": 0.0, "shift": 0.0},
    "network.delays": "axonal",
    "network.delay_function": {"name": "sigmoid", "shift": 1.0, "scale": 1.0},
    "network.init.delay": {"mean": 0.0, "std": 1.0},
    "training.bumping.scheduled": True,
    "training.optimizer.delay_learning_rate": 0.01,
    "training.start": __file__,  # its content counts
}
#: Those that all networks of a population have in common.
SHARED = {"network.delays", "network.delay_function"}


def composed(experiment: str) -> dict[str, Any]:
    settings: dict[str, Any] = msgspec.to_builtins(compose([f"experiment={experiment}"]))
    return settings


def as_stored_before(experiment: str) -> dict[str, Any]:
    """The settings of an experiment without those that were added."""
    settings = composed(experiment)
    for key in ADDED:
        group, _, name = key.rpartition(".")
        lookup(settings, group).pop(name, None)
    return settings


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_recipes_from_before_have_the_former_values_and_so_their_ids(experiment: str) -> None:
    before = as_stored_before(experiment)
    assert before != composed(experiment)
    assert with_former_values(before) == composed(experiment)
    assert identify(before) == identify(composed(experiment))


@pytest.mark.parametrize("experiment", ["yin_yang_paper", "mnist_16x16_paper"])
def test_what_was_stored_before_is_read_and_can_be_changed(experiment: str) -> None:
    before = as_stored_before(experiment)
    unchanged = copy.deepcopy(before)
    assert msgspec.to_builtins(revise(before, [])) == composed(experiment)
    assert revise(before, ["training.bumping.scheduled=true"]).training.bumping.scheduled
    assert before == unchanged


@pytest.mark.parametrize("key", ADDED)
def test_another_value_is_another_point_and_another_training_in_the_population_that_may_have_it(key: str) -> None:
    settings = composed("mnist_16x16_paper")
    if key == "substrate.delay":  # only networks with delays can have another value
        assert assign(settings, "network.delays", "axonal")
    assert lookup(settings, key) == ADDED[key].former
    base, changed = config_of(settings), copy.deepcopy(settings)
    assert assign(changed, key, OTHER[key])
    other = config_of(changed)
    assert point_id(other) != point_id(base)
    assert training_id(other) != training_id(base)
    assert (shape_id(other) == shape_id(base)) == (key not in SHARED)
    assert lookup(without_former_values(changed), key) == OTHER[key]


def test_a_setting_is_not_given_to_an_alternative_that_lacks_it() -> None:
    assert lookup(with_former_values(as_stored_before("yin_yang")), "data.augmentation") is ABSENT


def test_a_wrong_value_in_a_stored_group_is_left_to_the_check_of_the_schema() -> None:
    settings: dict[str, Any] = {"data": None, "training": {"bumping": 3, "start": "file"}}
    assert with_former_values(settings) == without_former_values(settings) == settings


def test_a_condition_that_names_a_substrate_leaves_the_id_of_a_point_as_it_was() -> None:
    settings = msgspec.to_builtins(compose(["evaluation.conditions={elsewhere:{substrate:brainscales2}}"]))
    before = copy.deepcopy(settings)
    frozen = before["evaluation"]["conditions"]["elsewhere"]["substrate"]
    assert frozen.pop("delay") == ADDED["substrate.delay"].former
    assert before != settings
    assert identify(before) == identify(settings)
    frozen["delay"] = OTHER["substrate.delay"]
    assert identify(before) != identify(settings)
