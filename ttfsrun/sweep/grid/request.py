"""Points of a command line: Hydra's sweeps over settings, and the spec that `sweep=` names.

    read_request(["sweep=weight_resolution", "substrate.weight.bits=2,4", "sweep.seeds=3"], composer)

A key that the command line gives is ignored everywhere in the yaml file. The points are all combinations of the keys of
`grid` in their order, the groups of `each`, `zip`, `random` and `sobol`, the sweeps of the command line, and the seeds;
the last varies fastest. Their overrides have the same order, after those of `base`.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ttfsrun.config.compose import Composer
from ttfsrun.config.conf_folder import ConfFolder
from ttfsrun.config.value_functions import MAX_POINTS
from ttfsrun.errors import ConfigError
from ttfsrun.sweep.grid.axes import SEED, Axis, axes_of, base_axes, command_line_axes, seed_axes
from ttfsrun.sweep.grid.exclude import check_excluded_keys, remove_excluded
from ttfsrun.sweep.grid.spec import SWEEP_CHOICE, SWEEP_OVERRIDE, Spec, as_plain, read_spec

PARTS = ("base", "grid", "each", "zip", "random", "sobol", "seeds")


@dataclass(frozen=True)
class SweepRequest:
    """A request of the user: its points, and what describes them."""

    points: list[tuple[str, ...]]  # the overrides of each point, in order
    keys: tuple[str, ...]  # dotted keys and groups that vary, in order, also those with one value
    spec: dict[str, Any]  # plain values, without parts that are not given
    name: str | None  # of the yaml file, without its suffix


def read_request(overrides: Sequence[str], composer: Composer) -> SweepRequest:
    """Return the points of a command line. Raises ConfigError that lists all mistakes in the spec."""
    files = composer.files
    _check_form(overrides, files)
    spec = read_spec([word for word in overrides if SWEEP_OVERRIDE.match(word)], files)
    command_line = command_line_axes([word for word in overrides if not SWEEP_OVERRIDE.match(word)], files)
    axes = _combined(spec, command_line, files)
    check_excluded_keys(spec, files)
    spec.check()
    changed = any(not SWEEP_CHOICE.fullmatch(word) and not word.startswith("cluster") for word in overrides)
    points = remove_excluded(_combinations(axes), spec, composer, changed)
    spec.check()
    varied = tuple(key for axis in axes if axis.varies for key in axis.keys)
    return SweepRequest(points, varied, as_plain(spec.sweep), spec.name)


def _check_form(overrides: Sequence[str], files: ConfFolder) -> None:
    for word in overrides:
        if word in files.sweeps:
            raise ConfigError(f"{word}: an override has the form key=value; did you mean sweep={word}?")


def _combined(spec: Spec, command_line: list[Axis], files: ConfFolder) -> list[Axis]:
    """Return the axes of the spec and of the command line, which replaces keys of the spec."""
    given = _keys(command_line)
    if spec.chooses_seeds and SEED in given:
        raise ConfigError(f"{SEED}: sweep.seeds is given as well; give only one of them")
    replaced = given | {SEED} if spec.chooses_seeds else given
    base = [axis.without(replaced) for axis in base_axes(spec, files)]
    described = [axis.without(replaced) for axis in axes_of(spec, files)]
    seeds = [axis.without(given) for axis in seed_axes(spec, files)]
    counts = Counter([*_keys(base), *(key for axis in [*described, *seeds] for key in axis.keys)])
    spec.mistakes.extend(
        f"sweep: {key}: is in several of {', '.join(PARTS)}; keep only one" for key, n in counts.items() if n > 1
    )
    return [*base, *described, *command_line, *seeds]


def _combinations(axes: Sequence[Axis]) -> list[tuple[str, ...]]:
    """Return the overrides of each combination; the last axis varies fastest."""
    if math.prod(len(axis.rows) for axis in axes) > MAX_POINTS:
        counts = " x ".join(str(len(axis.rows)) for axis in axes if axis.varies)
        raise ConfigError(f"{counts} points: a grid has at most {MAX_POINTS}")
    combined = itertools.product(*(axis.rows for axis in axes))
    return [tuple(word for word in itertools.chain(*rows) if word is not None) for rows in combined]


def _keys(axes: Sequence[Axis]) -> set[str]:
    return {key for axis in axes for key in axis.keys}
