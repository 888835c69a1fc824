"""Configurations become the points of a sweep: frozen, each once, with what tells them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.dotted_keys import ABSENT, Tree, leaves
from ttfsrun.config.ids import chip_files, point_id, shape_id, training_id, with_chip_files
from ttfsrun.config.schema import Config
from ttfsrun.errors import ConfigError
from ttfsrun.files import expand_user, sha256
from ttfsrun.results.sweep_folder import SweepPoint


def freeze_points(requested: Sequence[tuple[Sequence[str], Config]], keys: Sequence[str]) -> list[SweepPoint]:
    """The points of these configurations, in their order; equal ones appear once.

    requested: the overrides that make each configuration, and the configuration; keys: those that the request varies.
    """
    plain = [msgspec.to_builtins(config) for _, config in requested]
    columns = varying_columns([words for words, _ in requested], plain, keys)
    checksums = _checksums([config for _, config in requested])
    if checksums:
        _require_fitting_chips([config for _, config in requested])
    points: dict[str, SweepPoint] = {}
    for row, ((_, config), settings) in enumerate(zip(requested, plain, strict=True)):
        files = {file: checksums[file] for file in chip_files(config)} if checksums else {}
        identity = point_id(config, files)
        if identity not in points:
            points[identity] = SweepPoint(
                point=identity,
                training=training_id(config, files),
                shape=shape_id(config),
                settings={key: column[row] for key, column in columns.items() if column[row] is not ABSENT},
                config=_settled(settings),
                files={_absolute(file): checksum for file, checksum in files.items()},
            )
    return list(points.values())


def varying_columns(
    overrides: Sequence[Sequence[str]], settings: Sequence[Tree], keys: Sequence[str]
) -> dict[str, list[Any]]:
    """The columns, by dotted key or group, in which the points differ, those first that the request names.

    A column that follows from one of these (seed.data from seed.init, all of substrate from its choice) is left out.
    """
    named = [dict(leaves({name: value for name, value in tree.items() if name != "cluster"})) for tree in settings]
    choices = [{key.lstrip("+"): value for key, _, value in (w.partition("=") for w in words)} for words in overrides]
    every = dict.fromkeys(key for row in named for key in row)
    asked = {
        key: [row.get(key, chosen.get(key, ABSENT)) for row, chosen in zip(named, choices, strict=True)] for key in keys
    }
    asked = {key: column for key, column in asked.items() if _differs(column)}
    known = [list(map(repr, column)) for column in asked.values()]
    others = {key: [row.get(key, ABSENT) for row in named] for key in every if key not in asked}
    return asked | {
        key: column
        for key, column in others.items()
        if _differs(column) and not any(_follows(list(map(repr, column)), leader) for leader in known)
    }


def _differs(column: Sequence[Any]) -> bool:
    return any(value != column[0] for value in column)


def _follows(column: Sequence[str], leader: Sequence[str]) -> bool:
    """Whether each value of the leader goes with one value of the column."""
    return len(set(zip(leader, column, strict=True))) == len(set(leader))


def _checksums(configs: Sequence[Config]) -> Mapping[str, str]:
    """Of each chip file that any point names; a ConfigError names those that cannot be read."""
    named = list(dict.fromkeys(file for config in configs for file in chip_files(config)))
    found, lines = {}, []
    for file in named:
        try:
            found[file] = sha256(Path(expand_user(file)))
        except OSError as error:
            lines.append(f"substrate.chip.file={file}: cannot be read ({error.strerror})")
    if lines:
        raise ConfigError(*lines)
    return found


def _require_fitting_chips(configs: Sequence[Config]) -> None:
    """A UserError where a chip file does not fit the network that it is for; each pair of them is looked at once."""
    from ttfsrun.substrate.chip import Chip

    seen: set[tuple[str, ...]] = set()
    for config in configs:
        about = (shape_id(config), *chip_files(config))
        if len(about) > 1 and about not in seen:
            seen.add(about)
            for condition in conditions_of(config):
                if condition.config.substrate.chip.file is not None:
                    Chip.of(condition.config.chip_spec)


def _settled(plain: Tree) -> Tree:
    """The settings without `cluster`, with paths that mean the same from every folder."""
    settings = {name: value for name, value in plain.items() if name != "cluster"}
    folder = settings["data"].get("folder")
    if folder is not None:
        settings["data"] = settings["data"] | {"folder": _absolute(folder)}
    return with_chip_files(settings, _absolute)


def _absolute(path: str) -> str:
    return str(Path(expand_user(path)).absolute())
