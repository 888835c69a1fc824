"""The short way to what `ConfFiles.applied` does, for values that replace values and for simple references.

Most points of a grid need no more, and it takes them a hundredth of the time. Anything else is `NotPlain`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType

from ttfsrun.config.dotted_keys import ABSENT, Tree, assign, deep_copy, lookup
from ttfsrun.config.introspection import NAMED

REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.\w+)*)\}")  # ${seed.init}: no function, nothing around it


class NotPlain(Exception):
    """These settings need all of Hydra's and OmegaConf's rules."""


def with_plain_values(merged: Tree, overrides: Sequence[Override]) -> Tree:
    """The settings after these values are set one after the other, references resolved."""
    tree = deep_copy(merged)
    for override in overrides:
        if override.type is not OverrideType.CHANGE:
            raise NotPlain
        _set(tree, override.key_or_group, override.value())
    settings: Tree = _resolved(tree, tree)
    return settings


def _set(tree: Tree, key: str, value: Any) -> None:
    current = lookup(tree, key)
    if current is not ABSENT:
        assign(tree, key, _over(current, value, key))
        return
    parent, _, entry = key.rpartition(".")
    entries = lookup(tree, parent)
    if not isinstance(entries, list) or not entry.isdigit() or int(entry) >= len(entries):
        raise NotPlain
    entries[int(entry)] = _over(entries[int(entry)], value, key)


def _over(current: Any, value: Any, key: str) -> Any:
    """A value that takes the place of another; settings of a group are set one by one."""
    if not isinstance(current, dict) and not isinstance(value, dict):
        return value
    if not isinstance(current, dict) or not isinstance(value, dict):
        raise NotPlain
    for name, part in value.items():
        if name in current:
            current[name] = _over(current[name], part, f"{key}.{name}")
        elif key in NAMED:
            current[name] = part
        else:
            raise NotPlain
    return current


def _resolved(node: Any, root: Tree) -> Any:
    if isinstance(node, dict):
        return {name: _resolved(value, root) for name, value in node.items()}
    if isinstance(node, list):
        return [_resolved(value, root) for value in node]
    if not isinstance(node, str) or not ("${" in node or node == "???"):
        return node
    reference = REFERENCE.fullmatch(node)
    target = lookup(root, reference[1]) if reference else ABSENT
    if isinstance(target, (str, dict, list)) or target is ABSENT:
        raise NotPlain
    return target
