from __future__ import annotations

from typing import Any

import pandas as pd

from ttfsrun.figures.sweep.one_at_a_time import OneAtATime, detect


def of(points: list[dict[str, Any]]) -> OneAtATime | None:
    return detect(pd.DataFrame(points, dtype=object), list(points[0]))


def away(base: dict[str, Any], changes: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
    return [{**base, **change, **more} for change in ({}, *changes)]


BASE = {"substrate.a": 0.0, "substrate.b": None}
CHANGES = [{"substrate.a": 1.0}, {"substrate.a": 2.0}, {"substrate.b": 4.0}]


def test_settings_that_leave_the_base_alone_are_found() -> None:
    design = of(away(BASE, CHANGES))
    assert design
    assert design.bases == {(): BASE}
    assert design.away(BASE) == []
    assert design.away({**BASE, **CHANGES[1]}) == ["substrate.a"]
    assert design.away({**BASE, **CHANGES[2]}) == ["substrate.b"]


def test_the_base_need_not_be_a_point_itself() -> None:
    design = of([{**BASE, "substrate.a": 1.0}, {**BASE, "substrate.b": 4.0}])
    assert design
    assert design.bases == {(): BASE}


def test_a_setting_in_every_combination_beside_them_is_no_part_of_it() -> None:
    points = [*away(BASE, CHANGES, protocol="x"), *away(BASE, CHANGES, protocol="y")]
    design = of(points)
    assert design
    assert (design.keys, design.crossed, design.apart) == (["substrate.a", "substrate.b"], ["protocol"], [])


def test_a_preset_may_have_a_base_of_its_own() -> None:
    other = {"substrate.a": 2.0, "substrate.b": 4.0}
    changes = [{"substrate.a": 0.0}, {"substrate.b": None}]
    design = of([*away(BASE, CHANGES[1:], preset="x"), *away(other, changes, preset="y")])
    assert design
    assert design.bases == {("x",): BASE, ("y",): other}
    assert design.apart == ["preset"]


def test_a_grid_is_not_one_at_a_time() -> None:
    assert of([{"substrate.a": a, "substrate.b": b} for a in (0.0, 1.0) for b in (0.0, 1.0)]) is None
    assert of([{"substrate.a": a} for a in (0.0, 1.0)]) is None


def test_choices_are_not() -> None:
    assert of([{"a": "x", "b": "x"}, {"a": "y", "b": "x"}, {"a": "x", "b": "y"}]) is None
