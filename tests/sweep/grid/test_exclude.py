"""Points that are left out of a sweep."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from asked import BITS, COMPOSER, JITTER, Ask, point_values, values
from hypothesis import given, settings
from hypothesis import strategies as st

from ttfsrun.errors import ConfigError
from ttfsrun.sweep.grid.request import read_request

FORMS: list[tuple[list[str], dict[str, Any]]] = [  # of the values 0.05, 0.15, 0.25, 0.35, 0.45
    ([f"{JITTER}=range(0.05,0.5,0.1)"], {}),
    ([f"{JITTER}=sort(range(0.45,0,-0.1))"], {}),
    ([f"{JITTER}=shuffle(0.05,.15,25e-2,0.350,45E-2)"], {}),
    ([f"sweep.grid.{JITTER}=range(5e-2,5e-1,1e-1)"], {}),
    ([], {"grid": {JITTER: "range(0.05,0.5,0.1)"}}),
    ([], {"grid": {JITTER: [0.05, 0.15, 0.25, 0.35, 0.45]}}),
    ([], {"zip": {JITTER: "range(0.05,0.5,0.1)", "training.epochs": "range(1,6)"}}),
    ([], {"each": {JITTER: "range(0.05,0.5,0.1)"}, "base": [f"{BITS}=4"]}),
]


@pytest.mark.parametrize(("words", "spec"), FORMS, ids=str)
@pytest.mark.parametrize("written", ["0.15", ".15", "0.150", "15e-2"])
def test_exclude_hits_the_value_however_it_is_written(
    ask: Ask, words: list[str], spec: dict[str, Any], written: str
) -> None:
    everything, remaining = ask(*words, **spec), ask(*words, f"sweep.exclude=[{{{JITTER}:{written}}}]", **spec)
    lost = set(everything.points) - set(remaining.points)
    assert [point_values(point)[JITTER] for point in lost] == [0.15]


@settings(deadline=None)
@given(st.integers(-300, 300), st.integers(-40, 40).filter(bool), st.integers(0, 4), st.integers(2, 9), st.data())
def test_exclude_hits_each_value_of_a_range_of_decimals(
    first: int, step: int, places: int, n: int, data: st.DataObject
) -> None:
    exact = [Decimal(first + k * step).scaleb(-places) for k in range(n + 1)]
    texts = [format(number, "f") for number in exact]
    k = data.draw(st.integers(0, n - 1))
    words = [f"{JITTER}=range({texts[0]},{texts[n]},{Decimal(step).scaleb(-places):f})"]
    remaining = read_request([*words, f"sweep.exclude=[{{{JITTER}:{texts[k]}}}]"], COMPOSER)
    labels = [word.partition("=")[2] for (word,) in remaining.points]
    assert [Decimal(label) for label in labels] == exact[:k] + exact[k + 1 : n]


def test_a_point_that_has_all_values_of_an_entry_is_left_out(ask: Ask) -> None:
    grid = {BITS: [2, 3], "network.hidden": [[60], [120]]}
    rows = values(ask(grid=grid, exclude=[{BITS: 2.0, "network.hidden": [60]}]), *grid)
    assert rows == [(2, [120]), (3, [60]), (3, [120])]
    rows = values(ask(grid=grid, exclude=[{"network.hidden": [[60], [30]], BITS: [3, 4]}]), *grid)
    assert rows == [(2, [60]), (2, [120]), (3, [120])]


def test_entries_see_the_command_line_the_seeds_and_the_groups(ask: Ask) -> None:
    exclude = [{"experiment": "mnist_16x16", "seed.init": [1, 2]}]
    request = ask("experiment=yin_yang,mnist_16x16", seeds=3, exclude=exclude)
    assert values(request, "experiment", "seed.init") == [
        *(("yin_yang", seed) for seed in range(3)),
        ("mnist_16x16", 0),
    ]


def test_an_entry_may_name_what_only_the_configuration_has(ask: Ask) -> None:
    request = ask(
        base=["seed.chip=${seed.init}"],
        grid={"experiment": ["yin_yang", "mnist_16x16"]},
        exclude=[{"data.name": "mnist"}, {"seed.chip": 1}],
        seeds=2,
    )
    assert values(request, "experiment", "seed.init") == [("yin_yang", 0)]


def test_true_is_not_one(ask: Ask) -> None:
    with pytest.raises(ConfigError, match=r"sweep\.exclude\[0\]: \{evaluation.perturbed: 1\}: matches no point"):
        ask(grid={"evaluation.perturbed": [True, False]}, exclude=[{"evaluation.perturbed": 1}])


def test_an_entry_may_match_nothing_where_the_command_line_changes_the_grid(ask: Ask) -> None:
    spec: dict[str, Any] = {"grid": {BITS: [2, 3]}, "exclude": [{BITS: 3}]}
    assert values(ask(f"{BITS}=5", **spec), BITS) == [(5,)]
    with pytest.raises(ConfigError, match="matches no point"):
        ask("cluster=local", grid={BITS: [2]}, exclude=[{BITS: 3}])


def test_a_grid_without_points_is_a_mistake(ask: Ask) -> None:
    with pytest.raises(ConfigError, match=r"sweep\.exclude: excludes all 2 points"):
        ask(grid={BITS: [2, 3]}, exclude=[{BITS: [2, 3]}])
