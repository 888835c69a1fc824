"""Interface to Hydra: the groups and files of `conf/`, and the grammar of overrides.

Only this module and `value_functions` use Hydra's internals. It needs two things that Hydra's `compose` does not
offer: the files in the order in which they are merged, and one merge for many points. It leaves out Hydra's own
settings (logging, job folders) and its search for plugins. Each mistake is a `ConfigError` of one line.
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
from ttfsrun.config.introspection import USER_NAMED
from ttfsrun.config.override_syntax import literal
from ttfsrun.config.value_functions import check_not_nested, sweep_values, value_functions
from ttfsrun.errors import ConfigError

ROOT = "config"  # conf/config.yaml
SWEEPS = "sweep"  # the folder conf/sweep holds grids of points, not settings: see ttfsrun.sweep
UNREADABLE = (HydraException, OmegaConfBaseException, YAMLError, OSError, TypeError, ValueError, AssertionError)


def brief_message(error: BaseException) -> str:
    """Return the text of an exception of a library on one line, without Hydra's advice."""
    return " ".join(re.split(r"\nConfig search path:|\nSee https://|\n *full_key:", str(error))[0].split())


def closed(node: DictConfig) -> DictConfig:
    """Return the node, closed in place: overrides can add no key except in groups whose keys the user names."""
    OmegaConf.set_struct(node, True)
    for key in USER_NAMED:
        named = OmegaConf.select(node, key)
        if isinstance(named, DictConfig):
            OmegaConf.set_struct(named, False)
    return node


def _plain(node: Any, resolve: bool = False) -> Tree:
    """Return Hydra's node as dictionaries, interpolations as they are or resolved; then no value may be `???`."""
    return cast("Tree", OmegaConf.to_container(node, resolve=resolve, throw_on_missing=resolve))


class ConfFolder:
    """One folder of yaml files, read again for each choice of groups."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parsed: dict[str, Override] = {}

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The names of the yaml files in each folder of settings below `conf/`."""
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
    def diagnostics(self) -> Diagnostics:
        """The diagnostics of mistakes, with the groups of this folder."""
        return Diagnostics(self.groups)

    def parse(self, text: str) -> Override:
        """Return an override of the command line, parsed once. Raises ConfigError where it cannot be read."""
        if text not in self._parsed:
            try:
                override = self._parser.parse_override(text)
                check_not_nested(override.value())
            except (HydraException, ValueError) as error:
                raise ConfigError(self._unreadable(text, error)) from None
            if not override.key_or_group:
                raise ConfigError(self.diagnostics.unreadable(text, ""))
            self._parsed[text] = override
        return self._parsed[text]

    def word(self, key: str, value: Any) -> str:
        """Return the override that sets a key to a plain value, and remember its parsed form."""
        text = f"{key}={literal(value)}"
        if text not in self._parsed:
            self._parsed[text] = replace(self.parse(f"{key}=0"), _value=value, input_line=text)
        return text

    def swept_values(self, override: Override) -> list[str]:
        """Return an override for each value that an override sweeps over. Raises ConfigError where there is none."""
        line, key = str(override.input_line), override.get_key_element()
        if not override.is_sweep_override():
            return [line]
        try:
            values = sweep_values(override, self.groups.get(override.key_or_group))
        except ValueError as error:
            raise ConfigError(f"{line}: {error}") from None
        return [self.word(key, value) for value in values]

    def is_choice(self, override: Override) -> bool:
        """Return whether an override chooses a yaml file instead of setting a value."""
        key = override.key_or_group
        value_of_group = key in self.groups and isinstance(override.value(), dict)
        return ("/" in key or key in self.groups or override.package is not None) and not value_of_group

    def merged(self, choices: Sequence[Override]) -> tuple[DictConfig, Tree]:
        """Return the merged yaml files of these choices, as Hydra's node and as dictionaries.

        Interpolations are not resolved. Raises ConfigError where a file cannot be read.
        """
        repository, defaults = self._defaults(choices)
        try:
            node = self._loader._compose_config_from_defaults_list(defaults, repository)
        except UNREADABLE as error:
            raise ConfigError(brief_message(error)) from None
        return closed(node), _plain(node)

    def layers(self, choices: Sequence[Override]) -> list[tuple[str, Tree]]:
        """Return the name (from `conf/` on) and the content of each yaml file of these choices, in merging order."""
        repository, defaults = self._defaults(choices)
        contents = [self._loader._load_single_config(default=default, repo=repository).config for default in defaults]
        trees = [_plain(content) for content in contents]
        return [(f"conf/{default.config_path}.yaml", tree) for default, tree in zip(defaults, trees, strict=True)]

    def applied(self, merged: DictConfig, overrides: Iterable[Override]) -> Tree:
        """Return the settings after setting these values one after the other, interpolations resolved.

        Raises ConfigError where a value cannot be set or an interpolation cannot be resolved.
        """
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

    def _unreadable(self, text: str, error: Exception) -> str:
        """Explain an override that does not follow the grammar, or a function in it that cannot be evaluated."""
        if isinstance(error, ValueError):
            return f"{text}: {brief_message(error)}"
        cause = error.__cause__
        if cause is not None and " while evaluating " in str(error):
            return f"{text}: {'cannot be evaluated' if isinstance(cause, AssertionError) else brief_message(cause)}"
        return self.diagnostics.unreadable(text, brief_message(error))

    def _no_target(self, error: InterpolationKeyError) -> str:
        """Explain an interpolation whose target does not exist."""
        targets = re.findall(r"'([^']*)'", str(error))
        if not targets:
            return brief_message(error)
        if self.diagnostics.knows(targets[0]):
            return f"refers to {targets[0]}, which is missing"
        return f"refers to {self.diagnostics.unknown_key(targets[0]).line}"

    def _not_applied(self, override: Override, node: DictConfig, error: Exception) -> str:
        """Explain why Hydra did not apply an override."""
        key, value, line = override.key_or_group, override.value(), str(override.input_line)
        tree = _plain(node)
        exists = lookup(tree, key) is not ABSENT
        if not self.diagnostics.knows(key) or (override.is_delete() and not exists):
            return self.diagnostics.unknown_key(key, value).line
        if exists and not isinstance(value, dict):
            return (
                f"{line}: already exists; write {line[1:]}" if override.is_add() else f"{line}: {brief_message(error)}"
            )
        for name, entry in leaves({key: value}):  # add it anyway: the schema says why it is wrong
            assign(tree, name, entry)
        mistakes = self.diagnostics.mistakes(tree)
        return mistakes[0].line if mistakes else f"{line}: no yaml file sets this key; to add it, write +{line}"

    def _defaults(self, choices: Sequence[Override]) -> tuple[CachingConfigRepository, list[ResultDefault]]:
        """Return the yaml files of these choices, in merging order, and the repository to load them from."""
        for override in choices:
            self._check_choice(override)
        repository = CachingConfigRepository(self._loader.repository)  # merging alters what it holds
        try:
            result = create_defaults_list(repository, ROOT, list(choices), prepend_hydra=False, skip_missing=False)
        except UNREADABLE as error:
            added = [override for override in choices if override.is_add() and "Multiple values" in str(error)]
            reason = f"{added[0].input_line}: already chosen; remove the +" if added else brief_message(error)
            raise ConfigError(reason) from None
        return repository, result.defaults

    def _check_choice(self, override: Override) -> None:
        """Raise ConfigError where an override does not choose an existing yaml file."""
        group, value, line = override.key_or_group, override.value(), override.input_line
        if group not in self.groups:
            raise ConfigError(self.diagnostics.unknown_group(group, value))
        if override.package is not None:
            raise ConfigError(f"{line}: a group cannot be moved with @; write {group}={show(value)}")
        if override.is_force_add():
            raise ConfigError(f"{line}: choose a group without ++; write {group}={show(value)}")
        for choice in value if isinstance(value, list) else [value]:
            if choice not in self.groups[group] and not override.is_delete():
                raise ConfigError(self.diagnostics.wrong_choice(group, choice))

    @cached_property
    def _parser(self) -> OverridesParser:
        return OverridesParser(value_functions(), self._loader)

    @cached_property
    def _loader(self) -> ConfigLoaderImpl:
        version.setbase("1.3")
        for source in (FileConfigSource, StructuredConfigSource):
            SourcesRegistry.instance().register(source)
        path = ConfigSearchPathImpl()
        path.append("main", f"file://{self.folder}")
        path.append("schema", "structured://")
        return ConfigLoaderImpl(path)
