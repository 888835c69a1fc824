"""Points of a grid that are left out.

    exclude:
      - {substrate.weight.bits: [1, 2], network.hidden: [60]}

A point is left out if it has, for every key of an entry, the value that stands there or one of those in a list.
Where the point has no override of a key, its resolved configuration counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ttfsrun.config.compose import Composer
from ttfsrun.config.conf_folder import ConfFolder
from ttfsrun.config.diagnostics import show
from ttfsrun.config.dotted_keys import ABSENT, Tree, lookup
from ttfsrun.errors import ConfigError
from ttfsrun.sweep.grid.axes import check_known
from ttfsrun.sweep.grid.spec import Spec

Words = tuple[str, ...]


def check_excluded_keys(spec: Spec, files: ConfFolder) -> None:
    """An entry names settings that there are."""
    for index, entry in enumerate(spec.sweep.exclude):
        with spec.at(f"exclude[{index}]"):
            if not entry:
                raise ConfigError("{}: has to name at least one key")
        for key, value in entry.items():
            with spec.at(f"exclude[{index}]"):
                check_known(key, value, files)


def remove_excluded(points: list[Words], spec: Spec, composer: Composer, changed: bool) -> list[Words]:
    """The points that no entry leaves out. An entry that concerns none is a mistake, unless the grid was changed."""
    entries = spec.sweep.exclude
    left, used = [], set[int]()
    for words in points if entries else ():
        point = _Point(words, composer)
        found = {index for index, entry in enumerate(entries) if point.matches(entry)}
        used |= found
        if not found:
            left.append(words)
    for index, entry in enumerate(entries):
        with spec.at(f"exclude[{index}]"):
            if index not in used and not changed:
                raise ConfigError(f"{show(entry)}: matches no point")
    if entries and not left:
        raise ConfigError(f"sweep.exclude: leaves out all {len(points)} points")
    return left if entries else points


@dataclass(frozen=True)
class _Point:
    words: Words
    composer: Composer

    def matches(self, entry: dict[str, Any]) -> bool:
        return all(_is_one_of(self._value(key), wanted) for key, wanted in entry.items())

    def _value(self, key: str) -> Any:
        value = self._given.get(key, ABSENT)
        if value is ABSENT or (isinstance(value, str) and "${" in value):
            return lookup(self._settings, key)
        return value

    @cached_property
    def _given(self) -> dict[str, Any]:
        overrides = map(self.composer.files.parse, self.words)
        return {override.key_or_group: override.value() for override in overrides}

    @cached_property
    def _settings(self) -> Tree:
        return self.composer.settings(self.words)


def _is_one_of(value: Any, wanted: Any) -> bool:
    return _same(value, wanted) or (isinstance(wanted, list) and any(_same(value, each) for each in wanted))


def _same(value: Any, wanted: Any) -> bool:
    """Equal, 2 and 2.0 too, but not 1 and true."""
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)
