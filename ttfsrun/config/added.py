"""Settings that the schema got later: ids leave them out at their former values, and what was stored has those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ttfsrun.config.dotted_keys import Tree, deep_copy, lookup


class Added(NamedTuple):
    """A setting that was added to the schema.

    former: the value that computes what earlier versions computed. of: the `name` of its group, where only one of the
    group's alternatives has the setting.
    """

    former: Any
    of: str | None = None


#: By dotted key. Entries are permanent: ids depend on them.
ADDED: Mapping[str, Added] = {
    "data.augmentation": Added({"rotation": 0.0, "shear": 0.0, "scale": 0.0, "shift": 0.0}, of="mnist"),
    "substrate.delay": Added(
        {"bits": None, "step": None, "largest": None, "chip_cv": 0.0, "chip_std": 0.0, "jitter": 0.0}
    ),
    "network.delays": Added("none"),
    "network.delay_function": Added({"name": "sigmoid", "shift": 0.0, "scale": 1.0}),
    "network.init.delay": Added({"mean": 0.0, "std": 0.5}),
    "training.bumping.scheduled": Added(False),
    "training.optimizer.delay_learning_rate": Added(None),
    "training.start": Added(None),
}


def with_former_values(settings: Tree) -> Tree:
    """Return stored settings with the former value of each added setting that they lack."""
    for key, added in ADDED.items():
        group, _, name = key.rpartition(".")
        node = lookup(settings, group)
        if isinstance(node, dict) and name not in node and added.of in (None, node.get("name")):
            settings = _replaced(settings, group.split("."), node | {name: deep_copy(added.former)})
    return settings


def without_former_values(settings: Tree) -> Tree:
    """Return settings without each added setting that has its former value."""
    for key, added in ADDED.items():
        group, _, name = key.rpartition(".")
        node = lookup(settings, group)
        if isinstance(node, dict) and name in node and node[name] == added.former:
            others = {other: value for other, value in node.items() if other != name}
            settings = _replaced(settings, group.split("."), others)
    return _without_former_values_in_conditions(settings)


def _without_former_values_in_conditions(settings: Tree) -> Tree:
    """Return settings without the former values in the substrates, each a file's content, that conditions name."""
    conditions = lookup(settings, "evaluation.conditions")
    if not isinstance(conditions, dict):
        return settings
    changed = {
        name: changes | {"substrate": without_former_values({"substrate": changes["substrate"]})["substrate"]}
        for name, changes in conditions.items()
        if isinstance(changes, dict) and isinstance(changes.get("substrate"), dict)
    }
    return _replaced(settings, ["evaluation", "conditions"], conditions | changed) if changed else settings


def _replaced(tree: Tree, group: list[str], node: Tree) -> Tree:
    """Return a tree with another group; what does not change is shared with the original."""
    if not group:
        return node
    return tree | {group[0]: _replaced(tree[group[0]], group[1:], node)}
