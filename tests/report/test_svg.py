"""Figures within a page: unique ids, colours that change in dark mode, and texts for their markers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ttfsrun.figures import style
from ttfsrun.report.svg import svg_figure


@dataclass
class Drawing:
    figure: Figure
    hover: dict[str, list[str]] = field(default_factory=dict)
    name: str = "accuracy"
    caption: str = 'Accuracy <b> & "more"'
    numbers: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"bits": [1, 2], "accuracy": [0.5, np.nan]}))


def new_axes() -> tuple[Figure, Axes]:
    with style.figure_style():
        figure = style.new_figure(style.COLUMN, 2.0)
        return figure, figure.subplots()


def marks(svg: str, key: str) -> list[str]:
    """Return the numbers of the markers within the group with an id."""
    return re.findall(r'data-mark="(\d+)"', svg.partition(f'id="{key}"')[2])


@pytest.mark.parametrize("n", [1, 2, 30])
def test_each_marker_of_a_scatter_has_a_number_also_where_it_is_alone(n: int) -> None:
    figure, axes = new_axes()
    axes.scatter(range(n), range(n), color=style.BLUE, edgecolors="white").set_gid("points")
    made = svg_figure(Drawing(figure, {"points": [f"point {i}" for i in range(n)]}), 3)
    assert marks(made.svg, "figure3-points") == [str(i) for i in range(n)]
    assert made.hover == {"figure3-points": [f"point {i}" for i in range(n)]}


def test_the_markers_of_a_line_and_the_cells_of_a_mesh_have_numbers() -> None:
    figure, axes = new_axes()
    axes.plot([1, 2, 3], [1, 3, 2], "o-", color=style.BLUE, gid="line")
    axes.pcolormesh(np.arange(6).reshape(2, 3)).set_gid("mesh")
    made = svg_figure(Drawing(figure, {"line": list("abc"), "mesh": list("abcdef")}), 1)
    assert made.svg.count("data-mark=") == 9


def test_texts_that_cannot_belong_to_their_markers_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    figure, axes = new_axes()
    axes.scatter([1, 2, np.nan], [1, 2, 3]).set_gid("points")  # Matplotlib leaves out nan
    made = svg_figure(Drawing(figure, {"points": ["a", "b", "c"], "absent": ["d"]}), 1)
    assert made.hover == {}
    assert "data-mark" not in made.svg
    assert caplog.messages == [
        "figure accuracy: points has 2 markers and 3 texts for them",
        "figure accuracy: absent has 0 markers and 1 texts for them",
    ]


def test_two_pictures_of_a_page_share_no_id_and_each_reference_has_its_target() -> None:
    pictures = []
    for number in (1, 2):
        figure, axes = new_axes()
        axes.scatter([1, 2], [1, 2])
        axes.set_xlabel(r"$\tau_\mathrm{syn}$")
        pictures.append(svg_figure(Drawing(figure), number).svg)
    ids = [match for svg in pictures for match in re.findall(r'\bid="([^"]*)"', svg)]
    assert len(ids) == len(set(ids)) > 20
    targets = [match for svg in pictures for match in re.findall(r'(?:href="|url\()#([^")]*)', svg)]
    assert set(targets) <= set(ids)


def test_a_picture_brings_no_rules_for_the_rest_of_the_page_and_escapes_its_caption() -> None:
    figure, axes = new_axes()
    axes.set_title("a </svg><script> & b")
    svg = svg_figure(Drawing(figure), 1).svg
    assert "<style" not in svg
    assert "<script" not in svg
    assert "<!--" not in svg
    assert "<?xml" not in svg
    assert 'aria-label="Accuracy &lt;b&gt; &amp; &quot;more&quot;"' in svg


@pytest.mark.parametrize(
    "add_cells",
    [
        lambda axes: axes.pcolormesh(np.arange(6).reshape(2, 3)),
        lambda axes: axes.add_patch(Rectangle((0, 0), 1, 1, facecolor=style.PALE)),
    ],
)
def test_ink_and_paper_change_in_the_dark_but_not_beneath_words_on_coloured_cells(
    add_cells: Callable[[Axes], object],
) -> None:
    figure, axes = new_axes()
    axes.plot([1, 2], color=style.BLUE)
    made = svg_figure(Drawing(figure), 1)
    assert not made.is_paper
    assert "var(--figure-ink)" in made.svg
    assert "var(--figure-blue)" in made.svg
    assert style.INK not in made.svg
    add_cells(axes)
    made = svg_figure(Drawing(figure), 1)
    assert made.is_paper
    assert "var(--" not in made.svg


@pytest.mark.parametrize(("colour", "is_lost"), [("#440154", True), ("#CC79A7", False)])
def test_a_figure_with_a_colour_that_is_lost_in_the_dark_stays_on_paper(colour: str, is_lost: bool) -> None:
    figure, axes = new_axes()
    axes.plot([1, 2], color=colour)
    assert svg_figure(Drawing(figure), 1).is_paper == is_lost


def test_a_picture_is_the_same_bytes_again() -> None:
    made = []
    for _ in range(2):
        figure, axes = new_axes()
        axes.bar([1, 2], [1, 2], hatch="//")
        made.append(svg_figure(Drawing(figure), 1))
    assert made[0] == made[1]
    assert made[0].csv == "bits,accuracy\n1,0.5\n2,\n"
