"""Ids: hashes of the settings that make two points, two trainings or two shapes of a population the same.

None depends on paths, on the cluster, or on the number of threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from ttfsrun.config.added import without_former_values
from ttfsrun.config.dotted_keys import Tree, leaves
from ttfsrun.config.paths import checksums, named_files, with_named_files
from ttfsrun.config.schema import Config

#: Settings of which each network of a population may have its own value.
PER_NETWORK = (
    "seed",
    "evaluation",
    "data.augmentation",
    "network.delay_function.shift",
    "network.delay_function.scale",
    "network.delay_function.smallest",
    "network.delay_function.largest",
    "network.neuron",
    "network.init",
    "substrate",
    "training.backward",
    "training.bumping.scheduled",
    "training.optimizer.delay_learning_rate",
    "training.optimizer.learning_rate",
    "training.perturbed",
    "training.schedule",
    "training.start",
    "training.input_noise",
)
PARTS = tuple(name for name in Config.__struct_fields__ if name != "cluster")
SORTED_PARTS = sorted(range(len(PARTS)), key=PARTS.__getitem__)
#: Settings of each part that cannot change the numbers; the weights; the weights of a training in ideal simulation.
IGNORED_BY_POINTS = {"data": ("folder",)}
IGNORED_BY_TRAININGS = {"training": ("keep",)}
IGNORED_BY_IDEAL_TRAININGS = {"training": ("backward",), "seed": ("chip", "trial")}
NO_FILES: Mapping[str, str] = {}


class Ids(NamedTuple):
    """The ids of one configuration.

    point: hash of all settings that can change the numbers. training: of those that the trained weights depend on;
    points that share it are trained once. shape: of those that the networks of one population have in common.
    """

    point: str
    training: str
    shape: str


@dataclass(frozen=True, eq=False)
class Part:
    """One group of settings of a configuration (`data`, `seed`, ...): what ids depend on is encoded once.

    Equal parts of many configurations should be one object: see `SharedParts`.
    """

    name: str
    value: Any  # plain values

    @cached_property
    def leaves(self) -> dict[str, Any]:
        """The settings by dotted key, which begins with the name of the part."""
        return dict(leaves({self.name: self.value}))

    @cached_property
    def named_files(self) -> dict[str, str]:
        """The files that the part names, each with its setting."""
        return named_files({self.name: self.value})

    def with_files(self, rename: Callable[[str], str]) -> Part:
        """Return the part with each file that it names renamed."""
        return Part(self.name, with_named_files({self.name: self.value}, rename)[self.name])

    @cached_property
    def of_point(self) -> bytes:
        """The settings that can change the numbers, as JSON."""
        return self._encoded(_without(self._counting, IGNORED_BY_POINTS.get(self.name, ())))

    @cached_property
    def of_training(self) -> bytes:
        """The settings that can change the weights of a training on the substrate, as JSON; none of the evaluation."""
        return b"" if self.name == "evaluation" else self._encoded(_without(self._counting, self._ignored_by_trainings))

    @cached_property
    def of_ideal_training(self) -> bytes:
        """The settings that can change the weights of a training in ideal simulation, as JSON."""
        if self.name in ("evaluation", "substrate"):
            return b""
        ignored = IGNORED_BY_IDEAL_TRAININGS.get(self.name, ())
        return self._encoded(_without(self._counting, (*self._ignored_by_trainings, *ignored)))

    @cached_property
    def of_population(self) -> bytes:
        """The settings that no network of a population may have its own value of, as JSON."""
        return msgspec.json.encode(_shared(dict(leaves({self.name: self._counting}))), order="sorted")[1:-1]

    @property
    def shared_settings(self) -> dict[str, Any]:
        """The settings, by dotted key, that no network of a population may have its own value of."""
        return _shared(self.leaves)

    @cached_property
    def _counting(self) -> Tree:
        """The settings that ids depend on: without those that were added to the schema, at their former values."""
        counting: Tree = without_former_values({self.name: self.value})[self.name]
        return counting

    @property
    def _ignored_by_trainings(self) -> tuple[str, ...]:
        return (*IGNORED_BY_POINTS.get(self.name, ()), *IGNORED_BY_TRAININGS.get(self.name, ()))

    def _encoded(self, value: Any) -> bytes:
        if self.name == "substrate":
            value = {name: part for name, part in value.items() if part is not None}
        return b'"%s":%s' % (self.name.encode(), msgspec.json.encode(value, order="sorted"))


class SharedParts:
    """Parts of many configurations, of which each different one is kept once."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, bytes], Part] = {}

    def of(self, name: str, encoded: bytes) -> Part:
        """Return the part with this content, given as JSON."""
        part = self._parts.get((name, encoded))
        if part is None:
            part = self._parts[name, encoded] = Part(name, msgspec.json.decode(encoded))
        return part

    def of_config(self, config: Config) -> list[Part]:
        """Return the parts of a configuration, without `cluster`, in their order."""
        return [self.of(name, msgspec.json.encode(getattr(config, name))) for name in PARTS]


def identify(settings: Tree, files: Mapping[str, str] = NO_FILES) -> Ids:
    """Return the ids of a configuration, given as plain values.

    files: the checksum of each chip file, which then counts instead of its path.
    """
    by_content = with_named_files(settings, files.__getitem__) if files else settings
    return identify_parts([Part(name, by_content[name]) for name in PARTS])


def identify_parts(parts: Sequence[Part]) -> Ids:
    """Return the ids of a configuration, given by its parts in the order of PARTS; chip files by their checksums."""
    is_ideal = not parts[PARTS.index("training")].value["perturbed"]
    ordered = [parts[number] for number in SORTED_PARTS]
    return Ids(
        _hash([part.of_point for part in ordered]),
        _hash([part.of_ideal_training if is_ideal else part.of_training for part in ordered]),
        _hash([part.of_population for part in ordered]),
    )


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
    return identify(settings, checksums(named_files(settings)))


def shared_settings(config: Config) -> dict[str, Any]:
    """Return the settings, by dotted key, that all networks of a population have in common."""
    settings = msgspec.to_builtins(config)
    return {key: value for name in PARTS for key, value in Part(name, settings[name]).shared_settings.items()}


def _shared(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if not key.startswith(PER_NETWORK)}


def _without(settings: Tree, ignored: Sequence[str]) -> Tree:
    return {name: value for name, value in settings.items() if name not in ignored} if ignored else settings


def _hash(parts: Sequence[bytes]) -> str:
    """Return the hash of settings, given as the members of an object of JSON with sorted keys."""
    return hashlib.sha256(b"{%s}" % b",".join(filter(None, parts))).hexdigest()[:12]
