"""Checks of every figure: each text is complete and large enough, and no two texts overlap."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

from ttfsrun.figures import style

PIXEL = 1.0  # tolerance for the rounding of a glyph's edge


def _tick_labels(axis: Axis) -> list[Text]:
    low, high = sorted(axis.get_view_interval())
    return [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]


def _titles(axes: Axes) -> list[Text]:
    """Return the titles in the middle and on the left; the latter has no public name."""
    return [axes.title, axes._left_title]  # type: ignore[attr-defined]


def texts_of(figure: Figure) -> list[Text]:
    """Return the visible texts, without those of ticks outside the axes' limits."""
    texts = list(figure.texts)
    legends = list(figure.legends)
    for axes in figure.axes:
        if not axes.get_visible():
            continue
        texts += [*_titles(axes), *axes.texts]
        legend = axes.get_legend()
        legends += [legend] if legend is not None else []
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                texts += [axis.label, *_tick_labels(axis)]
    texts += [text for legend in legends for text in legend.get_texts()]
    return [text for text in texts if text.get_visible() and text.get_text()]


@pytest.fixture
def assert_legible() -> Callable[[Figure], None]:
    def check(figure: Figure) -> None:
        with style.figure_style():
            figure.draw_without_rendering()
        boxes = {
            f"{text.get_text()!r} ({number})": text.get_window_extent() for number, text in enumerate(texts_of(figure))
        }
        assert boxes
        canvas = figure.bbox
        for name, box in boxes.items():
            assert box.x0 >= -PIXEL, f"{name} is cut off on the left"
            assert box.y0 >= -PIXEL, f"{name} is cut off at the bottom"
            assert box.x1 <= canvas.x1 + PIXEL, f"{name} is cut off on the right"
            assert box.y1 <= canvas.y1 + PIXEL, f"{name} is cut off at the top"
        for (one, a), (other, b) in combinations(boxes.items(), 2):
            across = min(a.x1, b.x1) - max(a.x0, b.x0)
            along = min(a.y1, b.y1) - max(a.y0, b.y0)
            assert min(across, along) <= PIXEL, f"{one} overlaps {other}"
        assert min(float(text.get_fontsize()) for text in texts_of(figure)) >= style.SMALL

    return check
