"""The figures of a sweep that need more than its table: learning curves and confusion matrices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import tables
from matplotlib.figure import Figure
from tables import MISMATCH, OTHERS, SEEDS, crossed, drawn, strengths

from ttfsrun.report.selection import Supplement


def curves_of(table: pd.DataFrame) -> pd.DataFrame:
    """Return two epochs: the first with the error of the table, the second with half of it."""
    settings = table[["point", *tables.settings_of(table)]].to_dict("records")
    return pd.DataFrame(
        point | {"split": split, "accuracy": 1 - error / np.array([1, 2])}
        for point, error in zip(settings, 1 - table["test_accuracy"], strict=True)
        for split in ("train", "valid")
    )


def test_learning_curves_are_medians_by_the_value_of_what_varies() -> None:
    table = strengths((0.0, 0.1))
    errors = 100 * (1 - table[table[MISMATCH] == 0.1]["test_accuracy"])
    numbers = drawn(table, Supplement(curves=curves_of(table)))["curves"].numbers
    last = numbers[(numbers["split"] == "valid") & (numbers[MISMATCH] == 0.1) & (numbers["epoch"] == 2)]
    assert list(last["median"]) == pytest.approx([errors.median() / 2])
    assert list(last["n"]) == [len(SEEDS)]


def test_learning_curves_are_drawn_once_where_points_share_their_trainings() -> None:
    table = crossed({"protocol": ["a", "b"]}, noise=0)
    plotted = drawn(table, Supplement(curves=curves_of(table)))["curves"]
    assert not plotted.figure.legends
    assert set(plotted.numbers["n"]) == {len(SEEDS)}
    assert plotted.caption.endswith("They are the same for all values of protocol.")


@pytest.mark.parametrize("n", [2, 3])
def test_learning_curves_with_long_names_are_legible(n: int, assert_legible: Callable[[Figure], None]) -> None:
    names = [f"experiment_{number}_brainscales2" for number in range(n)]
    table = crossed({"experiment": names, "protocol": ["in_the_loop", "clean_to_perturbed"]})
    assert_legible(drawn(table, Supplement(curves=curves_of(table)))["curves"].figure)


def test_confusion_is_summed_over_replicates() -> None:
    table = tables.without(strengths((0.0, 0.1)), [0])
    matrices = [np.full((3, 4), number + 1) for number in range(len(table))]
    plotted = drawn(table, Supplement(confusion=matrices, names=["yin", "yang", "dot"]))["confusion"]
    first = plotted.numbers[plotted.numbers["condition"] == "threshold mismatch 0"]
    assert set(first["samples"]) == {2 + 3 + 4}


def test_confusions_of_different_data_are_figures_of_their_own_by_setting_and_by_condition() -> None:
    points = tables.combinations({"data.name": ["yin_yang", "mnist"], "protocol": ["a", "b"], "seed.init": SEEDS})
    table = tables.table(points, OTHERS[:2])
    classes = {"yin_yang": 3, "mnist": 10}
    matrices = [np.full((classes[name], classes[name] + 1), 1) for name in table["data.name"]]
    figures = drawn(table, Supplement(confusion=matrices, names=["yin", "yang", "dot"]))
    assert {name for name in figures if name.startswith("confusion")} == {
        f"confusion{which}_{data}" for which in ("", "_conditions") for data in classes
    }
    for data, n in classes.items():
        assert set(figures[f"confusion_{data}"].numbers["condition"]) == {"protocol a", "protocol b"}
        by_condition = figures[f"confusion_conditions_{data}"]
        assert set(by_condition.numbers["condition"]) == set(table["condition"])
        assert by_condition.numbers["true"].nunique() == n
        assert by_condition.caption.endswith("All at protocol a.")
        assert set(by_condition.numbers["samples"]) == {len(SEEDS)}
