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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ttfsrun.config.dotted_keys import Tree, assign, deep_copy, leaves, lookup
from ttfsrun.config.schema import Config

if TYPE_CHECKING:
    from ttfsrun.config.diagnostics import Diagnostics

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
        chip = self.config.substrate.chip.file or self.config.seed.chip
        return {
            "condition": self.name,
            "settings": dict(self.settings),
            "perturbed": perturbed,
            "chip": chip if perturbed else None,
        }


def conditions_of(config: Config) -> list[Condition]:
    """A configuration's conditions, its own first, each once for every chip."""
    found = _on_chips(OWN, {}, config, config.evaluation.chips)
    settings = msgspec.to_builtins(config)
    for name, changes in config.evaluation.conditions.items():
        lists = {key for key, value in leaves(changes) if isinstance(value, list)}
        for own in _grid(changes):
            varied = {key: value for key, value in own.items() if key in lists}
            changed = msgspec.convert(_changed(settings, own), Config)
            if "seed.chip" in own and "substrate.chip.file" not in own:
                changed = _on_chip(changed, changed.seed.chip)
            names_chip = "seed.chip" in own or own.get("substrate.chip.file") is not None
            found += _on_chips(name, varied, changed, [] if names_chip else config.evaluation.chips)
    return found


def mistakes_in_conditions(settings: Tree, complaints: Diagnostics) -> list[str]:
    """What is wrong with the conditions of resolved settings, apart from what is wrong without them."""
    conditions = lookup(settings, "evaluation.conditions")
    lines: list[str] = []
    for name, changes in conditions.items() if isinstance(conditions, dict) else ():
        wrong = [f"the name of the point's own condition is {OWN}; take another"] if name == OWN else []
        empty = [key for key, value in leaves(changes) if value == []] if isinstance(changes, dict) else []
        wrong += [f"{key}=[]: a list of no values makes no condition; give at least one" for key in empty]
        for own in _grid(changes) if isinstance(changes, dict) else ():
            known = {
                key: value
                for key, value in own.items()
                if complaints.knows(key) and assign(deep_copy(settings), key, value)
            }
            free = {key: value for key, value in known.items() if _is_free(key)}
            wrong += [complaints.unknown_key(key, value).line for key, value in own.items() if key not in known]
            wrong += [
                f"{key}: the training depends on it and happens once; a condition sets {', '.join(FREE)}"
                for key in sorted(known.keys() - free.keys())
            ]
            wrong += _mistakes(_changed(settings, free), settings, complaints)
        lines += [f"evaluation.conditions.{name}: {line}" for line in dict.fromkeys(wrong)]
    return lines


def _is_free(key: str) -> bool:
    return any(key == part or key.startswith(f"{part}.") for part in FREE)


def _mistakes(changed: Tree, settings: Tree, complaints: Diagnostics) -> list[str]:
    """What is wrong with changed settings, but was not wrong before."""
    try:
        msgspec.convert(changed, Config)
    except msgspec.ValidationError:
        before = {mistake.line for mistake in complaints.mistakes(settings)}
        return [mistake.line for mistake in complaints.mistakes(changed) if mistake.line not in before]
    return []


def _changed(settings: Tree, own: Mapping[str, Any]) -> Tree:
    """A copy of plain settings with others by dotted key."""
    tree: Tree = deep_copy(settings)
    for key, value in own.items():
        assign(tree, key, value)
    return tree


def _on_chips(name: str, varied: dict[str, Any], config: Config, further: Sequence[int]) -> list[Condition]:
    """A condition on its chip, and on further ones."""
    found = [Condition(name, {key: value for key, value in varied.items() if key != "seed.chip"}, config)]
    if config.evaluation.perturbed:
        found += [
            Condition(f"{name}, other chips", varied, _on_chip(config, chip))
            for chip in further
            if chip != config.seed.chip
        ]
    return found


def _on_chip(config: Config, number: int) -> Config:
    """On another chip, which is drawn: what a file holds is of the chip that was measured."""
    seed = msgspec.structs.replace(config.seed, chip=number)
    drawn = msgspec.structs.replace(config.substrate.chip, file=None)
    substrate = msgspec.structs.replace(config.substrate, chip=drawn)
    return msgspec.structs.replace(config, seed=seed, substrate=substrate)


def _grid(changes: Tree) -> list[dict[str, Any]]:
    """Each combination of the listed values, by dotted key."""
    named = dict(leaves(changes))
    columns = [value if isinstance(value, list) else [value] for value in named.values()]
    return [dict(zip(named, values, strict=True)) for values in itertools.product(*columns)]
