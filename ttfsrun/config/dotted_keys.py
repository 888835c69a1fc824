"""Access to nested dictionaries of settings by dotted keys, and the origin of each value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Tree = dict[str, Any]
ABSENT: Any = object()  # None is a value


def lookup(tree: Tree, key: str) -> Any:
    """Return the value at a dotted key, or ABSENT."""
    node: Any = tree
    for name in key.split("."):
        if not isinstance(node, dict) or name not in node:
            return ABSENT
        node = node[name]
    return node


def assign(tree: Tree, key: str, value: Any) -> bool:
    """Set the value at a dotted key and create missing groups; return False where a group is a value."""
    *parents, last = key.split(".")
    node: Any = tree
    for name in parents:
        node = node.setdefault(name, {})
        if not isinstance(node, dict):
            return False
    node[last] = value
    return True


def leaves(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each dotted key with its value; a list is one value, and so is a group without keys."""
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def deep_copy(node: Any) -> Any:
    """Return a copy that shares no dictionary and no list."""
    if isinstance(node, dict):
        return {name: deep_copy(value) for name, value in node.items()}
    return [deep_copy(value) for value in node] if isinstance(node, list) else node


def same_value(value: Any, other: Any) -> bool:
    """Return whether values are equal: 2 and 2.0 are, 1 and true are not."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


class Origins:
    """Origins of the values of a tree while layers are merged, each over the previous ones."""

    def __init__(self) -> None:
        self._origins: dict[str, str] = {}

    def merge(self, key: str, value: Any, origin: str) -> None:
        """Record the origin of a value, or of each value of a group, at a dotted key; quote an interpolation in it."""
        if isinstance(value, dict) and value:
            self._origins.pop(key, None)
            for name, child in value.items():
                self.merge(f"{key}.{name}" if key else str(name), child, origin)
            return
        lists = [prefix for prefix in ancestors(key) if prefix in self._origins]  # where the key is an entry of a list
        self.delete(key)
        self._origins[lists[0] if lists else key] = f"{origin}: {value}" if _is_interpolation(value) else origin

    def delete(self, key: str) -> None:
        """Remove the origins of a value, or of all values of a group."""
        for name in [name for name in self._origins if name == key or name.startswith(f"{key}.")]:
            del self._origins[name]

    def find(self, key: str) -> str | None:
        """Return the origin of the value at a key, or of the nearest group that has one."""
        return next((self._origins[name] for name in (key, *reversed(ancestors(key))) if name in self._origins), None)


def ancestors(key: str) -> list[str]:
    """Return the groups around a dotted key, outermost first: `a.b.c` -> `a`, `a.b`."""
    names = key.split(".")
    return [".".join(names[:depth]) for depth in range(1, len(names))]


def _is_interpolation(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def without_negative_zeros(value: Any) -> Any:
    """Return plain values with 0.0 for each -0.0."""
    if isinstance(value, dict):
        return {key: without_negative_zeros(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_negative_zeros(part) for part in value]
    return abs(value) if isinstance(value, float) and value == 0 else value
