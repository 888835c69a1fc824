"""Legibility of every figure of a sweep, whatever the table holds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tables
from matplotlib.figure import Figure
from tables import BITS, JITTER, MISMATCH, OTHERS, SEEDS, crossed, drawn, one_at_a_time, strengths

from ttfsrun.report.selection import Supplement

LONG = "training.schedule.a_name_that_is_far_too_long_for_any_axis_of_a_picture"
FIVE = {MISMATCH: [0, 0.1, 0.2], JITTER: [0, 0.1], BITS: [2, None], "protocol": ["a", "b"], LONG: [1, 2]}
CHIPS = [{}, *({"condition": "own, other chips", "chip": chip} for chip in range(20))]
NASTY = {
    "one point": crossed({MISMATCH: [0.1]}, seeds=[0]),
    "one seed": crossed({MISMATCH: [0, 0.1, 0.2]}, seeds=[0]),
    "two values": strengths((0.0, 0.2)),
    "no noise, no difference": crossed({"network.hidden": ["[5]", "[6]"]}, noise=0),
    "many values": crossed({MISMATCH: np.linspace(0, 1, 40)}),
    "many decades": strengths((0.0, 1e-6, 1e-4, 1e-2, 1.0)),
    "many words": crossed({LONG: [f"a value with {n} words" * 3 for n in range(5)]}),
    "many choices": crossed({"protocol": [f"choice_{n}" for n in range(30)]}, seeds=[0, 1]),
    "one long word": crossed({"protocol": ["under_perturbation" * 3, "b"]}),
    "true and false and none": crossed({"training.perturbed": [True, False, None]}),
    "five settings": crossed(FIVE, seeds=[0]),
    "many panels": crossed({MISMATCH: [0, 0.1], JITTER: np.arange(7) / 50, BITS: range(1, 9)}, seeds=[0, 1]),
    "half done": tables.without(strengths((0, 0.1, 0.2, 0.3)), range(5, 16), "missing"),
    "perfect": strengths().assign(test_accuracy=1.0),
    "some perfect": strengths().assign(test_accuracy=[1.0, 0.9, 0.8] * 4),
    "infinite": strengths().assign(test_accuracy=[1.0, np.inf, np.nan, 0.5] * 3, test_decision_time_mean=np.inf),
    "many chips": tables.table([{"seed.init": number, "seed.chip": number} for number in range(20)], CHIPS),
    "chips, by experiment and protocol": tables.table(
        tables.combinations(
            {
                "experiment": ["yin_yang_brainscales2", "mnist_16x16_brainscales2"],
                "protocol": ["in_the_loop", "clean_to_perturbed"],
                "seed.chip": SEEDS,
            }
        ),
        OTHERS,
    ),
    "one at a time, by protocol": tables.table(
        [{**point, "protocol": name} for point in one_at_a_time() for name in "ab"]
    ),
    "negative": strengths().assign(test_accuracy=-0.5),
    "no costs": strengths().filter(regex="^(?!test_energy|test_decision)"),
}


@pytest.mark.parametrize("name", NASTY)
def test_whatever_the_table_every_picture_is_legible(name: str, assert_legible: Callable[[Figure], None]) -> None:
    figures = drawn(NASTY[name], Supplement(classes=3))
    assert figures
    for plotted in figures.values():
        assert plotted.caption.endswith(".")
        assert "$" not in plotted.caption
        assert len(plotted.numbers)
        assert_legible(plotted.figure)
