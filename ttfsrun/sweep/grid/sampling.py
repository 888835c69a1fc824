"""Random values of settings: numbers between 0 and 1, transformed to a distribution.

    learning_rate: {loguniform: [1e-4, 1e-2]}
    v_th: {normal: {mean: 1, std: 0.1}}

Values have six significant digits, so that they can be read and typed. More rows leave the first ones unchanged; with
`random`, so do further keys. Sobol rows fill the space more evenly than random ones; they are balanced where their
number is a power of two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from ttfsrun.config.diagnostics import one_of, show
from ttfsrun.errors import ConfigError, did_you_mean
from ttfsrun.types import Finite, Positive, Settings, Spread

SMALLEST_FRACTION = 2.0**-54  # replaces 0, which a generator may return


class Distribution(Settings):
    """Distribution of the values of a setting; `form` says how its parameters are written."""

    form: ClassVar[str]

    def at(self, u: float) -> Any:
        """Return the u-quantile, 0 < u < 1."""
        raise NotImplementedError


class Uniform(Distribution):
    """Uniform distribution between two numbers."""

    low: Finite
    high: Finite
    form = "[low, high] with low < high"

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(self.form)

    def at(self, u: float) -> float:
        return self._within(self.low + (self.high - self.low) * u)

    def _within(self, value: float) -> float:
        return min(max(_readable(value), self.low), self.high)


class LogUniform(Uniform):
    """Distribution whose logarithm is uniform."""

    form = "[low, high] with 0 < low < high"

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ValueError(self.form)

    def at(self, u: float) -> float:
        return self._within(math.exp(math.log(self.low) + (math.log(self.high) - math.log(self.low)) * u))


class Normal(Distribution):
    """Normal distribution."""

    mean: Finite
    std: Positive
    form = "[mean, std] with 0 < std"

    def at(self, u: float) -> float:
        return _readable(NormalDist(self.mean, self.std).inv_cdf(u))


class LogNormal(Distribution):
    """Distribution whose natural logarithm is normal, with the standard deviation sigma."""

    median: Positive
    sigma: Spread
    form = "[median, sigma] with 0 < median and 0 < sigma <= 10"

    def __post_init__(self) -> None:
        if self.sigma == 0:
            raise ValueError(self.form)

    def at(self, u: float) -> float:
        return _readable(self.median * math.exp(NormalDist(0, self.sigma).inv_cdf(u)))


class Integer(Distribution):
    """Uniform distribution of the integers from low to high, both included."""

    low: int
    high: int
    form = "[low, high], integers with low < high, both of them included"

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(self.form)

    def at(self, u: float) -> int:
        return self.low + math.floor((self.high - self.low + 1) * u)


class Choice(Distribution):
    """Uniform distribution of given values."""

    values: Annotated[list[Any], Meta(min_length=1)]
    form = "a list of values"

    def at(self, u: float) -> Any:
        return self.values[math.floor(len(self.values) * u)]


DISTRIBUTIONS: dict[str, type[Distribution]] = {
    "uniform": Uniform,
    "loguniform": LogUniform,
    "normal": Normal,
    "lognormal": LogNormal,
    "integer": Integer,
    "choice": Choice,
}


def distribution(key: str, given: dict[str, Any]) -> Distribution:
    """Return the distribution that a file describes by its name and its parameters, in a list or by name.

    Raises ConfigError with the expected form.
    """
    if len(given) != 1:
        raise ConfigError(f"{key}={show(given)}: must be one distribution, for example {{uniform: [0, 1]}}")
    ((name, parameters),) = given.items()
    if name not in DISTRIBUTIONS:
        hint = did_you_mean(name, DISTRIBUTIONS)
        raise ConfigError(f"{key}: {show(name)}: the distribution must be {one_of(list(DISTRIBUTIONS))}{hint}")
    kind = DISTRIBUTIONS[name]
    try:
        if isinstance(parameters, list):
            in_order = [parameters] if kind is Choice else parameters
            return msgspec.convert(dict(zip(kind.__struct_fields__, in_order, strict=True)), kind)
        return msgspec.convert(parameters, kind)
    except (msgspec.ValidationError, ValueError):
        raise ConfigError(f"{key}: {name}={show(parameters)}: must be {kind.form}") from None


def random_rows(distributions: dict[str, Distribution], count: int, seed: int) -> list[tuple[Any, ...]]:
    """Return rows of independent values; each key has a random stream of its own."""
    from ttfsrun.random import stream  # here: a grid without random values needs no numpy

    units = [stream(seed, f"sweep {key}").random(count).tolist() for key in distributions]
    return _rows(list(distributions.values()), zip(*units, strict=True))


def sobol_rows(distributions: dict[str, Distribution], count: int, seed: int) -> list[tuple[Any, ...]]:
    """Return rows of a scrambled Sobol sequence (Owen 1998), with one dimension for each key."""
    from scipy.stats.qmc import Sobol  # here: the import of scipy takes longer than all others

    from ttfsrun.random import stream

    sequence = Sobol(len(distributions), seed=stream(seed, "sweep sobol"))
    return _rows(list(distributions.values()), sequence.random_base2((count - 1).bit_length())[:count].tolist())


def _rows(kinds: Sequence[Distribution], units: Iterable[Sequence[float]]) -> list[tuple[Any, ...]]:
    return [tuple(kind.at(max(u, SMALLEST_FRACTION)) for kind, u in zip(kinds, row, strict=True)) for row in units]


def _readable(value: float) -> float:
    return float(f"{value:.6g}")
