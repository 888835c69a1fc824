"""Overrides in, checked configurations out: `conf/` composed by Hydra, judged by the schema.

    compose(["experiment=mnist_16x16", "seed.init=3"])  ->  Config
    expand(["seed.init=range(10)"])                     ->  ten points, each with its label
    sources(["seed.init=3"])["seed.init"]               ->  "command line"

A `ConfigError` has a line for each mistake.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from ttfsrun.config.cluster import Debug, Local, Slurm
from ttfsrun.config.conditions import mistakes_in_conditions
from ttfsrun.config.conf_folder import ConfFolder, brief_message, closed
from ttfsrun.config.diagnostics import Mistake
from ttfsrun.config.dotted_keys import ABSENT, Origins, Tree, assign, deep_copy, leaves, lookup
from ttfsrun.config.fast_path import REFERENCE, NotPlain, with_plain_values
from ttfsrun.config.schema import Config
from ttfsrun.errors import ConfigError

T = TypeVar("T")

__all__ = ["Composer", "ConfigError", "Point", "compose", "conf_dir", "expand", "revise", "sources"]

COMMAND_LINE = "command line"
MAX_LISTED = 20  # mistakes of a grid that one message lists
SCHEMA = "ttfsrun/config/schema.py"
MAX_FAILED_POINTS = 1000  # points with mistakes; it takes milliseconds to find the words for each


@dataclass(frozen=True)
class Point:
    """One configuration of a request, what tells it from the others, and the overrides that make it."""

    config: Config
    label: str
    overrides: tuple[str, ...]


def conf_dir() -> Path:
    """The folder of the yaml files: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    folders = (package / "conf", package.parent / "conf")
    for folder in folders:
        if (folder / "config.yaml").is_file():
            return folder
    raise ConfigError(f"config.yaml: found neither in {folders[0]} nor in {folders[1]}; install ttfsrun again")


def compose(overrides: Sequence[str], conf: Path | None = None) -> Config:
    """The one configuration that the overrides describe."""
    points = expand(overrides, conf)
    if len(points) > 1:
        raise ConfigError(f"{points[0].label}, ...: {len(points)} configurations where one is wanted; do not sweep")
    return points[0].config


def expand(overrides: Sequence[str], conf: Path | None = None) -> list[Point]:
    """All configurations that the overrides describe; sweeps (`seed.init=0,1`) are multiplied out, the last fastest."""
    return Composer(conf or conf_dir()).expand(overrides)


def sources(overrides: Sequence[str], conf: Path | None = None) -> dict[str, str]:
    """Where each setting of the one configuration comes from; see `Composer.sources`."""
    composer = Composer(conf or conf_dir())
    (point,) = composer.expand(overrides)
    return composer.sources(point)


def revise(settings: Tree, overrides: Sequence[str], conf: Path | None = None) -> Config:
    """A stored configuration with other settings: groups anew from their yaml files, then values."""
    return Composer(conf or conf_dir()).revise(settings, overrides)


def revisions(settings: Tree, overrides: Sequence[str], conf: Path | None = None) -> list[tuple[Config, str]]:
    """A stored configuration under each combination of swept overrides, with what tells it from the others."""
    composer = Composer(conf or conf_dir())
    return [(composer.revise(settings, words), label) for words, label in composer.combinations(overrides)]


class Composer:
    """Reads the yaml files once per choice of groups; a value costs only itself."""

    def __init__(self, conf: Path) -> None:
        self.files = ConfFolder(conf)
        self._merged: dict[tuple[str, ...], tuple[DictConfig, Tree]] = {}
        self._layers: dict[tuple[str, ...], list[tuple[str, Tree]]] = {}

    def expand(self, overrides: Sequence[str]) -> list[Point]:
        return [Point(self._config(words), label, words) for words, label in self.combinations(overrides)]

    def compose_all(self, points: Sequence[tuple[str, ...]]) -> list[Config]:
        """The configuration of each point, from its overrides; what is wrong with any of them is told at once."""
        unknown = {word: self._unknown_overrides([word]) for word in set(itertools.chain(*points))}
        configs, wrong, failed = [], dict[str, list[tuple[str, ...]]](), 0
        for words in points:
            lines: Sequence[str] = [mistake.line for word in words for mistake in unknown[word]]
            if not lines:
                try:
                    configs.append(self._config(words))
                except ConfigError as error:
                    lines = error.lines
            for line in lines:
                wrong.setdefault(line, []).append(words)
            failed += bool(lines)
            if failed == MAX_FAILED_POINTS:
                break
        if wrong:
            common = set.intersection(*map(set, points))
            told = (line + _where(found, len(points), common) for line, found in wrong.items())
            raise ConfigError(*told, at_most=MAX_LISTED)
        return configs

    def combinations(self, overrides: Sequence[str]) -> list[tuple[tuple[str, ...], str]]:
        """The overrides of each point, and those of them that tell it from the others."""
        every = self._expanded(overrides)
        varying = [column for column in range(len(every[0])) if len({words[column] for words in every}) > 1]
        return [(words, ",".join(words[i] for i in varying)) for words in every]

    def sources(self, point: Point) -> dict[str, str]:
        """The origin of each dotted key: a yaml file (`conf/seed.yaml`) or `command line`.

        A value that follows another one also quotes the reference: `conf/config.yaml: ${seed.init}`.
        """
        origins = self._origins(point.overrides)
        settings = msgspec.to_builtins(point.config)
        return {key: origins.find(key) or SCHEMA for key, _ in leaves(settings)}

    def revise(self, settings: Tree, overrides: Sequence[str]) -> Config:
        """A configuration of plain values with overrides applied to it instead of to the yaml files.

        Where it once ran says nothing of where it runs now: `cluster` is always that of `conf/`.
        """
        choices, values = self._sorted(overrides)
        tree = deep_copy(settings) | {"cluster": deep_copy(lookup(self.settings([]), "cluster"))}
        for choice in choices:
            self._choose(tree, choice)
        return self._checked(self.files.applied(closed(OmegaConf.create(tree)), values), overrides)

    def cluster(self, stored: Tree, overrides: Sequence[str]) -> Local | Debug | Slurm:
        """Stored settings of a cluster under overrides, which are of nothing else."""
        foreign = [word for word in overrides if not word.lstrip("+~").startswith(("cluster=", "cluster."))]
        if foreign:
            raise ConfigError(f"{foreign[0]}: a sweep keeps its points; only cluster= and cluster.KEY= can be set here")
        choices, values = self._sorted(overrides)
        tree = deep_copy(self.settings([])) | {"cluster": deep_copy(stored)}
        for choice in choices:
            self._choose(tree, choice)
        return self._checked(self.files.applied(closed(OmegaConf.create(tree)), values), overrides).cluster

    def _choose(self, tree: Tree, choice: Override) -> None:
        """Replace a group of stored settings by another choice."""
        group, name = choice.key_or_group, str(choice.value())
        key = group.replace("/", ".")
        if lookup(tree, key) is not ABSENT:
            assign(tree, key, self.preset(group, name))
        elif group == "experiment":
            raise ConfigError(f"{choice.input_line}: a stored network keeps its experiment; set what is to differ")
        else:  # settings of several groups, as in conf/protocol
            for file, content in _once(self._layers, [choice], self.files.layers):
                if file.startswith(f"conf/{group}/"):
                    for setting, value in leaves(content):
                        assign(tree, setting, value)

    def preset(self, group: str, choice: str) -> Tree:
        """The settings of a choice of a group, as plain values."""
        settings: Tree = lookup(self.settings([f"{group}={choice}"]), group.replace("/", "."))
        return settings

    def settings(self, words: Sequence[str]) -> Tree:
        """What the overrides make of the yaml files, resolved but not checked."""
        choices, values = self._sorted(words)
        node, tree = _once(self._merged, choices, self.files.merged)
        try:
            return with_plain_values(tree, values)
        except NotPlain:
            return self.files.applied(node, values)

    def _expanded(self, overrides: Sequence[str]) -> list[tuple[str, ...]]:
        """The overrides of each point. Where something is swept, the last override of a key counts, as in Hydra."""
        parsed = [self.files.parse(word) for word in overrides]
        if not any(override.is_sweep_override() for override in parsed):
            return [tuple(overrides)]
        return list(
            itertools.product(*{override.get_key_element(): swept_values(override) for override in parsed}.values())
        )

    def _config(self, words: Sequence[str]) -> Config:
        return self._checked(self.settings(words), words)

    def _frozen(self, settings: Tree) -> Tree:
        """The settings with the yaml files that conditions name written out, so that they can change no more.

        A file comes first and single settings over it, in whatever order they stand, as on the command line.
        """
        conditions = lookup(settings, "evaluation.conditions")
        if not isinstance(conditions, dict):
            return settings
        for name, changes in conditions.items():
            if isinstance(changes, dict) and changes.get("substrate") in self.files.groups["substrate"]:
                preset = self.preset("substrate", changes["substrate"])
                conditions[name] = {"substrate": preset} | {k: v for k, v in changes.items() if k != "substrate"}
        return settings

    def _checked(self, settings: Tree, words: Sequence[str]) -> Config:
        """The settings as the schema has them; what is wrong with them is said of the words where it comes from one."""
        settings = self._frozen(settings)
        lines = []
        try:
            config = msgspec.convert(settings, Config)
        except msgspec.ValidationError as error:
            mistakes = self._unknown_overrides(words) or self.files.complaints.mistakes(settings)
            lines = self._with_origins(mistakes, words) or [brief_message(error)]
        lines += mistakes_in_conditions(settings, self.files.complaints)
        if lines:
            raise ConfigError(*lines)
        return config

    def _with_origins(self, mistakes: Sequence[Mistake], words: Sequence[str]) -> list[str]:
        """A line for each mistake, with the file that it comes from; none for a value that only follows another one."""
        origins, lines = self._origins(words), []
        wrong = {mistake.key for mistake in mistakes}
        for mistake in mistakes:
            origin = origins.find(mistake.key.partition("[")[0]) or COMMAND_LINE
            followed = REFERENCE.search(origin)
            if followed is None or followed[1] not in wrong:
                lines.append(mistake.line + ("" if origin.startswith(COMMAND_LINE) else f" (from {origin})"))
        return lines

    def _origins(self, words: Sequence[str]) -> Origins:
        """The file, or the command line, that has the last word on each key."""
        choices, values = self._sorted(words)
        origins = Origins()
        for name, content in _once(self._layers, choices, self.files.layers):
            origins.merge("", content, name)
        for override in values:
            if override.is_delete():
                origins.delete(override.key_or_group)
            else:
                origins.merge(override.key_or_group, override.value(), COMMAND_LINE)
        return origins

    def _unknown_overrides(self, words: Sequence[str]) -> list[Mistake]:
        """The overrides whose key stands nowhere: a better complaint than where they ended up."""
        complaints = self.files.complaints
        return [
            complaints.unknown_key(override.key_or_group, override.value())
            for override in self._sorted(words)[1]
            if not complaints.knows(override.key_or_group)
        ]

    def _sorted(self, words: Sequence[str]) -> tuple[list[Override], list[Override]]:
        """Choices of groups, and values."""
        parsed = [self.files.parse(word) for word in words]
        choices = [override for override in parsed if self.files.is_choice(override)]
        return choices, [override for override in parsed if not self.files.is_choice(override)]


def _once(known: dict[tuple[str, ...], T], choices: Sequence[Override], make: Callable[[Sequence[Override]], T]) -> T:
    key = tuple(str(override.input_line) for override in choices)
    if key not in known:
        known[key] = make(choices)
    return known[key]


def swept_values(override: Override) -> list[str]:
    """An override once per value that it sweeps over."""
    line = str(override.input_line)
    if not override.is_sweep_override():
        return [line]
    if not override.is_discrete_sweep():
        raise ConfigError(f"{line}: an interval has no countable values; use range(start,stop,step) or a list a,b,c")
    try:
        values = [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
    except (ArithmeticError, ValueError) as error:
        raise ConfigError(f"{line}: {brief_message(error)}") from None
    if not values:
        raise ConfigError(f"{line}: sweeps over no value at all; give at least one")
    return values


def _where(points: Sequence[tuple[str, ...]], total: int, common: set[str]) -> str:
    """How many of all points are concerned; the first is told by the overrides that are not common to all."""
    if total == 1:
        return ""
    label = ",".join(word for word in points[0] if word not in common)
    if len(points) == 1:
        return f" ({label})"
    if len(points) == total:
        return f" (all {total} points)"
    return f" ({'at least ' * (len(points) == MAX_FAILED_POINTS)}{len(points)} points, first {label})"
