"""The axes of a grid: keys that move together, and the overrides of each step along them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hydra.core.override_parser.types import Override

from ttfsrun.config.conf_folder import ConfFolder
from ttfsrun.config.diagnostics import show
from ttfsrun.errors import ConfigError
from ttfsrun.sweep.grid.sampling import Distribution, distribution, random_rows, sobol_rows
from ttfsrun.sweep.grid.spec import Columns, RandomValues, Spec, Values

T = TypeVar("T")
Row = tuple[str | None, ...]
Sampler = Callable[[dict[str, Distribution], int, int], list[tuple[Any, ...]]]

SEED = "seed.init"
CANNOT_VARY = {
    "cluster": "says where the points run; it cannot vary",
    "data.folder": "says where the data are; it cannot vary",
}


@dataclass(frozen=True)
class Axis:
    """Keys that move together: each row has an override, or None, for each key.

    varies: False for a single value that the command line or `base` sets.
    """

    keys: tuple[str, ...]
    rows: list[Row]
    varies: bool = True

    def without(self, keys: Collection[str]) -> Axis:
        """Return the axis without these keys, whose values come from elsewhere."""
        columns = [column for column, key in enumerate(self.keys) if key not in keys]
        rows: list[Row] = [tuple(row[column] for column in columns) for row in self.rows] if columns else [()]
        return Axis(tuple(self.keys[column] for column in columns), rows, self.varies)


def axes_of(spec: Spec, files: ConfFolder) -> list[Axis]:
    """Return the axes that the spec describes, without its seeds."""
    sweep = spec.sweep
    axes = [
        Axis((key,), [(word,) for word in overrides]) for key, overrides in _columns(sweep.grid, "grid", spec, files)
    ]
    for part, columns in _groups("each", sweep.each):
        axes += _one_at_a_time(columns, part, spec, files)
    for part, columns in _groups("zip", sweep.zip):
        axes += _zipped(columns, part, spec, files)
    for part, group in _groups("random", sweep.random):
        axes += _sampled(group, random_rows, part, spec, files)
    for part, group in _groups("sobol", sweep.sobol):
        axes += _sampled(group, sobol_rows, part, spec, files)
    return axes


def seed_axes(spec: Spec, files: ConfFolder) -> list[Axis]:
    """Return the axis of the seeds, or no axis where the spec has none."""
    given = spec.sweep.seeds
    seeds = given if isinstance(given, list) else range(given)
    return [Axis((SEED,), [(files.word(SEED, seed),) for seed in seeds])] if seeds else []


def command_line_axes(overrides: Sequence[str], files: ConfFolder) -> list[Axis]:
    """Return an axis for each override. Of several for one key the last counts, as in Hydra."""
    by_key = {override.get_key_element(): override for override in map(files.parse, overrides)}
    return [_axis(override, files) for override in by_key.values()]


def base_axes(spec: Spec, files: ConfFolder) -> list[Axis]:
    """Return an axis of one row for each override that is common to all points."""
    axes = []
    for index, word in enumerate(spec.sweep.base):
        with spec.mistakes_at(f"base[{index}]"):
            override = files.parse(word)
            check_known(override.key_or_group, override.value(), files)
            if override.is_sweep_override():
                raise ConfigError(f"{word}: base is common to all points; settings that vary belong in sweep.grid")
            axes.append(_axis(override, files))
    return axes


def _axis(override: Override, files: ConfFolder) -> Axis:
    word, key = str(override.input_line), override.key_or_group
    if not override.is_sweep_override():
        return Axis((key,), [(word,)], varies=False)
    _check_may_vary(key, word)
    return Axis((key,), [(value,) for value in files.swept_values(override)])


def _groups(name: str, given: T | list[T]) -> Iterator[tuple[str, T]]:
    """Yield a single group under its name, or each of several under its name and number."""
    if isinstance(given, list):
        yield from ((f"{name}[{index}]", group) for index, group in enumerate(given))
    elif given:
        yield name, given


def _columns(columns: Columns, part: str, spec: Spec, files: ConfFolder) -> Iterator[tuple[str, list[str]]]:
    """Yield each key with its overrides. A wrong key is skipped, and its mistake is collected."""
    for key, values in columns.items():
        with spec.mistakes_at(part, key):
            _check_key(key, files)
            yield key, _overrides(key, values, files)


def _overrides(key: str, values: Values, files: ConfFolder) -> list[str]:
    """Return an override for each value of a list, or of text that is a sweep on the command line."""
    if isinstance(values, str):
        override = files.parse(f"{key}={values}")
        if not override.is_sweep_override():
            raise ConfigError(f"{key}={show(values)}: must be a list of values, or text such as range(0,10)")
        return files.swept_values(override)
    if not values:
        raise ConfigError(f"{key}=[]: sweeps over no value at all; give at least one")
    return [files.word(key, value) for value in values]


def _one_at_a_time(columns: Columns, part: str, spec: Spec, files: ConfFolder) -> list[Axis]:
    """Return an axis that sets one key at a time; its first row sets none."""
    overrides = dict(_columns(columns, part, spec, files))
    rows: list[Row] = [(None,) * len(overrides)]
    rows += [
        tuple(word if other == key else None for other in overrides)
        for key, column in overrides.items()
        for word in column
    ]
    return [Axis(tuple(overrides), rows)] if overrides else []


def _zipped(columns: Columns, part: str, spec: Spec, files: ConfFolder) -> list[Axis]:
    overrides = dict(_columns(columns, part, spec, files))
    if len({len(column) for column in overrides.values()}) > 1:
        with spec.mistakes_at(part):
            counts = ", ".join(f"{key} has {len(column)}" for key, column in overrides.items())
            raise ConfigError(f"keys that move together must have the same number of values: {counts}")
    return (
        [] if spec.mistakes or not overrides else [Axis(tuple(overrides), list(zip(*overrides.values(), strict=True)))]
    )


def _sampled(group: RandomValues, sampler: Sampler, part: str, spec: Spec, files: ConfFolder) -> list[Axis]:
    distributions: dict[str, Distribution] = {}
    for key, given in group.values.items():
        with spec.mistakes_at(f"{part}.values", key):
            _check_key(key, files)
            distributions[key] = distribution(key, given)
    if spec.mistakes or not distributions:
        return []
    rows = sampler(distributions, group.count, group.seed)
    return [Axis(tuple(distributions), [tuple(map(files.word, distributions, row)) for row in rows])]


def _check_key(key: str, files: ConfFolder) -> None:
    """Raise ConfigError where text is no key of a setting that may vary: `+key`, for example."""
    if files.parse(f"{key}=0").key_or_group != key:
        raise ConfigError(f"{show(key)}: cannot be read as the key of a setting")
    check_known(key, None, files)
    _check_may_vary(key, key)


def check_known(name: str, value: Any, files: ConfFolder) -> None:
    """Raise ConfigError where there is no setting or group of this name."""
    if name not in files.groups and not files.diagnostics.knows(name):
        raise ConfigError(files.diagnostics.unknown_key(name, value).line)


def _check_may_vary(name: str, subject: str) -> None:
    for key, reason in CANNOT_VARY.items():
        if name == key or name.startswith((f"{key}.", f"{key}/")):
            raise ConfigError(f"{subject}: {key} {reason}")
