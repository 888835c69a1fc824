"""What a trained network is evaluated under: its own substrate and chip, and the conditions that it names.

    evaluation:
      conditions:
        simulation: {evaluation.perturbed: false}
        elsewhere: {substrate: brainscales2, seed.chip: [5, 6, 7]}
        noisy: {substrate.spike_time.jitter: [0.01, 0.1]}

A condition holds settings that differ, by dotted key; a list of values makes a grid. `substrate` alone chooses a
yaml file of that group. Nothing that a training depends on can differ: it happens once for all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ttfsrun.config import Config
from ttfsrun.tree import Tree, copied, leaves, lookup, store

if TYPE_CHECKING:
    from ttfsrun.complaints import Complaints

FREE = ("substrate", "evaluation.perturbed", "evaluation.trials", "evaluation.age", "seed.chip", "seed.trial")
OWN = "own"  # the name of the condition that is the configuration itself


@dataclass(frozen=True)
class Condition:
    """One of the conditions, on one chip; of a grid, with the settings that tell it from the others."""

    name: str
    settings: Mapping[str, Any]
    config: Config

    def as_record(self) -> dict[str, Any]:
        """What it is, for the record of an evaluation."""
        perturbed = self.config.evaluation.perturbed
        return {
            "condition": self.name,
            "settings": dict(self.settings),
            "perturbed": perturbed,
            "chip": self.config.seed.chip if perturbed else None,
        }


def conditions_of(config: Config, complaints: Complaints) -> tuple[list[Condition], list[str]]:
    """A configuration's conditions, its own first, each once for every chip; and what is wrong with them."""
    found, wrong = _on_chips(OWN, {}, config), []
    tree: Tree = msgspec.to_builtins(config)
    for name, changes in config.evaluation.conditions.items():
        lists = {key for key, value in leaves(changes) if isinstance(value, list)}
        for settings in _grid(dict(leaves(changes))):
            changed, lines = _changed(tree, name, settings, complaints)
            wrong += lines
            if not lines:
                varied = {key: settings[key] for key in settings if key in lists}
                found += _on_chips(name, varied, msgspec.convert(changed, Config))
    return found, list(dict.fromkeys(wrong))


def wrong_conditions(settings: Tree, complaints: Complaints) -> list[str]:
    """What is wrong with the conditions of settings that have mistakes of their own, beside these."""
    conditions = lookup(settings, "evaluation.conditions")
    if not isinstance(conditions, dict):
        return []
    known = {mistake.line for mistake in complaints.mistakes(settings)}
    wrong = [
        line
        for name, changes in conditions.items()
        if isinstance(changes, dict)
        for changed in _grid(dict(leaves(changes)))
        for line in _changed(settings, name, changed, complaints)[1]
        if line.partition(": ")[2] not in known
    ]
    return list(dict.fromkeys(wrong))


def _on_chips(name: str, varied: dict[str, Any], config: Config) -> list[Condition]:
    """A condition on its chip, and on the further ones unless it names chips itself."""
    found = [Condition(name, {key: value for key, value in varied.items() if key != "seed.chip"}, config)]
    if config.evaluation.perturbed and "seed.chip" not in varied:
        for chip in config.evaluation.chips:
            seed = msgspec.structs.replace(config.seed, chip=chip)
            found.append(Condition(f"{name}, other chips", varied, msgspec.structs.replace(config, seed=seed)))
    return found


def _grid(changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each combination of the listed values."""
    columns = [value if isinstance(value, list) else [value] for value in changes.values()]
    return [dict(zip(changes, values, strict=True)) for values in itertools.product(*columns)]


def _changed(tree: Tree, name: str, settings: Mapping[str, Any], complaints: Complaints) -> tuple[Tree, list[str]]:
    """What a condition makes of a configuration, and what is wrong with it, a line each."""
    if name == OWN:
        return tree, [f"evaluation.conditions.{name}: this is the name of the point's own condition; take another"]
    tree, wrong = copied(tree), []
    for key, value in settings.items():
        if not complaints.knows(key):
            wrong.append(complaints.unknown_key(key, value).line)
        elif not any(key == free or key.startswith(f"{free}.") for free in FREE):
            wrong.append(f"{key}: the training depends on it, which happens once; a condition sets {', '.join(FREE)}")
        else:
            store(tree, key, value)
    wrong += [mistake.line for mistake in complaints.mistakes(tree)]
    return tree, [f"evaluation.conditions.{name}: {line}" for line in wrong]
