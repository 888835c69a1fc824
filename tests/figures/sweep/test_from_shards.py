"""The figures of a sweep that its table does not tell: learning curves and confusion matrices."""

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
    """Two epochs, the second with half the error of the first, which is that of the table."""
    settings = table[["point", *tables.settings_of(table)]].to_dict("records")
    return pd.DataFrame(
        about | {"split": split, "metric": "accuracy", "epoch": epoch, "value": 1 - error / epoch}
        for about, error in zip(settings, 1 - table["test_accuracy"], strict=True)
        for split in ("train", "valid")
        for epoch in (1, 2)
    )


def test_learning_curves_are_medians_by_the_value_of_what_varies() -> None:
    table = strengths((0.0, 0.1))
    errors = 100 * (1 - table[table[MISMATCH] == 0.1]["test_accuracy"])
    numbers = drawn(table, Supplement(curves=curves_of(table)))["curves"].numbers
    told = numbers[(numbers["split"] == "valid") & (numbers[MISMATCH] == 0.1) & (numbers["epoch"] == 2)]
    assert list(told["median"]) == pytest.approx([errors.median() / 2])
    assert list(told["n"]) == [len(SEEDS)]


def test_learning_curves_are_drawn_once_where_points_share_their_trainings() -> None:
    table = crossed({"protocol": ["a", "b"]}, noise=0)
    drawing = drawn(table, Supplement(curves=curves_of(table)))["curves"]
    assert not drawing.figure.legends
    assert set(drawing.numbers["n"]) == {len(SEEDS)}
    assert drawing.caption.endswith("They are the same for all values of protocol.")


@pytest.mark.parametrize("n", [2, 3])
def test_learning_curves_with_long_names_are_legible(n: int, assert_legible: Callable[[Figure], None]) -> None:
    names = [f"experiment_{number}_brainscales2" for number in range(n)]
    table = crossed({"experiment": names, "protocol": ["in_the_loop", "clean_to_perturbed"]})
    assert_legible(drawn(table, Supplement(curves=curves_of(table)))["curves"].figure)


def test_confusion_is_summed_over_replicates() -> None:
    table = tables.without(strengths((0.0, 0.1)), [0])
    matrices = [np.full((3, 4), number + 1) for number in range(len(table))]
    drawing = drawn(table, Supplement(confusion=matrices, names=["yin", "yang", "dot"]))["confusion"]
    first = drawing.numbers[drawing.numbers["condition"] == "threshold mismatch 0"]
    assert set(first["samples"]) == {2 + 3 + 4}


def test_confusions_of_different_data_are_figures_of_their_own_by_setting_and_by_condition() -> None:
    points = tables.combinations({"data.name": ["yin_yang", "mnist"], "protocol": ["a", "b"], "seed.init": SEEDS})
    table = tables.table(points, OTHERS[:2])
    classes = {"yin_yang": 3, "mnist": 10}
    matrices = [np.full((classes[name], classes[name] + 1), 1) for name in table["data.name"]]
    found = drawn(table, Supplement(confusion=matrices, names=["yin", "yang", "dot"]))
    assert {name for name in found if name.startswith("confusion")} == {
        f"confusion{which}_{data}" for which in ("", "_conditions") for data in classes
    }
    for data, n in classes.items():
        assert set(found[f"confusion_{data}"].numbers["condition"]) == {"protocol a", "protocol b"}
        told = found[f"confusion_conditions_{data}"]
        assert set(told.numbers["condition"]) == set(table["condition"])
        assert told.numbers["true"].nunique() == n
        assert told.caption.endswith("All at protocol a.")
        assert set(told.numbers["samples"]) == {len(SEEDS)}
