"""What makes two points the same, two trainings the same, and two networks fit for one population.

Each is a hash of settings. None knows paths, or where and with how many threads something runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ttfsrun.config.dotted_keys import Tree, leaves
from ttfsrun.config.schema import Config

#: Settings that each network of a population may have its own value of.
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
CHIP_FILE = "chip.file"
NO_FILES: Mapping[str, str] = {}


def point_id(config: Config, files: Mapping[str, str] = NO_FILES) -> str:
    """Hash of all settings that can change the numbers.

    files: the checksum of each chip file, which then counts instead of its path.
    """
    return _hash(_of_point(_with_checksums(msgspec.to_builtins(config), files)))


def training_id(config: Config, files: Mapping[str, str] = NO_FILES) -> str:
    """Hash of what the trained weights depend on: points that share it are trained once."""
    return _hash(_of_training(_with_checksums(msgspec.to_builtins(config), files)))


def shape_id(config: Config) -> str:
    """Hash of what the networks of one population have in common."""
    return _hash(shared_settings(config))


def shared_settings(config: Config) -> dict[str, Any]:
    """The settings, by dotted key, that all networks of a population have in common."""
    settings = {name: value for name, value in msgspec.to_builtins(config).items() if name != "cluster"}
    return {key: value for key, value in leaves(settings) if not key.startswith(PER_NETWORK)}


def chip_files(config: Config) -> list[str]:
    """The chip files that a configuration and its conditions name."""
    named = [value for key, value in leaves(msgspec.to_builtins(config)) if key.endswith(CHIP_FILE)]
    files = [file for value in named for file in (value if isinstance(value, list) else [value])]
    return list(dict.fromkeys(file for file in files if file is not None))


def with_chip_files(settings: Tree, name: Callable[[str], str], key: str = "") -> Tree:
    """The settings with another name for each chip file."""

    def renamed(inner: str, value: Any) -> Any:
        if isinstance(value, dict):
            return with_chip_files(value, name, inner)
        if value is None or not inner.endswith(CHIP_FILE):
            return value
        return [file and name(file) for file in value] if isinstance(value, list) else name(value)

    return {child: renamed(f"{key}.{child}", value) for child, value in settings.items()}


def _with_checksums(settings: Tree, files: Mapping[str, str]) -> Tree:
    return with_chip_files(settings, files.__getitem__) if files else settings


def _of_point(settings: Tree) -> Tree:
    """Those that can change the numbers."""
    told = {name: value for name, value in settings.items() if name != "cluster"}
    told["data"] = {name: value for name, value in settings["data"].items() if name != "folder"}
    told["substrate"] = {name: value for name, value in settings["substrate"].items() if value is not None}
    return told


def _of_training(settings: Tree) -> Tree:
    """Those that can change the trained weights."""
    told = {name: value for name, value in _of_point(settings).items() if name != "evaluation"}
    without = {"keep"}
    if not settings["training"]["perturbed"]:  # in ideal simulation
        without |= {"backward"}
        del told["substrate"]
        told["seed"] = {name: value for name, value in settings["seed"].items() if name not in ("chip", "trial")}
    told["training"] = {name: value for name, value in settings["training"].items() if name not in without}
    return told


def _hash(settings: Tree) -> str:
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()[:12]
