"""Configurations become the points of a sweep: frozen, without duplicates, with the settings in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.dotted_keys import ABSENT, Tree, leaves
from ttfsrun.config.ids import identify
from ttfsrun.config.paths import absolute, checksums, chip_files, with_absolute_paths
from ttfsrun.config.schema import Config
from ttfsrun.results.sweep_folder import SweepPoint


def freeze_points(requested: Sequence[tuple[Sequence[str], Config]], keys: Sequence[str]) -> list[SweepPoint]:
    """Return the points of these configurations, in their order; equal ones appear once.

    requested: the overrides that make each configuration, and the configuration. keys: those that the request varies.
    Raises ConfigError where a chip file cannot be read, and UserError where it does not fit its network.
    """
    settings = [msgspec.to_builtins(config) for _, config in requested]
    columns = varying_columns([overrides for overrides, _ in requested], settings, keys)
    files = [chip_files(of_point) for of_point in settings]
    known = checksums(file for of_point in files for file in of_point)
    points: dict[str, SweepPoint] = {}
    fitting: set[tuple[str, ...]] = set()  # shapes with chip files that were checked
    for row, (_, config) in enumerate(requested):
        own_checksums = {file: known[file] for file in files[row]}
        ids = identify(settings[row], own_checksums)
        if files[row] and (ids.shape, *files[row]) not in fitting:
            fitting.add((ids.shape, *files[row]))
            _require_fitting_chips(config)
        if ids.point not in points:
            points[ids.point] = SweepPoint(
                point=ids.point,
                training=ids.training,
                shape=ids.shape,
                settings={key: column[row] for key, column in columns.items() if column[row] is not ABSENT},
                config=with_absolute_paths({name: own for name, own in settings[row].items() if name != "cluster"}),
                files={absolute(file): checksum for file, checksum in own_checksums.items()},
            )
    return list(points.values())


def varying_columns(
    overrides: Sequence[Sequence[str]], settings: Sequence[Tree], keys: Sequence[str]
) -> dict[str, list[Any]]:
    """Return the columns, by dotted key or group, in which the points differ, those that the request names first.

    A column that follows from one of these (seed.data from seed.init, all of substrate from its choice) is left out.
    """
    rows = [dict(leaves({name: value for name, value in tree.items() if name != "cluster"})) for tree in settings]
    choices = [{key.lstrip("+"): value for key, _, value in (w.partition("=") for w in words)} for words in overrides]
    named = {
        key: [row.get(key, chosen.get(key, ABSENT)) for row, chosen in zip(rows, choices, strict=True)] for key in keys
    }
    named = {key: column for key, column in named.items() if _differs(column)}
    leaders = [list(map(repr, column)) for column in named.values()]
    other_keys = dict.fromkeys(key for row in rows for key in row if key not in named)
    others = {key: [row.get(key, ABSENT) for row in rows] for key in other_keys}
    return named | {
        key: column
        for key, column in others.items()
        if _differs(column) and not any(_follows(list(map(repr, column)), leader) for leader in leaders)
    }


def _differs(column: Sequence[Any]) -> bool:
    return any(value != column[0] for value in column)


def _follows(column: Sequence[str], leader: Sequence[str]) -> bool:
    """Tell whether each value of the leader goes with one value of the column."""
    return len(set(zip(leader, column, strict=True))) == len(set(leader))


def _require_fitting_chips(config: Config) -> None:
    """Raise UserError where a chip file does not fit the network of a configuration."""
    from ttfsrun.substrate.chip import Chip

    for condition in conditions_of(config):
        if condition.config.substrate.chip.file is not None:
            Chip.of(condition.config.chip_spec)
