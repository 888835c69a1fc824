"""Points drawn at random: distributions, and numbers between 0 and 1 that become their values.

    learning_rate: {loguniform: [1e-4, 1e-2]}
    v_th: {normal: {mean: 1, std: 0.1}}

Values have six significant digits, so that they can be read and typed. Drawing more rows leaves the first ones as
they are, and so does, with `random`, drawing another key. Sobol rows fill the space more evenly than random ones;
they are balanced where their number is a power of two.
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

INSIDE = 2.0**-54  # what takes the place of 0, which a generator may return


class Distribution(Settings):
    """Where the values of a setting come from; `form` says how its parameters are written."""

    form: ClassVar[str]

    def at(self, u: float) -> Any:
        """The value below which lies the fraction u of all draws, 0 < u < 1."""
        raise NotImplementedError


class Uniform(Distribution):
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
    """The logarithm is uniform."""

    form = "[low, high] with 0 < low < high"

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ValueError(self.form)

    def at(self, u: float) -> float:
        return self._within(math.exp(math.log(self.low) + (math.log(self.high) - math.log(self.low)) * u))


class Normal(Distribution):
    mean: Finite
    std: Positive
    form = "[mean, std] with 0 < std"

    def at(self, u: float) -> float:
        return _readable(NormalDist(self.mean, self.std).inv_cdf(u))


class LogNormal(Distribution):
    """The natural logarithm is normal, with the standard deviation sigma."""

    median: Positive
    sigma: Spread
    form = "[median, sigma] with 0 < median and 0 < sigma <= 10"

    def __post_init__(self) -> None:
        if self.sigma == 0:
            raise ValueError(self.form)

    def at(self, u: float) -> float:
        return _readable(self.median * math.exp(NormalDist(0, self.sigma).inv_cdf(u)))


class Integer(Distribution):
    """Each integer from low to high is as likely as any other."""

    low: int
    high: int
    form = "[low, high], integers with low < high, both of them included"

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(self.form)

    def at(self, u: float) -> int:
        return self.low + math.floor((self.high - self.low + 1) * u)


class Choice(Distribution):
    """Each value is as likely as any other."""

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
    """The distribution of a setting, from its name and its parameters, in a list or by name."""
    if len(given) != 1:
        raise ConfigError(f"{key}={show(given)}: has to be one distribution, for example {{uniform: [0, 1]}}")
    ((name, parameters),) = given.items()
    if name not in DISTRIBUTIONS:
        hint = did_you_mean(name, DISTRIBUTIONS)
        raise ConfigError(f"{key}: {show(name)}: the distribution has to be {one_of(list(DISTRIBUTIONS))}{hint}")
    kind = DISTRIBUTIONS[name]
    try:
        if isinstance(parameters, list):
            in_order = [parameters] if kind is Choice else parameters
            return msgspec.convert(dict(zip(kind.__struct_fields__, in_order, strict=True)), kind)
        return msgspec.convert(parameters, kind)
    except (msgspec.ValidationError, ValueError):
        raise ConfigError(f"{key}: {name}={show(parameters)}: has to be {kind.form}") from None


def random_rows(distributions: dict[str, Distribution], count: int, seed: int) -> list[tuple[Any, ...]]:
    """Independent values; each key has a stream of its own."""
    from ttfsrun.random import stream  # here: a grid without random values does without numpy

    units = [stream(seed, f"sweep {key}").random(count).tolist() for key in distributions]
    return _rows(list(distributions.values()), zip(*units, strict=True))


def sobol_rows(distributions: dict[str, Distribution], count: int, seed: int) -> list[tuple[Any, ...]]:
    """A scrambled Sobol sequence (Owen 1998), one dimension for each key."""
    from scipy.stats.qmc import Sobol  # here: scipy takes longer to import than all the rest

    from ttfsrun.random import stream

    sequence = Sobol(len(distributions), seed=stream(seed, "sweep sobol"))
    return _rows(list(distributions.values()), sequence.random_base2((count - 1).bit_length())[:count].tolist())


def _rows(kinds: Sequence[Distribution], units: Iterable[Sequence[float]]) -> list[tuple[Any, ...]]:
    return [tuple(kind.at(max(u, INSIDE)) for kind, u in zip(kinds, row, strict=True)) for row in units]


def _readable(value: float) -> float:
    return float(f"{value:.6g}")
