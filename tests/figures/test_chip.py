from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from ttfsrun.figures import style
from ttfsrun.figures.chip import chip, table

Drawn = Mapping[str, Sequence[np.ndarray]]
NAN = np.nan


def drawn(*neurons: int, inputs: int = 5, quantities: int = 3) -> dict[str, list[np.ndarray]]:
    """Return thresholds, dead neurons, stuck synapses and more quantities like the first, by layer."""
    random = np.random.default_rng(0)
    sizes = list(zip([inputs, *neurons], neurons, strict=False))
    quantities_of_chip = {
        "v_th.chip": [0.1 * random.standard_normal((1, m)) for _, m in sizes],
        "dead_neurons": [random.random((1, m)) < 0.1 for _, m in sizes],
        "stuck_synapses": [random.choice([NAN, NAN, NAN, -1, 0, 1], (n, m)) for n, m in sizes],
    }
    more = {f"weight.chip_{i}": [random.standard_normal((n, m)) for n, m in sizes] for i in range(quantities - 3)}
    return quantities_of_chip | more


def figure_of(shown: Drawn) -> Figure:
    return chip(shown, dict.fromkeys(shown, "of the largest weight"))


def panels(figure: Figure) -> list[str]:
    return [axes.texts[0].get_text() for axes in figure.axes if axes.get_visible()]


def test_every_value_is_counted_once() -> None:
    shown = drawn(120, 3, quantities=5)
    counts = table(shown).groupby(["quantity", "layer"])["count"].sum()
    for quantity, layers in shown.items():
        assert [counts[quantity, layer] for layer in (1, 2)] == [array.size for array in layers]


def test_the_bins_are_those_of_numpy_and_the_same_for_all_layers() -> None:
    thresholds = drawn(120, 30)["v_th.chip"]
    bars = table({"v_th.chip": thresholds})
    first, second = (bars[bars["layer"] == layer].reset_index() for layer in (1, 2))
    assert first[["left", "right"]].equals(second[["left", "right"]])
    edges = np.append(first["left"], first["right"].iloc[-1])
    assert_allclose(np.diff(edges), edges[1] - edges[0])
    assert edges[[0, -1]].tolist() == [min(map(np.min, thresholds)), max(map(np.max, thresholds))]
    for rows, values in zip((first, second), thresholds, strict=True):
        assert rows["count"].tolist() == np.histogram(values, edges)[0].tolist()


def test_true_and_false_are_a_share() -> None:
    dead = [np.array([[True, False, False, False]]), np.array([[False, False]])]
    assert panels(figure_of({"dead_neurons": dead})) == ["layer 1: 25.0 % of 4", "layer 2: 0.0 % of 2"]
    rows = table({"dead_neurons": dead}).to_numpy().tolist()
    assert rows == [["dead_neurons", layer, value, value, count] for layer, value, count in
                    ((1, 0, 3), (1, 1, 1), (2, 0, 2), (2, 1, 0))]  # fmt: skip


def test_a_synapse_that_works_is_no_bar_but_a_count() -> None:
    stuck = [np.array([[NAN, NAN, NAN], [NAN, 1, -1]]), np.full((3, 1), NAN)]
    assert panels(figure_of({"stuck_synapses": stuck})) == ["layer 1: 33.3 % of 6", "layer 2: 0.0 % of 3"]
    bars = table({"stuck_synapses": stuck})
    assert bars.loc[bars["left"].isna(), ["layer", "count"]].to_numpy().tolist() == [[1, 4], [2, 3]]
    held = bars[bars["left"].notna()]
    assert (held["left"] == held["right"]).all()
    assert held[["layer", "left", "count"]].to_numpy().tolist() == [[1, -1, 1], [1, 1, 1], [2, -1, 0], [2, 1, 0]]


@pytest.mark.parametrize("value", [0.0, -0.3])
def test_a_quantity_without_spread_is_one_bar(value: float) -> None:
    shown = {"drift.v_th": [np.full((1, 7), value), np.full((1, 2), value)]}
    assert panels(figure_of(shown)) == ["layer 1: n = 7", "layer 2: n = 2"]
    assert table(shown)[["left", "right", "count"]].to_numpy().tolist() == [[value, value, 7], [value, value, 2]]


@pytest.mark.parametrize(
    ("shown", "width"),
    [
        (drawn(120, 3), style.COLUMN),
        (drawn(246, 10, inputs=256, quantities=9), style.PAGE),
        (drawn(350, 10, inputs=784, quantities=4), style.COLUMN),
        (drawn(30, 20, 10, 30, 3), style.PAGE),
        (drawn(3), style.COLUMN),
        ({"stuck_synapses": [np.full((3, 2), NAN)]}, style.COLUMN),
    ],
    ids=["yin_yang", "many quantities", "many synapses", "many layers", "one layer", "nothing stuck"],
)
def test_every_text_is_legible(shown: Drawn, width: float, assert_legible: Callable[[Figure], None]) -> None:
    figure = figure_of(shown)
    assert_legible(figure)
    assert figure.get_size_inches()[0] == width
    assert len(panels(figure)) == sum(map(len, shown.values()))
    titles = [axes.get_title("left") for axes in figure.axes if axes.get_visible() and axes.get_title("left")]
    assert titles == [name if name == "dead_neurons" else f"{name} (of the largest weight)" for name in shown]


def test_a_chip_on_which_nothing_was_drawn_has_no_picture() -> None:
    with pytest.raises(ValueError, match="no quantity is drawn"):
        figure_of({})
