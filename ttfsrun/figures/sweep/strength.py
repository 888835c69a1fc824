"""A metric against the strength of one or several imperfections, or any other setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ttfsrun.figures import logarithmic, style
from ttfsrun.figures.sweep import labels, palette
from ttfsrun.figures.sweep.drawing import SweepFigure
from ttfsrun.figures.sweep.palette import LineStyle, Palette
from ttfsrun.figures.sweep.rows import HOVER, MEASURED, STATISTICS, Value, counted, group_by, statistics
from ttfsrun.figures.sweep.scale import CHARACTER, Scale, scale

MANY = 15  # from so many values on, each with a single network, points tell more than a line through them
ACROSS = 4  # panels in a row
HEIGHT_ONE, HEIGHT = 2.2, 1.65  # of a single panel, and of each row of several, in inches
BESIDE_LEFT, BETWEEN = 0.5, 0.12  # room for the vertical axis and between panels, in inches
DODGE = 0.035  # between neighbouring colours, in inches
DECADE = 10


@dataclass(frozen=True)
class Panel:
    """x: the column on the horizontal axis. title: what is the same for all its rows; "" for nothing."""

    x: str
    rows: pd.DataFrame
    title: str = ""


@dataclass(frozen=True)
class Lines:
    """Horizontal lines: where the network is without the imperfections that vary, and where chance is."""

    unperturbed: list[tuple[float, str]] = field(default_factory=list)  # with what each is called
    chance: float | None = None


def strength(name: str, panels: Sequence[Panel], metric: str, keys: Palette, lines: Lines) -> SweepFigure:
    """Medians as lines, quartiles as bands or bars, each network as a light point; all panels with one vertical axis.

    Rows have the columns of `rows.of`: `value` is the metric as it is drawn.
    """
    across, width = _across(len(panels))
    down = -(-len(panels) // across)
    hover: dict[str, list[str]] = {}
    with style.figure_style():
        figure = style.new_figure(width, HEIGHT_ONE if len(panels) == 1 else 0.35 + HEIGHT * down)
        grid = figure.subplots(down, across, squeeze=False, sharey=True)
        inner = (width - BESIDE_LEFT - BETWEEN * across) / across
        bottom = _vertical(grid[0, 0], np.concatenate([panel.rows[MEASURED] for panel in panels]).astype(float))
        shown = _horizontal_lines(list(grid.flat[: len(panels)]), lines)
        for number, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
            hover |= _panel(axes, panel, keys, f"{name}-points-{number}", (inner, bottom))
            if number % across == 0:
                axes.set_ylabel(labels.metric(metric))
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        palette.legend(figure, keys, shown)
    numbers = _numbers(panels, keys)
    return SweepFigure(name, _caption(panels, metric, keys, lines, numbers), figure, numbers, hover)


def _across(n: int) -> tuple[int, float]:
    if n <= 2:
        return n, style.COLUMN
    across = n if n <= ACROSS else 3 if n in (5, 6, 9) else ACROSS
    return across, style.PAGE


def _vertical(axes: Axes, values: np.ndarray) -> float:
    """The scale of the vertical axis; returns where a zero is drawn."""
    positive = values[values > 0]
    if len(positive) and (values >= 0).all() and positive.max() > DECADE**0.5 * positive.min():
        logarithmic.vertical(axes, positive)
        return float(axes.get_ylim()[0])
    low, high = values.min(), values.max()
    room = 0.06 * (high - low) or max(0.05 * abs(high), 0.05)
    axes.set_ylim(low - room, high + room)
    return -np.inf


def _horizontal_lines(panels: Sequence[Axes], lines: Lines) -> list[Artist]:
    """Draws them, and returns what stands in the legend. Chance only where the axis reaches anyway."""
    shown: list[Artist] = []
    low, high = panels[0].get_ylim()
    drawn: list[tuple[float, str, tuple[int, tuple[float, float]]]]
    drawn = [(*each, (0, (4, 2))) for each in lines.unperturbed]
    if lines.chance is not None and low <= lines.chance <= high:
        drawn.append((lines.chance, "chance", (0, (1, 1.5))))
    for value, name, dashes in drawn:
        for axes in panels:
            axes.axhline(value, color=style.GREY, linewidth=0.8, linestyle=dashes, zorder=1)
        if name in [each.get_label() for each in shown]:
            continue
        shown.append(Line2D([], [], color=style.GREY, linewidth=0.8, linestyle=dashes, label=name))
    return shown


def _panel(axes: Axes, panel: Panel, keys: Palette, gid: str, room: tuple[float, float]) -> dict[str, list[str]]:
    """Draws one panel; returns the texts of its points. room: its width in inches, and where a zero stands."""
    width, bottom = room
    across = scale(list(panel.rows[panel.x]), width)
    across.apply(axes)
    characters = int(width / CHARACTER)
    axes.set_xlabel(labels.wrapped(labels.label(panel.x), characters))
    counts = statistics(panel.rows, [panel.x, *keys.columns])["n"]
    axes.set_title("\n".join(filter(None, [labels.wrapped(panel.title, characters), counted(counts)])))
    drawn = panel.rows.assign(**{MEASURED: np.maximum(panel.rows[MEASURED].astype(float), bottom)})
    series = list(group_by(drawn, keys.columns))
    hover = {}
    for number, (values, rows) in enumerate(series):
        middle = number - (len(series) - 1) / 2
        each = DODGE if across.together else min(0.16, 0.5 * across.ends[1] / len(across.places) / len(series))
        own = f"{gid}-{number}"
        _points(axes, rows, panel.x, across, (keys.look(values), middle * each, own))
        hover[own] = list(rows[HOVER])
        if not _only_points(rows, panel.x):
            _medians(axes, statistics(rows, [panel.x]), across, keys.look(values), middle * each)
    return hover


def _only_points(rows: pd.DataFrame, x: str) -> bool:
    """Where there are many values of a network each."""
    n = rows[x].nunique(dropna=False)
    return n > MANY and len(rows) < 2 * n


def _points(axes: Axes, rows: pd.DataFrame, x: str, across: Scale, how: tuple[LineStyle, float, str]) -> None:
    look, shift, gid = how
    alpha = 0.75 if _only_points(rows, x) else 0.35
    places = across.of(list(rows[x])) + shift
    axes.scatter(places, rows[MEASURED], s=6, color=look.colour, marker=look.marker, alpha=alpha, linewidths=0,
                 zorder=2, gid=gid)  # fmt: skip


def _medians(axes: Axes, told: pd.DataFrame, across: Scale, look: LineStyle, shift: float) -> None:
    """A line with a band through values that have a size, a marker with a bar for those that stand apart."""
    column = told.columns[0]
    joined = told[[value in across.together for value in told[column]]]
    apart = told.drop(joined.index)
    if len(joined) == 1:
        apart, joined = told, joined.iloc[:0]
    style_of_marker = {"color": look.colour, "marker": look.marker, "markersize": 3.2, "zorder": 4}
    if len(joined):
        places = across.of(list(joined[column])) + shift
        axes.plot(places, joined["median"], linestyle=look.line, **style_of_marker)  # type: ignore[arg-type]
        if joined["n"].max() > 1:
            low, high = joined["q25"].astype(float), joined["q75"].astype(float)
            axes.fill_between(places, low, high, color=look.colour, alpha=0.18, linewidth=0, zorder=1.5)
    for value, middle, low, high, _ in apart[[column, *STATISTICS]].itertuples(index=False):
        place = across.of([value])[0] + shift
        axes.plot([place] * 2, [low, high], color=look.colour, linewidth=1.0, zorder=3)
        axes.plot([place], [middle], linestyle="", **style_of_marker)  # type: ignore[arg-type]


def _numbers(panels: Sequence[Panel], keys: Palette) -> pd.DataFrame:
    """One row for each marker of a median: `setting` on the axis, its `value`, panel, colour, style, statistics."""
    tables = []
    for panel in panels:
        told = statistics(panel.rows, [panel.x, *keys.columns])
        told.insert(0, "setting", panel.x)
        told.insert(1, "at", [labels.text(value) for value in told[panel.x]])
        if any(each.title for each in panels):
            told.insert(2, "panel", panel.title)
        tables.append(told.drop(columns=panel.x))
    return pd.concat(tables, ignore_index=True)


def _caption(panels: Sequence[Panel], metric: str, keys: Palette, lines: Lines, numbers: pd.DataFrame) -> str:
    settings: list[Value] = list(dict.fromkeys(panel.x for panel in panels))
    against = ", ".join(labels.title(str(key)) for key in settings)
    text = f"{labels.metric(metric).capitalize()} against {against}"
    if keys.columns:
        text += f", for each {' and '.join(labels.title(column) for column in keys.columns)}"
    if any(_only_points(panel.rows, panel.x) for panel in panels):
        return f"{text}. Each point is one evaluation ({counted([sum(len(panel.rows) for panel in panels)])})."
    text += (
        f". Markers: medians ({counted(numbers['n'])}); bands and bars: quartiles; light points: single evaluations."
    )
    if lines.unperturbed:
        named = " and ".join(dict.fromkeys(name for _, name in lines.unperturbed))
        text += f" Dashed: median of the networks, {named}."
    return text
