"""Composition of checked configurations from the yaml files of `conf/` and overrides.

    compose(["experiment=mnist_16x16", "seed.init=3"])  ->  Config
    expand(["seed.init=range(10)"])                     ->  ten points, each with its label
    sources(["seed.init=3"])["seed.init"]               ->  "command line"

Hydra composes, the schema checks. A `ConfigError` has a line for each mistake.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from ttfsrun.config.added import with_former_values
from ttfsrun.config.cluster import Debug, Local, Slurm
from ttfsrun.config.conditions import mistakes_in_conditions, with_frozen_conditions
from ttfsrun.config.conf_folder import ConfFolder, brief_message, closed
from ttfsrun.config.diagnostics import Mistake
from ttfsrun.config.dotted_keys import ABSENT, Origins, Tree, assign, deep_copy, leaves, lookup
from ttfsrun.config.fast_path import REFERENCE, NotPlain, Template
from ttfsrun.config.point_mistakes import MAX_FAILED_POINTS, summarise
from ttfsrun.config.schema import Config, config_of
from ttfsrun.errors import ConfigError

T = TypeVar("T")

__all__ = ["Composer", "ConfigError", "Point", "compose", "conf_dir", "expand", "revise", "sources"]

COMMAND_LINE = "command line"
MAX_LISTED = 20  # mistakes in one message about a grid
SCHEMA = "ttfsrun/config/schema.py"


@dataclass(frozen=True)
class Point:
    """One of the configurations that overrides describe.

    label: the overrides that distinguish it from the others, with commas between. overrides: all of them.
    """

    config: Config
    label: str
    overrides: tuple[str, ...]


def conf_dir() -> Path:
    """Return the folder of the yaml files: inside the installed package, or at the top of a checkout.

    Raises ConfigError where there is neither.
    """
    package = Path(__file__).resolve().parents[1]
    folders = (package / "conf", package.parent / "conf")
    for folder in folders:
        if (folder / "config.yaml").is_file():
            return folder
    raise ConfigError(f"config.yaml: found neither in {folders[0]} nor in {folders[1]}; install ttfsrun again")


def compose(overrides: Sequence[str], conf: Path | None = None) -> Config:
    """Return the one configuration that the overrides describe.

    Raises ConfigError where they describe several, or one with mistakes.
    """
    points = expand(overrides, conf)
    if len(points) > 1:
        raise ConfigError(
            f"{points[0].label}, ...: {len(points)} configurations, but only one is allowed; do not sweep"
        )
    return points[0].config


def expand(overrides: Sequence[str], conf: Path | None = None) -> list[Point]:
    """Return all configurations that the overrides describe.

    Swept values (`seed.init=0,1`) are combined with each other; the last override varies fastest.
    Raises ConfigError where a configuration has mistakes.
    """
    return Composer(conf or conf_dir()).expand(overrides)


def sources(overrides: Sequence[str], conf: Path | None = None) -> dict[str, str]:
    """Return the origin of each setting of the one configuration; see `Composer.sources`."""
    composer = Composer(conf or conf_dir())
    (point,) = composer.expand(overrides)
    return composer.sources(point)


def revise(settings: Tree, overrides: Sequence[str], conf: Path | None = None) -> Config:
    """Return a stored configuration under overrides; see `Composer.revise`."""
    return Composer(conf or conf_dir()).revise(settings, overrides)


def revisions(settings: Tree, overrides: Sequence[str], conf: Path | None = None) -> list[tuple[Config, str]]:
    """Return a stored configuration under each combination of swept overrides, with its label."""
    composer = Composer(conf or conf_dir())
    return [(composer.revise(settings, combination), label) for combination, label in composer.combinations(overrides)]


class Composer:
    """Composer of configurations from one folder of yaml files, which are read once for each choice of groups."""

    def __init__(self, conf: Path) -> None:
        self.files = ConfFolder(conf)
        self._merged: dict[tuple[str, ...], tuple[DictConfig, Template]] = {}
        self._layers: dict[tuple[str, ...], list[tuple[str, Tree]]] = {}

    def expand(self, overrides: Sequence[str]) -> list[Point]:
        """Return the points that the overrides describe; see `expand`."""
        return [Point(self._config(point), label, point) for point, label in self.combinations(overrides)]

    def compose_all(self, points: Sequence[tuple[str, ...]]) -> list[Config]:
        """Return the configuration of each point; see `configs`."""
        return list(self.configs(points))

    def configs(self, points: Sequence[tuple[str, ...]]) -> Iterator[Config]:
        """Yield the configuration of each point, given by its overrides; from the first mistake on, yield no more.

        At the end, raises ConfigError with the mistakes of all points, but stops at MAX_FAILED_POINTS of them.
        """
        different = set(itertools.chain.from_iterable(points))
        unknown = {override: self._unknown_overrides([override]) for override in different}
        points_by_mistake, n_failed = dict[str, list[tuple[str, ...]]](), 0
        for point in points:
            lines: Sequence[str] = [mistake.line for override in point for mistake in unknown[override]]
            if not lines:
                try:
                    config = self._config(point)
                except ConfigError as error:
                    lines = error.lines
                else:
                    if not n_failed:
                        yield config
            for line in lines:
                points_by_mistake.setdefault(line, []).append(point)
            n_failed += bool(lines)
            if n_failed == MAX_FAILED_POINTS:
                break
        if points_by_mistake:
            raise ConfigError(*summarise(points_by_mistake, points), at_most=MAX_LISTED)

    def combinations(self, overrides: Sequence[str]) -> list[tuple[tuple[str, ...], str]]:
        """Return the overrides of each point with its label: those of them that vary between points."""
        points = self._expanded(overrides)
        varying = [column for column in range(len(points[0])) if len({point[column] for point in points}) > 1]
        return [(point, ",".join(point[column] for column in varying)) for point in points]

    def sources(self, point: Point) -> dict[str, str]:
        """Return the origin of each dotted key: a yaml file (`conf/seed.yaml`) or `command line`.

        For a value that refers to another, the origin quotes the reference: `conf/config.yaml: ${seed.init}`.
        """
        origins = self._origins(point.overrides)
        settings = msgspec.to_builtins(point.config)
        return {key: origins.find(key) or SCHEMA for key, _ in leaves(settings)}

    def revise(self, settings: Tree, overrides: Sequence[str]) -> Config:
        """Return the configuration that results from applying overrides to stored settings.

        Choices of groups are applied first, then values. `cluster` is always that of `conf/`: where the
        configuration ran before does not matter. Raises ConfigError where the result has mistakes.
        """
        choices, values = self._sorted(overrides)
        tree = deep_copy(with_former_values(settings)) | {"cluster": deep_copy(lookup(self.settings([]), "cluster"))}
        for choice in choices:
            self._choose(tree, choice)
        return self._checked(self.files.applied(closed(OmegaConf.create(tree)), values), overrides)

    def cluster(self, stored: Tree, overrides: Sequence[str]) -> Local | Debug | Slurm:
        """Return the stored settings of a cluster under overrides. Raises ConfigError for other overrides."""
        others = [override for override in overrides if not override.lstrip("+~").startswith(("cluster=", "cluster."))]
        if others:
            raise ConfigError(f"{others[0]}: a sweep keeps its points; only cluster= and cluster.KEY= can be set here")
        choices, values = self._sorted(overrides)
        known = self.preset("cluster", stored["name"])  # an older version may have stored fewer settings
        tree = deep_copy(self.settings([])) | {"cluster": deep_copy(known | stored)}
        for choice in choices:
            self._choose(tree, choice)
        return self._checked(self.files.applied(closed(OmegaConf.create(tree)), values), overrides).cluster

    def _choose(self, tree: Tree, choice: Override) -> None:
        """Replace the settings of a group by those of another choice. Raises ConfigError for an experiment."""
        group, name = choice.key_or_group, str(choice.value())
        key = group.replace("/", ".")
        if lookup(tree, key) is not ABSENT:
            assign(tree, key, self.preset(group, name))
        elif group == "experiment":
            raise ConfigError(
                f"{choice.input_line}: the experiment of a stored network cannot change; set single settings"
            )
        else:  # settings of several groups, as in conf/protocol
            for file, content in _once(self._layers, [choice], self.files.layers):
                if file.startswith(f"conf/{group}/"):
                    for setting, value in leaves(content):
                        assign(tree, setting, value)

    def preset(self, group: str, choice: str) -> Tree:
        """Return the settings of a choice of a group, as plain values."""
        settings: Tree = deep_copy(lookup(self.settings([f"{group}={choice}"]), group.replace("/", ".")))
        return settings

    def settings(self, overrides: Sequence[str]) -> Tree:
        """Return the settings of the yaml files under overrides, resolved but not checked.

        The caller must not change them: other points may share groups of them.
        """
        choices, values = self._sorted(overrides)
        node, template = _once(self._merged, choices, self._templates)
        try:
            return template.with_values(values)
        except NotPlain:
            return self.files.applied(node, values)

    def _templates(self, choices: Sequence[Override]) -> tuple[DictConfig, Template]:
        node, tree = self.files.merged(choices)
        return node, Template(tree)

    def _expanded(self, overrides: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the overrides of each point. In a sweep, the last override of a key counts, as in Hydra."""
        parsed = [self.files.parse(override) for override in overrides]
        if not any(override.is_sweep_override() for override in parsed):
            return [tuple(overrides)]
        values_by_key = {override.get_key_element(): self.files.swept_values(override) for override in parsed}
        return list(itertools.product(*values_by_key.values()))

    def _config(self, overrides: Sequence[str]) -> Config:
        return self._checked(self.settings(overrides), overrides)

    def _checked(self, settings: Tree, overrides: Sequence[str]) -> Config:
        """Convert resolved settings to a configuration. Raises ConfigError, which names an override at fault."""
        settings = with_frozen_conditions(settings, self.files.groups["substrate"], self.preset)
        lines = []
        try:
            config = config_of(settings)
        except msgspec.ValidationError as error:
            mistakes = self._unknown_overrides(overrides) or self.files.diagnostics.mistakes(settings)
            lines = self._with_origins(mistakes, overrides) or [brief_message(error)]
        lines += mistakes_in_conditions(settings, self.files.diagnostics)
        if lines:
            raise ConfigError(*lines)
        return config

    def _with_origins(self, mistakes: Sequence[Mistake], overrides: Sequence[str]) -> list[str]:
        """Return a line for each mistake, with the file at fault; none for a reference to another wrong value."""
        origins, lines = self._origins(overrides), []
        wrong_keys = {mistake.key for mistake in mistakes}
        for mistake in mistakes:
            origin = origins.find(mistake.key.partition("[")[0]) or COMMAND_LINE
            reference = REFERENCE.search(origin)
            if reference is None or reference[1] not in wrong_keys:
                lines.append(mistake.line + ("" if origin.startswith(COMMAND_LINE) else f" (from {origin})"))
        return lines

    def _origins(self, overrides: Sequence[str]) -> Origins:
        """Return the file, or the command line, that sets the final value of each key."""
        choices, values = self._sorted(overrides)
        origins = Origins()
        for name, content in _once(self._layers, choices, self.files.layers):
            origins.merge("", content, name)
        for override in values:
            if override.is_delete():
                origins.delete(override.key_or_group)
            else:
                origins.merge(override.key_or_group, override.value(), COMMAND_LINE)
        return origins

    def _unknown_overrides(self, overrides: Sequence[str]) -> list[Mistake]:
        """Return a mistake for each override whose key is not in the schema."""
        diagnostics = self.files.diagnostics
        return [
            diagnostics.unknown_key(override.key_or_group, override.value())
            for override in self._sorted(overrides)[1]
            if not diagnostics.knows(override.key_or_group)
        ]

    def _sorted(self, overrides: Sequence[str]) -> tuple[list[Override], list[Override]]:
        """Separate overrides that choose a yaml file from overrides that set a value."""
        parsed = [self.files.parse(override) for override in overrides]
        choices = [override for override in parsed if self.files.is_choice(override)]
        return choices, [override for override in parsed if not self.files.is_choice(override)]


def _once(cache: dict[tuple[str, ...], T], choices: Sequence[Override], make: Callable[[Sequence[Override]], T]) -> T:
    """Return what `make` makes of the choices, from the cache where it is there."""
    key = tuple(str(override.input_line) for override in choices)
    if key not in cache:
        cache[key] = make(choices)
    return cache[key]
