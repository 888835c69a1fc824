from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ttfsrun.figures.curves import learning_curves


def curves_of(loss: list[float], accuracy: list[float], split: str = "train") -> pd.DataFrame:
    rows = [(epoch, split, "loss", value) for epoch, value in enumerate(loss, 1)]
    rows += [(epoch, split, "accuracy", value) for epoch, value in enumerate(accuracy, 1)]
    rows += [(epoch, split, "silent_fraction_1", 0.25) for epoch in range(1, len(loss) + 1)]
    return pd.DataFrame(rows, columns=["epoch", "split", "metric", "value"])


def training(epochs: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    epoch = np.arange(epochs)
    tables = []
    for split, floor in (("train", 0.02), ("valid", 0.03)):
        error = (floor + 0.7 * np.exp(-epoch / 5)) * (1 + 0.05 * rng.standard_normal(epochs))
        tables.append(curves_of(list(20 * error), list(1 - error), split))
    return pd.concat(tables, ignore_index=True)


def line_data(figure: Figure, panel: int, line: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x, y = figure.axes[panel].lines[line].get_data()
    return np.asarray(x, dtype=float), np.asarray(y, dtype=float)


def test_the_error_is_the_wrong_fraction_in_per_cent() -> None:
    epoch, error = line_data(learning_curves(curves_of([1.0, 0.9, 0.8], [0.5, 0.9, 0.975])), panel=1)
    assert list(epoch) == [1, 2, 3]
    assert error == pytest.approx([50, 10, 2.5])


def test_the_loss_is_logarithmic_only_where_it_spans_more_than_a_decade() -> None:
    scales = [learning_curves(curves_of(loss, [0.5, 0.6])).axes[0].get_yscale() for loss in ([9.9, 1.0], [10.1, 1.0])]
    assert scales == ["linear", "log"]


def test_a_loss_that_becomes_zero_or_negative_is_drawn_on_a_linear_axis() -> None:
    assert learning_curves(curves_of([20.0, 1.0, -0.5], [0.5, 0.6, 0.7])).axes[0].get_yscale() == "linear"


@pytest.mark.parametrize("epochs", [1, 2, 300])
def test_a_training_of_any_length_is_legible(epochs: int, assert_legible: Callable[[Figure], None]) -> None:
    figure = learning_curves(training(epochs))
    assert_legible(figure)
    for panel in figure.axes:
        low, high = panel.get_ylim()
        values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in panel.lines])
        assert (low <= values).all()
        assert (values <= high).all()


def test_a_single_epoch_is_a_visible_point() -> None:
    figure = learning_curves(curves_of([2.0], [0.6]))
    assert line_data(figure, panel=0)[1] == [2.0]
    assert figure.axes[0].lines[0].get_marker() == "o"


def test_a_missing_value_is_a_gap_in_the_line(assert_legible: Callable[[Figure], None]) -> None:
    loss = [3.0, np.nan, 2.0, np.inf, 1.0]
    figure = learning_curves(curves_of(loss, [0.5, 0.6, np.nan, 0.7, 0.8]))
    assert np.isnan(line_data(figure, panel=0)[1]).tolist() == [False, True, False, True, False]
    assert np.isnan(line_data(figure, panel=1)[1]).tolist() == [False, False, True, False, False]
    assert_legible(figure)


def test_a_value_between_two_gaps_is_a_visible_point() -> None:
    loss = [3.0] * 100
    loss[49] = loss[51] = np.nan
    epoch, value = line_data(learning_curves(curves_of(loss, [0.5] * 100)), panel=0, line=1)
    assert (list(epoch), list(value)) == ([51], [3.0])


def test_a_training_that_only_gave_nan_says_that_it_has_no_values(assert_legible: Callable[[Figure], None]) -> None:
    figure = learning_curves(curves_of([np.nan, np.nan], [np.nan, np.nan]))
    assert [panel.texts[0].get_text() for panel in figure.axes] == ["no values", "no values"]
    assert_legible(figure)


def test_an_error_of_zero_leaves_the_logarithmic_axis_at_the_bottom(assert_legible: Callable[[Figure], None]) -> None:
    figure = learning_curves(curves_of([1.0, 0.5, 0.4], [0.5, 0.99, 1.0]))
    panel = figure.axes[1]
    assert panel.get_yscale() == "log"
    assert panel.get_ylim()[0] == pytest.approx(1, rel=0.1)
    assert_legible(figure)
    assert learning_curves(curves_of([0.1], [1.0])).axes[1].get_yscale() == "linear"


def test_several_networks_are_their_median_and_range() -> None:
    networks = pd.concat([curves_of([loss, 1.0], [0.5, 0.6]) for loss in (2.0, 3.0, 7.0)])
    figure = learning_curves(networks)
    assert line_data(figure, panel=0)[1] == pytest.approx([3.0, 1.0])
    band = figure.axes[0].collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == (1.0, 7.0)


def test_a_table_without_the_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks \\['metric'\\]"):
        learning_curves(training(2).drop(columns="metric"))
