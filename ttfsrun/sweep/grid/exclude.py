"""Exclusion of points from a grid.

    exclude:
      - {substrate.weight.bits: [1, 2], network.hidden: [60]}

A point is excluded if it has, for every key of an entry, the value given there or one of the list given there. A key
that the point does not override is looked up in its resolved configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ttfsrun.config.compose import Composer
from ttfsrun.config.conf_folder import ConfFolder
from ttfsrun.config.diagnostics import show
from ttfsrun.config.dotted_keys import ABSENT, Tree, lookup, same_value
from ttfsrun.errors import ConfigError
from ttfsrun.sweep.grid.axes import check_known
from ttfsrun.sweep.grid.spec import Spec

Overrides = tuple[str, ...]


def check_excluded_keys(spec: Spec, files: ConfFolder) -> None:
    """Collect mistakes in the keys of the entries."""
    for index, entry in enumerate(spec.sweep.exclude):
        with spec.mistakes_at(f"exclude[{index}]"):
            if not entry:
                raise ConfigError("{}: must name at least one key")
        for key, value in entry.items():
            with spec.mistakes_at(f"exclude[{index}]"):
                check_known(key, value, files)


def remove_excluded(points: list[Overrides], spec: Spec, composer: Composer, changed: bool) -> list[Overrides]:
    """Return the points that match no entry.

    changed: whether the command line changes the grid of the file. Otherwise an entry without a match is a mistake.
    """
    entries = spec.sweep.exclude
    remaining, used = [], set[int]()
    for overrides in points if entries else ():
        point = _Point(overrides, composer)
        matches = {index for index, entry in enumerate(entries) if point.matches(entry)}
        used |= matches
        if not matches:
            remaining.append(overrides)
    for index, entry in enumerate(entries):
        with spec.mistakes_at(f"exclude[{index}]"):
            if index not in used and not changed:
                raise ConfigError(f"{show(entry)}: matches no point")
    if entries and not remaining:
        raise ConfigError(f"sweep.exclude: excludes all {len(points)} points")
    return remaining if entries else points


@dataclass(frozen=True)
class _Point:
    overrides: Overrides
    composer: Composer

    def matches(self, entry: dict[str, Any]) -> bool:
        """Return whether the point has all values of an entry."""
        return all(_is_one_of(self._value(key), excluded) for key, excluded in entry.items())

    def _value(self, key: str) -> Any:
        value = self._own_values.get(key, ABSENT)
        if value is ABSENT or (isinstance(value, str) and "${" in value):
            return lookup(self._settings, key)
        return value

    @cached_property
    def _own_values(self) -> dict[str, Any]:
        parsed = map(self.composer.files.parse, self.overrides)
        return {override.key_or_group: override.value() for override in parsed}

    @cached_property
    def _settings(self) -> Tree:
        return self.composer.settings(self.overrides)


def _is_one_of(value: Any, excluded: Any) -> bool:
    listed = excluded if isinstance(excluded, list) else []
    return any(same_value(value, other) for other in (excluded, *listed))
