"""The axes of a grid: keys that move together, and the overrides of each step along them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hydra.core.override_parser.types import Override

from ttfsrun.config.compose import swept_values
from ttfsrun.config.conf_folder import ConfFolder
from ttfsrun.config.diagnostics import show
from ttfsrun.errors import ConfigError
from ttfsrun.sweep.grid.sampling import Distribution, distribution, random_rows, sobol_rows
from ttfsrun.sweep.grid.spec import Columns, Draws, Spec, Values

T = TypeVar("T")
Row = tuple[str | None, ...]
Draw = Callable[[dict[str, Distribution], int, int], list[tuple[Any, ...]]]

SEED = "seed.init"
FIXED = {
    "cluster": "says where the points run; it cannot vary",
    "data.folder": "says where the data lie; it cannot vary",
}


@dataclass(frozen=True)
class Axis:
    """Keys that move together: each row has an override for each of them, or None. One row need not vary."""

    keys: tuple[str, ...]
    rows: list[Row]
    varies: bool = True

    def without(self, keys: Collection[str]) -> Axis:
        """The axis as it is when these keys get their values elsewhere."""
        kept = [column for column, key in enumerate(self.keys) if key not in keys]
        rows: list[Row] = [tuple(row[column] for column in kept) for row in self.rows] if kept else [()]
        return Axis(tuple(self.keys[column] for column in kept), rows, self.varies)


def axes_of(spec: Spec, files: ConfFolder) -> list[Axis]:
    """The axes that the spec describes, but for its seeds."""
    sweep = spec.sweep
    axes = [Axis((key,), [(word,) for word in words]) for key, words in _columns(sweep.grid, "grid", spec, files)]
    for part, columns in _groups("each", sweep.each):
        axes += _one_at_a_time(columns, part, spec, files)
    for part, columns in _groups("zip", sweep.zip):
        axes += _zipped(columns, part, spec, files)
    for part, draws in _groups("random", sweep.random):
        axes += _drawn(draws, random_rows, part, spec, files)
    for part, draws in _groups("sobol", sweep.sobol):
        axes += _drawn(draws, sobol_rows, part, spec, files)
    return axes


def seed_axes(spec: Spec, files: ConfFolder) -> list[Axis]:
    """The axis of the seeds, if there is one."""
    given = spec.sweep.seeds
    seeds = given if isinstance(given, list) else range(given)
    return [Axis((SEED,), [(files.word(SEED, seed),) for seed in seeds])] if seeds else []


def command_line_axes(words: Sequence[str], files: ConfFolder) -> list[Axis]:
    """An axis for each override, most with one row; of several for one key, the last counts, as in Hydra."""
    overrides = {override.get_key_element(): override for override in map(files.parse, words)}
    return [_axis(override) for override in overrides.values()]


def base_axes(spec: Spec, files: ConfFolder) -> list[Axis]:
    """What is common to all points, each override an axis of one row."""
    axes = []
    for index, word in enumerate(spec.sweep.base):
        with spec.at(f"base[{index}]"):
            override = files.parse(word)
            check_known(override.key_or_group, override.value(), files)
            if override.is_sweep_override():
                raise ConfigError(f"{word}: is common to all points; what varies belongs to sweep.grid")
            axes.append(_axis(override))
    return axes


def _axis(override: Override) -> Axis:
    word, key = str(override.input_line), override.key_or_group
    if not override.is_sweep_override():
        return Axis((key,), [(word,)], varies=False)
    _refuse_fixed(key, word)
    return Axis((key,), [(value,) for value in swept_values(override)])


def _groups(name: str, given: T | list[T]) -> Iterator[tuple[str, T]]:
    """A single group under its name, or each of several with its number."""
    if isinstance(given, list):
        yield from ((f"{name}[{index}]", group) for index, group in enumerate(given))
    elif given:
        yield name, given


def _columns(columns: Columns, part: str, spec: Spec, files: ConfFolder) -> Iterator[tuple[str, list[str]]]:
    """Each key with its overrides; a key that is wrong is left out."""
    for key, values in columns.items():
        with spec.at(part, key):
            _check_key(key, files)
            yield key, _words(key, values, files)


def _words(key: str, values: Values, files: ConfFolder) -> list[str]:
    """An override for each value of a list, or of what text sweeps over on the command line."""
    if isinstance(values, str):
        override = files.parse(f"{key}={values}")
        if not override.is_sweep_override():
            raise ConfigError(f"{key}={show(values)}: has to be a list of values, or text such as range(0,10)")
        return swept_values(override)
    if not values:
        raise ConfigError(f"{key}=[]: sweeps over no value at all; give at least one")
    return [files.word(key, value) for value in values]


def _one_at_a_time(columns: Columns, part: str, spec: Spec, files: ConfFolder) -> list[Axis]:
    """Each value of each key while the others are as they are without; the first row is that of none."""
    words = dict(_columns(columns, part, spec, files))
    rows: list[Row] = [(None,) * len(words)]
    rows += [tuple(word if other == key else None for other in words) for key, each in words.items() for word in each]
    return [Axis(tuple(words), rows)] if words else []


def _zipped(columns: Columns, part: str, spec: Spec, files: ConfFolder) -> list[Axis]:
    words = dict(_columns(columns, part, spec, files))
    if len({len(each) for each in words.values()}) > 1:
        with spec.at(part):
            counts = ", ".join(f"{key} has {len(each)}" for key, each in words.items())
            raise ConfigError(f"keys that move together have equally many values: {counts}")
    return [] if spec.mistakes or not words else [Axis(tuple(words), list(zip(*words.values(), strict=True)))]


def _drawn(draws: Draws, draw: Draw, part: str, spec: Spec, files: ConfFolder) -> list[Axis]:
    found: dict[str, Distribution] = {}
    for key, given in draws.values.items():
        with spec.at(f"{part}.values", key):
            _check_key(key, files)
            found[key] = distribution(key, given)
    if spec.mistakes or not found:
        return []
    rows = draw(found, draws.count, draws.seed)
    return [Axis(tuple(found), [tuple(map(files.word, found, row)) for row in rows])]


def _check_key(key: str, files: ConfFolder) -> None:
    """A key that may vary, without the signs that the grammar puts before one."""
    if files.parse(f"{key}=0").key_or_group != key:
        raise ConfigError(f"{show(key)}: cannot be read as the key of a setting")
    check_known(key, None, files)
    _refuse_fixed(key, key)


def check_known(name: str, value: Any, files: ConfFolder) -> None:
    """A setting or a group that there is."""
    if name not in files.groups and not files.complaints.knows(name):
        raise ConfigError(files.complaints.unknown_key(name, value).line)


def _refuse_fixed(name: str, subject: str) -> None:
    for key, reason in FIXED.items():
        if name == key or name.startswith((f"{key}.", f"{key}/")):
            raise ConfigError(f"{subject}: {key} {reason}")
