"""Conditions: the settings that a trained network is evaluated under.

    evaluation:
      conditions:
        simulation: {evaluation.perturbed: false}
        elsewhere: {substrate: brainscales2, seed.chip: [5, 6, 7]}
        noisy: {substrate.spike_time.jitter: [0.01, 0.1]}

The first condition is the configuration itself. Each further one has a name and the settings that differ, by dotted
key; a list of values makes a grid. `substrate` alone chooses a yaml file of that group. The network is trained once,
so a condition cannot change a setting that the training depends on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ttfsrun.config.dotted_keys import Tree, assign, deep_copy, leaves, lookup, same_value
from ttfsrun.config.schema import Config

if TYPE_CHECKING:
    from ttfsrun.config.diagnostics import Diagnostics

#: Settings, or groups of them, that a condition may set.
SETTABLE = ("substrate", "evaluation.perturbed", "evaluation.trials", "evaluation.age", "seed.chip", "seed.trial")
OWN = "own"  # the name of the condition that is the configuration itself


@dataclass(frozen=True)
class Condition:
    """One condition on one chip.

    settings: in a grid, those that distinguish it from the other conditions of the same name.
    """

    name: str
    settings: Mapping[str, Any]
    config: Config

    def as_record(self) -> dict[str, Any]:
        """Return the keys that describe the condition in the record of an evaluation."""
        perturbed = self.config.evaluation.perturbed
        chip = self.config.substrate.chip.file or self.config.seed.chip
        return {
            "condition": self.name,
            "settings": dict(self.settings),
            "perturbed": perturbed,
            "chip": chip if perturbed else None,
        }


def conditions_of(config: Config) -> list[Condition]:
    """Return the conditions of a configuration, its own first, each once for every chip."""
    conditions = _on_chips(OWN, {}, config, config.evaluation.chips)
    settings = msgspec.to_builtins(config)
    for name, changes in config.evaluation.conditions.items():
        varied = {key for key, value in leaves(changes) if isinstance(value, list)}
        for values in _grid(changes):
            changed = msgspec.convert(_changed(settings, values), Config)
            if "seed.chip" in values and "substrate.chip.file" not in values:
                changed = _on_chip(changed, changed.seed.chip)
            names_chip = "seed.chip" in values or values.get("substrate.chip.file") is not None
            varied_values = {key: value for key, value in values.items() if key in varied}
            conditions += _on_chips(name, varied_values, changed, [] if names_chip else config.evaluation.chips)
    return conditions


def with_frozen_conditions(settings: Tree, presets: Collection[str], preset: Callable[[str, str], Tree]) -> Tree:
    """Return settings with the content of each yaml file that a condition names, so that later edits do not count.

    The file comes first, single settings override it, in whatever order they are given: as on the command line.
    presets: names of the yaml files of substrates. preset: returns the settings of a group and such a name.
    """
    conditions = lookup(settings, "evaluation.conditions")
    if not isinstance(conditions, dict) or not conditions:
        return settings
    frozen = dict(conditions)
    for name, changes in conditions.items():
        if isinstance(changes, dict) and changes.get("substrate") in presets:
            content = preset("substrate", changes["substrate"])
            frozen[name] = {"substrate": content} | {k: v for k, v in changes.items() if k != "substrate"}
    return settings | {"evaluation": settings["evaluation"] | {"conditions": frozen}}


def mistakes_in_conditions(settings: Tree, diagnostics: Diagnostics) -> list[str]:
    """Return the mistakes in the conditions of resolved settings, without those that the settings have themselves."""
    conditions = lookup(settings, "evaluation.conditions")
    lines: list[str] = []
    for name, changes in conditions.items() if isinstance(conditions, dict) else ():
        mistakes = [f"the name of the point's own condition is {OWN}; choose another"] if name == OWN else []
        if isinstance(changes, dict):
            mistakes += _mistakes_in_condition(changes, settings, diagnostics)
        lines += [f"evaluation.conditions.{name}: {line}" for line in dict.fromkeys(mistakes)]
    return lines


def _mistakes_in_condition(changes: Tree, settings: Tree, diagnostics: Diagnostics) -> list[str]:
    """Return the mistakes in the settings that one condition changes."""
    empty = [key for key, value in leaves(changes) if value == []]
    mistakes = [f"{key}=[]: a list of no values makes no condition; give at least one" for key in empty]
    repeated = [(key, value) for key, value in leaves(changes) if _has_equal(value)]
    mistakes += [f"{key}={value}: a value is listed twice" for key, value in repeated]
    for values in _grid(changes):
        assigned = {
            key: value
            for key, value in values.items()
            if diagnostics.knows(key) and assign(deep_copy(settings), key, value)
        }
        settable = {key: value for key, value in assigned.items() if _is_settable(key)}
        mistakes += [diagnostics.unknown_key(key, value).line for key, value in values.items() if key not in assigned]
        mistakes += [
            f"{key}: the training depends on it and happens once; a condition sets {', '.join(SETTABLE)}"
            for key in sorted(assigned.keys() - settable.keys())
        ]
        mistakes += _new_mistakes(_changed(settings, settable), settings, diagnostics)
    return mistakes


def _is_settable(key: str) -> bool:
    return any(key == part or key.startswith(f"{part}.") for part in SETTABLE)


def _new_mistakes(changed: Tree, settings: Tree, diagnostics: Diagnostics) -> list[str]:
    """Return the mistakes in changed settings that were not in the original settings."""
    try:
        msgspec.convert(changed, Config)
    except msgspec.ValidationError:
        before = {mistake.line for mistake in diagnostics.mistakes(settings)}
        return [mistake.line for mistake in diagnostics.mistakes(changed) if mistake.line not in before]
    return []


def _changed(settings: Tree, values: Mapping[str, Any]) -> Tree:
    """Return a copy of plain settings with other values, given by dotted key."""
    tree: Tree = deep_copy(settings)
    for key, value in values.items():
        assign(tree, key, value)
    return tree


def _on_chips(name: str, varied: dict[str, Any], config: Config, further: Sequence[int]) -> list[Condition]:
    """Return a condition on its own chip and, if it is perturbed, on further chips."""
    own_chip = Condition(name, {key: value for key, value in varied.items() if key != "seed.chip"}, config)
    if not config.evaluation.perturbed:
        return [own_chip]
    other_chips = [chip for chip in further if chip != config.seed.chip]
    return [own_chip, *(Condition(f"{name}, other chips", varied, _on_chip(config, chip)) for chip in other_chips)]


def _on_chip(config: Config, number: int) -> Config:
    """Return the configuration on another chip, which is sampled: a chip file describes only the chip it came from."""
    seed = msgspec.structs.replace(config.seed, chip=number)
    sampled_chip = msgspec.structs.replace(config.substrate.chip, file=None)
    substrate = msgspec.structs.replace(config.substrate, chip=sampled_chip)
    return msgspec.structs.replace(config, seed=seed, substrate=substrate)


def _grid(changes: Tree) -> list[dict[str, Any]]:
    """Return each combination of the listed values, by dotted key."""
    named = dict(leaves(changes))
    columns = [value if isinstance(value, list) else [value] for value in named.values()]
    return [dict(zip(named, values, strict=True)) for values in itertools.product(*columns)]


def _has_equal(values: Any) -> bool:
    """Return whether a list has a value twice, as 0.1 and 0.10."""
    entries = values if isinstance(values, list) else []
    return any(same_value(*pair) for pair in itertools.combinations(entries, 2))
