"""The folder `conf/` as Hydra sees it: its groups, the order of its files, its grammar of overrides.

All that knows Hydra is here. Its `compose` is taken apart because two things are needed that it does not
offer: the files in the order in which they are merged, and one merge for many points. What is left out are
Hydra's own settings (logging, job folders) and its search for plugins. Mistakes become one line.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.structured_config_source import StructuredConfigSource
from hydra._internal.defaults_list import create_defaults_list
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from ttfsrun.config.diagnostics import Diagnostics, show
from ttfsrun.config.dotted_keys import ABSENT, Tree, assign, leaves, lookup
from ttfsrun.config.introspection import NAMED
from ttfsrun.config.override_syntax import literal
from ttfsrun.errors import ConfigError

ROOT = "config"  # conf/config.yaml
SWEEPS = "sweep"  # conf/sweep holds no settings but grids of points: see ttfsrun.sweep
UNREADABLE = (HydraException, OmegaConfBaseException, YAMLError, OSError, TypeError, ValueError, AssertionError)


def brief_message(error: Exception) -> str:
    """The text of somebody else's exception without its line breaks and its advice on Hydra."""
    return " ".join(re.split(r"\nConfig search path:|\nSee https://|\n *full_key:", str(error))[0].split())


def closed(node: DictConfig) -> DictConfig:
    """The same node, to which no override can add a key by accident, but for names that the user gives."""
    OmegaConf.set_struct(node, True)
    for key in NAMED:
        named = OmegaConf.select(node, key)
        if isinstance(named, DictConfig):
            OmegaConf.set_struct(named, False)
    return node


def _plain(node: Any, resolve: bool = False) -> Tree:
    """Hydra's node as dictionaries, interpolations as they are or resolved; then a value may not be `???`."""
    return cast("Tree", OmegaConf.to_container(node, resolve=resolve, throw_on_missing=resolve))


class ConfFolder:
    """One folder of yaml files, read anew for each choice of groups."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parsed: dict[str, Override] = {}

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """Each folder of settings below `conf/` with the names of its yaml files."""
        groups: dict[str, list[str]] = {}
        for path in sorted(self.folder.rglob("*.yaml")):
            if path.parent not in (self.folder, self.folder / SWEEPS):
                groups.setdefault(path.parent.relative_to(self.folder).as_posix(), []).append(path.stem)
        return groups

    @cached_property
    def sweeps(self) -> list[str]:
        """The names of the grids of points."""
        return sorted(path.stem for path in (self.folder / SWEEPS).glob("*.yaml"))

    @cached_property
    def complaints(self) -> Diagnostics:
        return Diagnostics(self.groups)

    def parse(self, word: str) -> Override:
        """An override of the command line; each different one is parsed once."""
        if word not in self._parsed:
            try:
                override = self._parser.parse_override(word)
            except HydraException as error:
                raise ConfigError(self.complaints.unreadable(word, brief_message(error))) from None
            override.config_loader = self._loader  # glob(...) asks it for the choices of a group
            if not override.key_or_group:
                raise ConfigError(self.complaints.unreadable(word, ""))
            self._parsed[word] = override
        return self._parsed[word]

    def word(self, key: str, value: Any) -> str:
        """The override that gives a key this plain value; it need not be parsed."""
        word = f"{key}={literal(value)}"
        if word not in self._parsed:
            self._parsed[word] = replace(self.parse(f"{key}=0"), _value=value, input_line=word)
        return word

    def is_choice(self, override: Override) -> bool:
        """Whether an override picks a yaml file instead of setting a value."""
        key = override.key_or_group
        value_of_group = key in self.groups and isinstance(override.value(), dict)
        return ("/" in key or key in self.groups or override.package is not None) and not value_of_group

    def merged(self, choices: Sequence[Override]) -> tuple[DictConfig, Tree]:
        """The yaml files under these group choices, merged, interpolations as they are: for Hydra, and plain."""
        repository, defaults = self._defaults(choices)
        try:
            node = self._loader._compose_config_from_defaults_list(defaults, repository)
        except UNREADABLE as error:
            raise ConfigError(brief_message(error)) from None
        return closed(node), _plain(node)

    def layers(self, choices: Sequence[Override]) -> list[tuple[str, Tree]]:
        """The same files one by one, the last wins: name from `conf/` on, and what it sets."""
        repository, defaults = self._defaults(choices)
        contents = [self._loader._load_single_config(default=default, repo=repository).config for default in defaults]
        trees = [_plain(content) for content in contents]
        return [(f"conf/{default.config_path}.yaml", tree) for default, tree in zip(defaults, trees, strict=True)]

    def applied(self, merged: DictConfig, overrides: Iterable[Override]) -> Tree:
        """The settings after these values are set one after the other, interpolations resolved."""
        node = copy.deepcopy(merged)
        for override in overrides:
            try:
                self._loader._apply_overrides_to_config([override], node)
            except UNREADABLE as error:
                raise ConfigError(self._not_applied(override, node, error)) from None
        try:
            return _plain(node, resolve=True)
        except InterpolationKeyError as error:
            key = str(error.full_key)
            value = lookup(_plain(node), key)
            raise ConfigError(f"{key}={show(value)}: {self._no_target(error)}") from None
        except MissingMandatoryValue as error:
            raise ConfigError(f"{error.full_key}: has no value (???); set it with {error.full_key}=VALUE") from None
        except (OmegaConfBaseException, RecursionError) as error:
            key = getattr(error, "full_key", None) or "an interpolation"
            reason = "refers to itself" if isinstance(error, RecursionError) else brief_message(error)
            raise ConfigError(f"{key}: {reason}") from None

    def _no_target(self, error: InterpolationKeyError) -> str:
        wanted = re.findall(r"'([^']*)'", str(error))
        if not wanted:
            return brief_message(error)
        if self.complaints.knows(wanted[0]):
            return f"refers to {wanted[0]}, which is missing"
        return f"refers to {self.complaints.unknown_key(wanted[0]).line}"

    def _not_applied(self, override: Override, node: DictConfig, error: Exception) -> str:
        key, value, line = override.key_or_group, override.value(), str(override.input_line)
        tree = _plain(node)
        exists = lookup(tree, key) is not ABSENT
        if not self.complaints.knows(key) or (override.is_delete() and not exists):
            return self.complaints.unknown_key(key, value).line
        if exists and not isinstance(value, dict):
            return (
                f"{line}: exists already; write {line[1:]}" if override.is_add() else f"{line}: {brief_message(error)}"
            )
        for name, entry in leaves({key: value}):  # as if it could be added: then the schema says why it cannot
            assign(tree, name, entry)
        mistakes = self.complaints.mistakes(tree)
        return mistakes[0].line if mistakes else f"{line}: no yaml file sets this key; to add it, write +{line}"

    def _defaults(self, choices: Sequence[Override]) -> tuple[CachingConfigRepository, list[ResultDefault]]:
        for override in choices:
            self._check_choice(override)
        repository = CachingConfigRepository(self._loader.repository)  # merging alters what it holds
        try:
            found = create_defaults_list(repository, ROOT, list(choices), prepend_hydra=False, skip_missing=False)
        except UNREADABLE as error:
            added = [o for o in choices if o.is_add() and "Multiple values" in str(error)]
            reason = f"{added[0].input_line}: chosen already; leave the + away" if added else brief_message(error)
            raise ConfigError(reason) from None
        return repository, found.defaults

    def _check_choice(self, override: Override) -> None:
        group, value, line = override.key_or_group, override.value(), override.input_line
        if group not in self.groups:
            raise ConfigError(self.complaints.unknown_group(group, value))
        if override.package is not None:
            raise ConfigError(f"{line}: a group keeps its place, without @; write {group}={show(value)}")
        if override.is_force_add():
            raise ConfigError(f"{line}: a group is chosen without ++; write {group}={show(value)}")
        for choice in value if isinstance(value, list) else [value]:
            if choice not in self.groups[group] and not override.is_delete():
                raise ConfigError(self.complaints.wrong_choice(group, choice))

    @cached_property
    def _parser(self) -> OverridesParser:
        return OverridesParser.create(self._loader)

    @cached_property
    def _loader(self) -> ConfigLoaderImpl:
        version.setbase("1.3")
        for source in (FileConfigSource, StructuredConfigSource):
            SourcesRegistry.instance().register(source)
        path = ConfigSearchPathImpl()
        path.append("main", f"file://{self.folder}")
        path.append("schema", "structured://")
        return ConfigLoaderImpl(path)
