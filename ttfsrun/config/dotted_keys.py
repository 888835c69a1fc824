"""Nested dictionaries of settings, addressed by dotted keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Tree = dict[str, Any]
ABSENT: Any = object()  # None is a value


def lookup(tree: Tree, key: str) -> Any:
    """What stands at a dotted key, or ABSENT."""
    node: Any = tree
    for name in key.split("."):
        if not isinstance(node, dict) or name not in node:
            return ABSENT
        node = node[name]
    return node


def assign(tree: Tree, key: str, value: Any) -> bool:
    """Put a value at a dotted key, in new groups where there are none; False where a value is in the way."""
    *parents, last = key.split(".")
    node: Any = tree
    for name in parents:
        node = node.setdefault(name, {})
        if not isinstance(node, dict):
            return False
    node[last] = value
    return True


def leaves(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each dotted key that holds a value; a list is one value, and so is a group without keys."""
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def deep_copy(node: Any) -> Any:
    """A copy that shares no dictionary and no list."""
    if isinstance(node, dict):
        return {name: deep_copy(value) for name, value in node.items()}
    return [deep_copy(value) for value in node] if isinstance(node, list) else node


class Origins:
    """Where each value of a tree comes from, as layers are merged one over the other."""

    def __init__(self) -> None:
        self._origins: dict[str, str] = {}

    def merge(self, key: str, value: Any, origin: str) -> None:
        """A value (or a group of them) at a dotted key, from this origin; an interpolation is quoted."""
        if isinstance(value, dict) and value:
            self._origins.pop(key, None)
            for name, child in value.items():
                self.merge(f"{key}.{name}" if key else str(name), child, origin)
            return
        whole = [prefix for prefix in ancestors(key) if prefix in self._origins]  # an entry of a list
        self.delete(key)
        self._origins[whole[0] if whole else key] = f"{origin}: {value}" if _is_interpolation(value) else origin

    def delete(self, key: str) -> None:
        for known in [known for known in self._origins if known == key or known.startswith(f"{key}.")]:
            del self._origins[known]

    def find(self, key: str) -> str | None:
        """The origin of the value at a key, or of the group that it came with."""
        return next((self._origins[name] for name in (key, *reversed(ancestors(key))) if name in self._origins), None)


def ancestors(key: str) -> list[str]:
    """The groups around a dotted key, outermost first: `a.b.c` -> `a`, `a.b`."""
    names = key.split(".")
    return [".".join(names[:depth]) for depth in range(1, len(names))]


def _is_interpolation(value: Any) -> bool:
    return isinstance(value, str) and "${" in value
