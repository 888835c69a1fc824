"""Values follow their distribution, more rows keep the first ones, and a mistake is reported in one line."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ttfsrun.errors import ConfigError
from ttfsrun.sweep.grid.sampling import distribution, random_rows, sobol_rows

EXACT: list[tuple[dict[str, Any], Callable[[Any], Any]]] = [
    ({"uniform": [-1, 3]}, stats.uniform(-1, 4).cdf),
    ({"loguniform": [1e-4, 1e-2]}, stats.loguniform(1e-4, 1e-2).cdf),
    ({"normal": {"mean": 1, "std": 0.1}}, stats.norm(1, 0.1).cdf),
    ({"lognormal": {"median": 0.003, "sigma": 0.5}}, stats.lognorm(0.5, scale=0.003).cdf),
]
METHODS = [random_rows, sobol_rows]


def column(given: dict[str, Any], count: int, method: Any = random_rows, seed: int = 0) -> list[Any]:
    return [value for (value,) in method({"key": distribution("key", given)}, count, seed)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("given", "cdf"), EXACT, ids=lambda value: next(iter(value)) if isinstance(value, dict) else ""
)
def test_draws_follow_the_distribution(given: dict[str, Any], cdf: Callable[[Any], Any], method: Any) -> None:
    assert stats.kstest(column(given, 2048, method), cdf).pvalue > 0.01


@pytest.mark.parametrize("method", METHODS)
def test_integers_include_both_ends_and_are_equally_likely(method: Any) -> None:
    drawn = column({"integer": [2, 5]}, 4096, method)
    assert all(type(value) is int for value in drawn)
    counts = [drawn.count(value) for value in (2, 3, 4, 5)]
    assert sum(counts) == 4096
    assert stats.chisquare(counts).pvalue > 0.01


def test_choices_are_the_values_themselves() -> None:
    drawn = column({"choice": [[60], [120, 60], None, "best"]}, 200)
    assert {str(value) for value in drawn} == {"[60]", "[120, 60]", "None", "best"}


@given(st.floats(0, 1, exclude_min=True, exclude_max=True), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_no_draw_leaves_its_interval(u: float, one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    if low < high:
        assert low <= distribution("key", {"uniform": [low, high]}).at(u) <= high
    if 0 < low < high:
        assert low <= distribution("key", {"loguniform": [low, high]}).at(u) <= high


@pytest.mark.parametrize("method", METHODS)
def test_more_rows_begin_with_the_same_ones(method: Any) -> None:
    kinds = {key: distribution(key, {"uniform": [0, 1]}) for key in ("a", "b")}
    assert method(kinds, 50, 3)[:20] == method(kinds, 20, 3)
    assert method(kinds, 50, 3) != method(kinds, 50, 4)


def test_another_key_does_not_shift_a_random_one() -> None:
    a, b = (distribution(key, {"uniform": [0, 1]}) for key in "ab")
    alone = random_rows({"a": a}, 20, 0)
    assert [row[1:] for row in random_rows({"b": b, "a": a}, 20, 0)] == alone
    assert random_rows({"b": b}, 20, 0) != alone


@pytest.mark.parametrize("count", [1, 16, 64])
def test_sobol_has_one_point_in_each_part_of_the_range(count: int) -> None:
    drawn = column({"uniform": [0, count]}, count, sobol_rows)
    assert sorted(math.floor(value) for value in drawn) == list(range(count))


def test_values_can_be_read_and_typed() -> None:
    assert all(value == float(f"{value:.6g}") for value in column({"loguniform": [1e-4, 1e-2]}, 100))


def test_sobol_fills_the_plane_more_evenly_than_random_draws() -> None:
    kinds = {key: distribution(key, {"uniform": [0, 1]}) for key in ("a", "b")}
    discrepancy = [stats.qmc.discrepancy(np.array(method(kinds, 128, 1))) for method in (sobol_rows, random_rows)]
    assert discrepancy[0] < discrepancy[1] / 5


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"unifrm": [0, 1]}, "key: unifrm: the distribution must be one of uniform, loguniform"),
        ({"unifrm": [0, 1]}, "did you mean uniform?"),
        ({}, "key={}: must be one distribution, for example {uniform: [0, 1]}"),
        ({"uniform": [0, 1], "normal": [0, 1]}, "must be one distribution"),
        ({"uniform": [1, 0]}, "key: uniform=[1, 0]: must be [low, high] with low < high"),
        ({"uniform": [1]}, "must be [low, high] with low < high"),
        ({"uniform": ["a", "b"]}, "must be [low, high] with low < high"),
        ({"uniform": 3}, "key: uniform=3: must be [low, high] with low < high"),
        ({"loguniform": [0, 1]}, "must be [low, high] with 0 < low < high"),
        ({"normal": {"mean": 0, "sd": 1}}, "must be [mean, std] with 0 < std"),
        ({"normal": [0, 0]}, "must be [mean, std] with 0 < std"),
        ({"lognormal": [1, 0]}, "must be [median, sigma] with 0 < median and 0 < sigma <= 10"),
        ({"integer": [0.5, 2]}, "must be [low, high], integers with low < high"),
        ({"choice": []}, "key: choice=[]: must be a list of values"),
        ({"choice": 3}, "must be a list of values"),
    ],
)
def test_a_mistake_says_what_is_allowed(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        distribution("key", given)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_scipy_is_imported_for_sobol_only() -> None:
    code = """if True:
        import sys
        from ttfsrun.sweep.grid.sampling import distribution, random_rows, sobol_rows
        assert "numpy" not in sys.modules
        random_rows({"a": distribution("a", {"normal": [0, 1]})}, 3, 0)
        assert "scipy" not in sys.modules
        sobol_rows({"a": distribution("a", {"normal": [0, 1]})}, 3, 0)
        assert not {"torch", "pandas"} & sys.modules.keys()
    """
    subprocess.run([sys.executable, "-c", code], check=True)
