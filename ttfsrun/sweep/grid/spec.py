"""Spec of a sweep: a yaml file in `conf/sweep`, and `sweep.KEY=VALUE` on the command line, which replaces its parts.

    base: [experiment=yin_yang, training.epochs=100]   # overrides of all points
    grid:                                              # every combination
      substrate.weight.bits: [2, 3, 4]
      substrate.spike_time.jitter: range(0,0.1,0.02)   # or any other sweep of the command line
    each:                                              # one at a time: each value by itself, and none of them
      substrate.v_th.chip_std: [0.05, 0.1]
      substrate.dead_neurons.p: [0.1]
    zip:                                               # move together; or a list of such groups
      network.hidden: [[60], [120]]
      training.epochs: [200, 300]
    random:                                            # sampled, see `ttfsrun.sweep.grid.sampling`; or a list
      count: 50
      seed: 0
      values: {training.optimizer.learning_rate: {loguniform: [1e-4, 1e-2]}}
    sobol: {...}                                       # like random
    exclude: [{substrate.weight.bits: 2, network.hidden: [60]}]
    seeds: 20                                          # seed.init from 0 to 19; or a list

Everything is optional. On the command line, `sweep.seeds=3` or `sweep.random.count=10` replaces what the file says, and
`sweep.exclude=null` leaves a part out.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from omegaconf import OmegaConf

from ttfsrun.config.compose import MAX_LISTED
from ttfsrun.config.conf_folder import SWEEPS, UNREADABLE, ConfFolder, brief_message
from ttfsrun.config.diagnostics import Diagnostics, one_of
from ttfsrun.config.dotted_keys import ABSENT, Tree, assign, lookup
from ttfsrun.config.value_functions import MAX_POINTS
from ttfsrun.errors import ConfigError, did_you_mean, reason_of, ways_out
from ttfsrun.files import expand_user, read_file
from ttfsrun.types import SeedNumber, Settings

SWEEP_OVERRIDE = re.compile(r"[+~]*sweep(?![\w/])")
SWEEP_CHOICE = re.compile(r"\+*sweep=(.*)", re.DOTALL)
PARTS_BY_SETTING = (
    "grid",
    "each",
    "zip",
    "random.values",
    "sobol.values",
)  # parts whose keys are dotted keys of settings

Values = list[Any] | str
Columns = dict[str, Values]


class RandomValues(Settings):
    """Random values of several keys, which move together."""

    count: Annotated[int, Meta(ge=1, le=MAX_POINTS)]
    values: Annotated[dict[str, dict[str, Any]], Meta(description="the distribution of each setting")]
    seed: SeedNumber = 0


class Sweep(Settings):
    """Parts of a spec; all are optional."""

    base: list[str] = msgspec.field(default_factory=list)
    grid: Columns = msgspec.field(default_factory=dict)
    each: Columns | list[Columns] = msgspec.field(default_factory=list)
    zip: Columns | list[Columns] = msgspec.field(default_factory=list)
    random: RandomValues | list[RandomValues] = msgspec.field(default_factory=list)
    sobol: RandomValues | list[RandomValues] = msgspec.field(default_factory=list)
    exclude: list[dict[str, Any]] = msgspec.field(default_factory=list)
    seeds: Annotated[int, Meta(ge=1, le=MAX_POINTS)] | list[SeedNumber] = msgspec.field(default_factory=list)


class _Root(Settings):
    """Root of the settings, so that messages name `sweep.grid` as the command line does."""

    sweep: Sweep


@dataclass(frozen=True)
class SpecSource:
    """Source of a spec: a file, or none, and the keys that the command line replaces."""

    file: str | None
    edited: frozenset[str]

    def of(self, key: str) -> str:
        """Return ` (from FILE)` for a key of the file, to end a message; nothing for a key of the command line."""
        key = re.sub(r"\[.*", "", key)
        edited = any(f"{key}.".startswith(f"{edit}.") or edit.startswith(f"{key}.") for edit in self.edited)
        return "" if edited or self.file is None else f" (from {self.file})"


@dataclass(frozen=True)
class Spec:
    """A sweep, the name of its file, and the mistakes found in it so far."""

    sweep: Sweep
    name: str | None
    source: SpecSource
    mistakes: list[str]

    @property
    def chooses_seeds(self) -> bool:
        """True where the command line gives the seeds."""
        return "seeds" in self.source.edited

    @contextmanager
    def mistakes_at(self, part: str, key: str = "") -> Iterator[None]:
        """Collect the ConfigError of a part as a mistake, so that all are reported together."""
        try:
            yield
        except ConfigError as error:
            origin = self.source.of(f"{part}.{key}" if key else part)
            self.mistakes.extend(f"sweep.{part}: {line}{origin}" for line in error.lines)

    def check(self) -> None:
        """Raise ConfigError where there are mistakes."""
        if self.mistakes:
            raise ConfigError(*self.mistakes, at_most=MAX_LISTED)


def read_spec(overrides: Sequence[str], files: ConfFolder) -> Spec:
    """Return the spec that `sweep=NAME` or `sweep=PATH.yaml` and `sweep.KEY=VALUE` describe.

    Raises ConfigError where a word or the file cannot be read; mistakes in values are collected in the spec.
    """
    names = [match[1] for match in map(SWEEP_CHOICE.fullmatch, overrides) if match]
    if len(names) > 1:
        raise ConfigError(f"sweep={names[1]}: extra sweep besides {names[0]}; choose one")
    path, shown = _file(names[0], files) if names else (None, None)
    tree = _content(path, str(shown)) if path else {}
    edits = {word: _edit(word, files) for word in overrides if not SWEEP_CHOICE.fullmatch(word)}
    for word, (key, value) in edits.items():
        _store(tree, key, value, word)
    source = SpecSource(shown, frozenset(key for key, _ in edits.values()))
    sweep, mistakes = _checked({key: value for key, value in tree.items() if value is not None}, source)
    return Spec(sweep, path.stem if path else None, source, mistakes)


def as_plain(sweep: Sweep) -> Tree:
    """Return the parts of a sweep that are given, as plain values."""
    given: Tree = {key: value for key, value in msgspec.to_builtins(sweep).items() if value not in ([], {})}
    return given


def _file(given: str, files: ConfFolder) -> tuple[Path, str]:
    """Return the yaml file of a name or a path, and how messages name it."""
    if "/" in given or given.endswith((".yaml", ".yml")):
        return expand_user(given), given
    if given not in files.sweeps:
        hint = did_you_mean(given, files.sweeps)
        allowed = one_of([*files.sweeps, "the path of a yaml file"])
        raise ConfigError(f"sweep={given}: unknown choice; it must be {allowed}{hint}")
    return files.folder / SWEEPS / f"{given}.yaml", f"conf/{SWEEPS}/{given}.yaml"


def _content(path: Path, shown: str) -> Tree:
    try:
        file = read_file(path)
    except FileNotFoundError:
        raise ConfigError(f"sweep={shown}: there is no such file") from None
    except OSError as error:
        raise ConfigError(f"sweep={shown}: cannot be read ({reason_of(error)}){ways_out(error)}") from None
    try:
        content = OmegaConf.to_container(OmegaConf.load(io.StringIO(file.decode())))
    except UNREADABLE as error:
        raise ConfigError(f"{shown}: {brief_message(error)}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{shown}: must hold keys: one of {', '.join(Sweep.__struct_fields__)}")
    return {str(key): value for key, value in content.items() if value is not None}


def _edit(word: str, files: ConfFolder) -> tuple[str, Any]:
    """Return the key below `sweep` and the value of an override."""
    override = files.parse(word)
    key = override.key_or_group.partition(".")[2]
    if override.is_delete() or not key:
        raise ConfigError(f"{word}: cannot be read; write sweep=NAME, or sweep.{key or 'KEY'}=null for none")
    if override.is_sweep_override():  # sweep.seeds=3,5,8
        return key, [files.parse(value).value() for value in files.swept_values(override)]
    return key, override.value()


def _store(tree: Tree, key: str, value: Any, word: str) -> None:
    part = next((part for part in PARTS_BY_SETTING if key.startswith(f"{part}.")), None)
    if part is None:
        stored = assign(tree, key, value)
    else:
        columns = {} if lookup(tree, part) is ABSENT else lookup(tree, part)
        stored = isinstance(columns, dict) and assign(tree, part, columns)
        if stored:
            columns[key.removeprefix(f"{part}.")] = value
    if not stored:
        raise ConfigError(f"{word}: the file has several groups in a list; change them there")


def _checked(tree: Tree, source: SpecSource) -> tuple[Sweep, list[str]]:
    """Return the sweep without its invalid parts, and the mistakes in those."""
    try:
        return msgspec.convert({"sweep": tree}, _Root).sweep, []
    except msgspec.ValidationError:
        mistakes = Diagnostics({}, _Root).mistakes({"sweep": tree})
        keys = [mistake.key.removeprefix("sweep.") for mistake in mistakes]
        lines = [mistake.line + source.of(key) for key, mistake in zip(keys, mistakes, strict=True)]
        invalid = {re.split(r"[.\[]", key)[0] for key in keys}
        return msgspec.convert({key: value for key, value in tree.items() if key not in invalid}, Sweep), lines
