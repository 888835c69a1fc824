from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from ttfsrun.figures.decision_map import COLOURS, NAMES, Outline, decision_map, table

OUTLINE = Outline(r_small=0.1, r_big=0.5)
G = 50
GRID = (np.arange(G) + 0.5) / G


def shown(axes: Axes) -> np.ndarray:
    """Return the image's values, masked where the background is visible."""
    return np.asanyarray(axes.images[0].get_array())


def half_and_half() -> np.ndarray:
    """Return times [G, G, 3]: yin is first below y = 0.5, yang above, and dot is silent in the left half."""
    x, y = np.meshgrid(GRID, GRID)
    return np.stack([1 + y, 2 - y, np.where(x < 0.5, np.inf, 3.0)], axis=-1)


def test_the_rows_of_the_grid_are_y_and_grow_upwards() -> None:
    figure = decision_map(GRID, GRID, half_and_half(), OUTLINE)
    image = figure.axes[0].images[0]
    assert image.origin == "lower"
    assert image.get_extent() == pytest.approx((0, 1, 0, 1))
    decided = shown(figure.axes[0])
    assert (decided[: G // 2] == NAMES.index("yin")).all()
    assert (decided[G // 2 :] == NAMES.index("yang")).all()


def test_silent_and_undecided_points_are_left_to_the_hatching() -> None:
    times = half_and_half()
    times[:10] = np.inf
    decision, *panels = [shown(axes) for axes in decision_map(GRID, GRID, times, OUTLINE).axes[:4]]
    assert (np.ma.getmaskarray(decision) == np.isinf(times).all(axis=-1)).all()
    for index, panel in enumerate(panels):
        assert (np.ma.getmaskarray(panel) == np.isinf(times[..., index])).all()


def test_the_caption_gives_the_silent_part_of_the_circle() -> None:
    figure = decision_map(GRID, GRID, half_and_half(), OUTLINE)
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes[1:4]] == [
        [],
        [],
        ["hatched: no spike (50.0 %)"],
    ]


def test_the_three_label_neurons_share_one_colour_scale_of_the_points_in_the_circle() -> None:
    times = half_and_half()
    corner = ~OUTLINE.contains(*np.meshgrid(GRID, GRID))
    times[corner] = 1000.0
    norms = [axes.images[0].norm for axes in decision_map(GRID, GRID, times, OUTLINE).axes[1:4]]
    assert norms[0] is norms[1] is norms[2]
    brightness = np.asarray(norms[0](np.array([1.0, 3.0])), dtype=float)
    assert brightness == pytest.approx([0, 1], abs=0.02)


def test_wrong_test_points_are_marked_in_the_colour_of_their_true_class() -> None:
    tested = pd.DataFrame({"x": [0.2, 0.4, 0.6], "y": [0.5] * 3, "label": [0, 1, 2], "decided": [0, 0, -1]})
    axes = decision_map(GRID, GRID, half_and_half(), OUTLINE, tested).axes[0]
    (marks,) = axes.collections
    assert np.asarray(marks.get_offsets()).tolist() == [[0.4, 0.5], [0.6, 0.5]]
    assert [tuple(colour) for colour in np.asarray(marks.get_facecolor())] == [to_rgba(COLOURS[1]), to_rgba(COLOURS[2])]
    assert [text.get_text() for text in axes.texts] == ["circles: 2 of 3 test points wrong"]


def test_the_s_curve_runs_half_a_dots_orbit_around_each_dot() -> None:
    curve = OUTLINE.s_curve()
    assert curve[[0, -1]] == pytest.approx(np.array([[0, 0.5], [1, 0.5]]))
    left, right = curve[curve[:, 0] < 0.5 - 1e-9], curve[curve[:, 0] > 0.5 + 1e-9]
    assert np.hypot(*(left - [0.25, 0.5]).T) == pytest.approx(0.25)
    assert np.hypot(*(right - [0.75, 0.5]).T) == pytest.approx(0.25)
    assert (left[:, 1] <= 0.5).all()
    assert (right[:, 1] >= 0.5).all()


def test_every_text_is_legible(assert_legible: Callable[[Figure], None]) -> None:
    tested = pd.DataFrame({"x": [0.5] * 1000, "y": 0.5, "label": 0, "decided": [0] * 950 + [1] * 50})
    times = half_and_half()
    times[20:25] = np.inf
    assert_legible(decision_map(GRID, GRID, times, OUTLINE, tested))


def test_a_network_without_any_output_spike_is_drawn(assert_legible: Callable[[Figure], None]) -> None:
    assert_legible(decision_map(GRID, GRID, np.full((G, G, 3), np.inf), OUTLINE))


def test_the_table_holds_the_points_of_the_circle_with_their_decision() -> None:
    numbers = table(GRID, GRID, half_and_half(), OUTLINE)
    assert len(numbers) / G**2 == pytest.approx(np.pi / 4, rel=0.02)
    assert (np.hypot(numbers["x"] - 0.5, numbers["y"] - 0.5) <= 0.5).all()
    assert (numbers["yin"] == 1 + numbers["y"]).all()
    assert (np.isinf(numbers["dot"]) == (numbers["x"] < 0.5)).all()
    assert (numbers["decided"] == np.where(numbers["y"] < 0.5, "yin", "yang")).all()


def test_times_that_do_not_fit_the_grid_are_refused() -> None:
    with pytest.raises(ValueError, match=r"need \(50, 50, 3\)"):
        decision_map(GRID, GRID, half_and_half()[:-1], OUTLINE)
