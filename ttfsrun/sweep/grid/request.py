"""The points that a command line asks for: settings with Hydra's sweeps, and the spec of a `sweep=`.

    requested(["sweep=weight_resolution", "substrate.weight.bits=2,4", "sweep.seeds=3"], composer)

A key that the command line gives is taken out of the yaml file, wherever it stands there. Points are every combination
of the keys of `grid` in their order, the groups of `each`, `zip`, `random` and `sobol`, what the command line sweeps
over, and the seeds; the last varies fastest. Their overrides stand in that order too, after those of `base`.
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
from ttfsrun.errors import ConfigError
from ttfsrun.sweep.grid.axes import SEED, Axis, axes_of, base_axes, command_line_axes, seed_axes
from ttfsrun.sweep.grid.exclude import check_excluded_keys, remove_excluded
from ttfsrun.sweep.grid.spec import ABOUT_SWEEP, LARGEST, NAMES, Spec, as_plain, read_spec

PLACES = ("base", "grid", "each", "zip", "random", "sobol", "seeds")


@dataclass(frozen=True)
class SweepRequest:
    """What the user asked for."""

    points: list[tuple[str, ...]]  # the overrides of each point, in order
    keys: tuple[str, ...]  # dotted keys and groups that vary, in order, also those with one value
    spec: dict[str, Any]  # plain values, without what is left open
    name: str | None  # of the yaml file


def read_request(words: Sequence[str], composer: Composer) -> SweepRequest:
    """The points of a command line; all mistakes in a spec are told at once."""
    files = composer.files
    _check_form(words, files)
    spec = read_spec([word for word in words if ABOUT_SWEEP.match(word)], files)
    own = command_line_axes([word for word in words if not ABOUT_SWEEP.match(word)], files)
    axes = _together(spec, own, files)
    check_excluded_keys(spec, files)
    spec.check()
    changed = any(not NAMES.fullmatch(word) and not word.startswith("cluster") for word in words)
    points = remove_excluded(_every(axes), spec, composer, changed)
    spec.check()
    varied = tuple(key for axis in axes if axis.varies for key in axis.keys)
    return SweepRequest(points, varied, as_plain(spec.sweep), spec.name)


def _check_form(words: Sequence[str], files: ConfFolder) -> None:
    for word in words:
        if word in files.sweeps:
            raise ConfigError(f"{word}: an override has the form key=value; did you mean sweep={word}?")


def _together(spec: Spec, own: list[Axis], files: ConfFolder) -> list[Axis]:
    """The axes of the spec and those of the command line, which has the last word on each key."""
    given = _keys(own)
    if spec.chooses_seeds and SEED in given:
        raise ConfigError(f"{SEED}: sweep.seeds is given as well; leave one of them")
    taken = given | {SEED} if spec.chooses_seeds else given
    base = [axis.without(taken) for axis in base_axes(spec, files)]
    described = [axis.without(taken) for axis in axes_of(spec, files)]
    seeds = [axis.without(given) for axis in seed_axes(spec, files)]
    counts = Counter([*_keys(base), *(key for axis in [*described, *seeds] for key in axis.keys)])
    spec.mistakes.extend(
        f"sweep: {key}: stands in several of {', '.join(PLACES)}; leave one" for key, n in counts.items() if n > 1
    )
    return [*base, *described, *own, *seeds]


def _every(axes: Sequence[Axis]) -> list[tuple[str, ...]]:
    """The overrides of each combination, the last axis fastest."""
    if math.prod(len(axis.rows) for axis in axes) > LARGEST:
        counts = " x ".join(str(len(axis.rows)) for axis in axes if axis.varies)
        raise ConfigError(f"{counts} points: a grid has at most {LARGEST}")
    combined = itertools.product(*(axis.rows for axis in axes))
    return [tuple(word for word in itertools.chain(*rows) if word is not None) for rows in combined]


def _keys(axes: Sequence[Axis]) -> set[str]:
    return {key for axis in axes for key in axis.keys}
