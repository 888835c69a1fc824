"""Configurations become the points of a sweep: frozen, without duplicates, with the settings in which they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.dotted_keys import ABSENT, Tree
from ttfsrun.config.ids import PARTS, Part, SharedParts, identify_parts
from ttfsrun.config.paths import absolute, checksums, with_absolute_paths
from ttfsrun.config.schema import Config
from ttfsrun.results.sweep_folder import SweepPoint


def freeze_points(requested: Iterable[tuple[Sequence[str], Config]], keys: Sequence[str]) -> list[SweepPoint]:
    """Return the points of these configurations, in their order; equal ones appear once.

    requested: the overrides that make each configuration, and the configuration, of which only one is in memory at a
    time. keys: those that the request varies.
    Raises ConfigError where a named file cannot be read, and UserError where it does not fit its network.
    """
    shared, files = SharedParts(), _NamedFiles()
    overrides: list[Sequence[str]] = []
    rows: list[list[Part]] = []
    for words, config in requested:
        row = shared.of_config(config)
        files.add(row, config)
        overrides.append(words)
        rows.append(row)
    files.read()
    columns = varying_columns(overrides, rows, keys)
    points: dict[str, SweepPoint] = {}
    for number, row in enumerate(rows):
        ids = identify_parts([files.by_content(part) for part in row])
        if ids.point not in points:
            points[ids.point] = SweepPoint(
                point=ids.point,
                training=ids.training,
                shape=ids.shape,
                settings={key: column[number] for key, column in columns.items() if column[number] is not ABSENT},
                config={part.name: files.frozen(part) for part in row},
                files=files.checksums_of(row),
            )
    return list(points.values())


def varying_columns(
    overrides: Sequence[Sequence[str]], rows: Sequence[Sequence[Part]], keys: Sequence[str]
) -> dict[str, list[Any]]:
    """Return the columns, by dotted key or group, in which the points differ, those that the request names first.

    A column that follows from one of these (seed.data from seed.init, all of substrate from its choice) is left out.
    rows: the parts of each point.
    """
    different = list(dict.fromkeys(part for row in rows for part in row))
    named = {key: _named_column(key, overrides, rows) for key in keys}
    named = {key: column for key, column in named.items() if _differs(column)}
    leaders = [list(map(repr, column)) for column in named.values()]
    other_keys = dict.fromkeys(key for part in different for key in part.leaves if key not in named)
    others = {
        key: _column(key, rows)
        for key in other_keys
        if _differs([part.leaves.get(key, ABSENT) for part in different if part.name == key.partition(".")[0]])
    }
    return named | {
        key: column
        for key, column in others.items()
        if not any(_follows(list(map(repr, column)), leader) for leader in leaders)
    }


def _column(key: str, rows: Sequence[Sequence[Part]]) -> list[Any]:
    """Return the value of each point at a dotted key, or ABSENT."""
    name = key.partition(".")[0]
    if name not in PARTS:
        return [ABSENT] * len(rows)
    number = PARTS.index(name)
    return [row[number].leaves.get(key, ABSENT) for row in rows]


def _named_column(key: str, overrides: Sequence[Sequence[str]], rows: Sequence[Sequence[Part]]) -> list[Any]:
    """Return the value of each point at a key that the request varies; of a group, the override that chooses it."""
    column = _column(key, rows)
    if ABSENT in column:
        for number, words in enumerate(overrides):
            if column[number] is ABSENT:
                chosen = {name.lstrip("+"): value for name, _, value in (word.partition("=") for word in words)}
                column[number] = chosen.get(key, ABSENT)
    return column


def _differs(column: Sequence[Any]) -> bool:
    return any(value != column[0] for value in column)


def _follows(column: Sequence[str], leader: Sequence[str]) -> bool:
    """Tell whether each value of the leader goes with one value of the column."""
    return len(set(zip(leader, column, strict=True))) == len(set(leader))


class _NamedFiles:
    """The files that configurations name, of chips and of stored weights: each is read once."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # in the order of their appearance
        self._checksums: dict[str, str] = {}
        self._configs: dict[tuple[str, ...], Config] = {}  # one for each network and its files
        self._by_content: dict[Part, Part] = {}
        self._frozen: dict[Part, Tree] = {}

    def add(self, parts: Sequence[Part], config: Config) -> None:
        """Note the files of a configuration, which `read` reads."""
        files = _files_of(parts)
        if files:
            self._names |= files
            self._configs.setdefault((identify_parts(parts).shape, *files), config)

    def read(self) -> None:
        """Read the files.

        Raises ConfigError that lists those that cannot be read, UserError where one does not fit its network.
        """
        self._checksums = checksums(self._names)
        for config in self._configs.values():
            _require_fitting_files(config)

    def checksums_of(self, parts: Sequence[Part]) -> dict[str, str]:
        """Return the checksum of each file of a configuration, by its absolute path."""
        return {absolute(file): self._checksums[file] for file in _files_of(parts)}

    def by_content(self, part: Part) -> Part:
        """Return a part with checksums in place of the files' paths."""
        if not part.named_files:
            return part
        if part not in self._by_content:
            self._by_content[part] = part.with_files(self._checksums.__getitem__)
        return self._by_content[part]

    def frozen(self, part: Part) -> Tree:
        """Return the settings of a part, with paths that mean the same from every folder."""
        if part not in self._frozen:
            self._frozen[part] = with_absolute_paths({part.name: part.value})[part.name]
        return self._frozen[part]


def _files_of(parts: Sequence[Part]) -> dict[str, str]:
    return {file: setting for part in parts for file, setting in part.named_files.items()}


def _require_fitting_files(config: Config) -> None:
    """Raise UserError where a chip file or stored weights do not fit the network of a configuration."""
    from ttfsrun.substrate.chip import Chip
    from ttfsrun.training.network_file import require_fitting_start

    require_fitting_start(config)
    for condition in conditions_of(config):
        if condition.config.substrate.chip.file is not None:
            Chip.of(condition.config.chip_spec)
