"""Ids: hashes of the settings that make two points, two trainings or two shapes of a population the same.

None depends on paths, on the cluster, or on the number of threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from ttfsrun.config.dotted_keys import Tree, leaves
from ttfsrun.config.paths import checksums, chip_files, with_chip_files
from ttfsrun.config.schema import Config

#: Settings of which each network of a population may have its own value.
PER_NETWORK = (
    "seed",
    "evaluation",
    "network.neuron",
    "network.init",
    "substrate",
    "training.backward",
    "training.optimizer.learning_rate",
    "training.perturbed",
    "training.schedule",
    "training.input_noise",
)
NO_FILES: Mapping[str, str] = {}


class Ids(NamedTuple):
    """The ids of one configuration.

    point: hash of all settings that can change the numbers. training: of those that the trained weights depend on;
    points that share it are trained once. shape: of those that the networks of one population have in common.
    """

    point: str
    training: str
    shape: str


def identify(settings: Tree, files: Mapping[str, str] = NO_FILES) -> Ids:
    """Return the ids of a configuration, given as plain values.

    files: the checksum of each chip file, which then counts instead of its path.
    """
    by_content = with_chip_files(settings, files.__getitem__) if files else settings
    return Ids(_hash(_of_point(by_content)), _hash(_of_training(by_content)), _hash(_of_population(settings)))


def point_id(config: Config) -> str:
    """Return the id of a point; see `identify`. Raises ConfigError where a chip file cannot be read."""
    return _ids(config).point


def training_id(config: Config) -> str:
    """Return the id of a training; see `identify`. Raises ConfigError where a chip file cannot be read."""
    return _ids(config).training


def shape_id(config: Config) -> str:
    """Return the id of the shape of a population; see `identify`."""
    return identify(msgspec.to_builtins(config)).shape


def _ids(config: Config) -> Ids:
    settings = msgspec.to_builtins(config)
    return identify(settings, checksums(chip_files(settings)))


def shared_settings(config: Config) -> dict[str, Any]:
    """Return the settings, by dotted key, that all networks of a population have in common."""
    return _of_population(msgspec.to_builtins(config))


def _of_point(settings: Tree) -> Tree:
    """Select the settings that can change the numbers."""
    selected = {name: value for name, value in settings.items() if name != "cluster"}
    selected["data"] = {name: value for name, value in settings["data"].items() if name != "folder"}
    selected["substrate"] = {name: value for name, value in settings["substrate"].items() if value is not None}
    return selected


def _of_training(settings: Tree) -> Tree:
    """Select the settings that can change the trained weights."""
    selected = {name: value for name, value in _of_point(settings).items() if name != "evaluation"}
    ignored = {"keep"}
    if not settings["training"]["perturbed"]:  # in ideal simulation
        ignored |= {"backward"}
        del selected["substrate"]
        selected["seed"] = {name: value for name, value in settings["seed"].items() if name not in ("chip", "trial")}
    selected["training"] = {name: value for name, value in settings["training"].items() if name not in ignored}
    return selected


def _of_population(settings: Tree) -> dict[str, Any]:
    """Select the settings, by dotted key, that no network of a population may have its own value of."""
    named = leaves({name: value for name, value in settings.items() if name != "cluster"})
    return {key: value for key, value in named if not key.startswith(PER_NETWORK)}


def _hash(settings: Tree) -> str:
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()[:12]
