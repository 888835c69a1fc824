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
from ttfsrun.figures.sweep import labels, marks
from ttfsrun.figures.sweep.drawing import SweepFigure
from ttfsrun.figures.sweep.palette import LineStyle, Palette, legend
from ttfsrun.figures.sweep.rows import HOVER, MEASURED, STATISTICS, Value, counted, group_by, statistics
from ttfsrun.figures.sweep.scale import CHARACTER, Scale, scale

MANY = 15  # with more values than these, each with a single network, points show more than a line through them
MAX_PANELS_PER_ROW = 4
HEIGHT_ONE, HEIGHT = 2.2, 1.65  # of a single panel, and of each row of several, in inches
LEFT_MARGIN, BETWEEN = 0.5, 0.12  # room for the vertical axis and between panels, in inches
DODGE = 0.035  # between neighbouring colours, in inches
DECADE = 10


@dataclass(frozen=True)
class Panel:
    """The rows of one panel. x: the column on the horizontal axis. title: what its rows share; "" for nothing."""

    x: str
    rows: pd.DataFrame
    title: str = ""


@dataclass(frozen=True)
class Lines:
    """Horizontal lines: the metric without the imperfections that vary, and the chance level."""

    unperturbed: list[tuple[float, str]] = field(default_factory=list)  # values with their names
    chance: float | None = None


@dataclass(frozen=True)
class Place:
    """The width of a panel in inches, the lowest value on its vertical axis, whether there are many evaluations."""

    width: float
    bottom: float
    is_many: bool


def strength(name: str, panels: Sequence[Panel], metric: str, palette: Palette, lines: Lines) -> SweepFigure:
    """Plot medians as lines, quartiles as bands or bars, and each network as a light point.

    All panels share one vertical axis. Their rows have the columns of `rows.plain_rows`.
    """
    across, width = _layout(len(panels))
    down = -(-len(panels) // across)
    hover: dict[str, list[str]] = {}
    with style.figure_style():
        figure = style.new_figure(width, HEIGHT_ONE if len(panels) == 1 else 0.35 + HEIGHT * down)
        grid = figure.subplots(down, across, squeeze=False, sharey=True)
        panel_width = (width - LEFT_MARGIN - BETWEEN * across) / across
        bottom = _scale_vertical(grid[0, 0], np.concatenate([panel.rows[MEASURED] for panel in panels]).astype(float))
        handles = _horizontal_lines(list(grid.flat[: len(panels)]), lines)
        place = Place(panel_width, bottom, _are_many(panels))
        for number, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
            hover |= _panel(axes, panel, palette, f"{name}-points-{number}", place)
            if number % across == 0:
                axes.set_ylabel(labels.metric(metric))
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        legend(figure, palette, handles)
    numbers = _numbers(panels, palette)
    return SweepFigure(name, _caption(panels, metric, palette, lines, numbers), figure, numbers, hover)


def _layout(n: int) -> tuple[int, float]:
    """Return how many of n panels are in a row, and the width of the figure in inches."""
    if n <= 2:
        return n, style.COLUMN
    across = n if n <= MAX_PANELS_PER_ROW else 3 if n in (5, 6, 9) else MAX_PANELS_PER_ROW
    return across, style.PAGE


def _scale_vertical(axes: Axes, values: np.ndarray) -> float:
    """Set the scale of the vertical axis; return the lowest value that can be plotted on it."""
    positive = values[values > 0]
    if len(positive) and (values >= 0).all() and positive.max() > DECADE**0.5 * positive.min():
        logarithmic.vertical(axes, positive)
        return float(axes.get_ylim()[0])
    low, high = values.min(), values.max()
    room = 0.06 * (high - low) or max(0.05 * abs(high), 0.05)
    axes.set_ylim(low - room, high + room)
    return -np.inf


def _horizontal_lines(panels: Sequence[Axes], lines: Lines) -> list[Artist]:
    """Plot the horizontal lines, with chance only where it is within the axis; return their entries in the legend."""
    handles: list[Artist] = []
    low, high = panels[0].get_ylim()
    entries: list[tuple[float, str, tuple[int, tuple[float, float]]]]
    entries = [(value, name, (0, (4, 2))) for value, name in lines.unperturbed]
    if lines.chance is not None and low <= lines.chance <= high:
        entries.append((lines.chance, "chance", (0, (1, 1.5))))
    for value, name, dashes in entries:
        for axes in panels:
            axes.axhline(value, color=style.GREY, linewidth=0.8, linestyle=dashes, zorder=1)
        if name in [handle.get_label() for handle in handles]:
            continue
        handles.append(Line2D([], [], color=style.GREY, linewidth=0.8, linestyle=dashes, label=name))
    return handles


def _are_many(panels: Sequence[Panel]) -> bool:
    """Return whether the figure has more evaluations than can have a marker each."""
    return sum(len(panel.rows) for panel in panels) > marks.MAX_SINGLE


def _panel(axes: Axes, panel: Panel, palette: Palette, gid: str, place: Place) -> dict[str, list[str]]:
    """Plot one panel; return the texts of its points by gid. gid: the beginning of all gids."""
    x_scale = scale(list(panel.rows[panel.x]), place.width)
    x_scale.apply(axes)
    characters = int(place.width / CHARACTER)
    axes.set_xlabel(labels.wrapped(labels.label(panel.x), characters))
    counts = statistics(panel.rows, [panel.x, *palette.columns])["n"]
    axes.set_title("\n".join(filter(None, [labels.wrapped(panel.title, characters), counted(counts)])))
    clipped = panel.rows.assign(**{MEASURED: np.maximum(panel.rows[MEASURED].astype(float), place.bottom)})
    series = list(group_by(clipped, palette.columns))
    dodge = DODGE if x_scale.joined else min(0.16, 0.5 * x_scale.ends[1] / len(x_scale.positions) / len(series))
    hover = {}
    for number, (values, rows) in enumerate(series):
        shift = (number - (len(series) - 1) / 2) * dodge
        series_gid, line_style = f"{gid}-{number}", palette.line_style(values)
        positions = x_scale.positions_of(list(rows[panel.x])) + shift
        if not place.is_many:
            _points(axes, rows, panel.x, positions, line_style, series_gid)
            hover[series_gid] = list(rows[HOVER])
        else:
            marking = marks.Marking(line_style.colour, line_style.marker, series_gid)
            hover[series_gid] = _many_points(axes, rows, panel.x, positions, marking)
        if not _has_only_points(rows, panel.x):
            _medians(axes, statistics(rows, [panel.x]), x_scale, line_style, shift)
    return hover


def _has_only_points(rows: pd.DataFrame, x: str) -> bool:
    """Return whether there are many values with about one network each."""
    n = rows[x].nunique(dropna=False)
    return n > MANY and len(rows) < 2 * n


def _points(axes: Axes, rows: pd.DataFrame, x: str, positions: np.ndarray, line_style: LineStyle, gid: str) -> None:
    alpha = 0.75 if _has_only_points(rows, x) else 0.35
    axes.scatter(positions, rows[MEASURED], s=6, color=line_style.colour, marker=line_style.marker, alpha=alpha,
                 linewidths=0, zorder=2, gid=gid)  # fmt: skip


def _many_points(axes: Axes, rows: pd.DataFrame, x: str, positions: np.ndarray, marking: marks.Marking) -> list[str]:
    """Plot what many rows have in common; return the text of each marker."""
    values, texts = rows[MEASURED].to_numpy(dtype=float), list(rows[HOVER])
    if not _has_only_points(rows, x):
        return marks.draw_extremes(axes, positions, values, texts, marking)
    is_log = axes.get_yscale() == "log" and bool(values.min() > 0)
    return marks.draw_on_grid(axes, marks.rounded(positions), marks.rounded(values, is_log), texts, marking)


def _medians(axes: Axes, medians: pd.DataFrame, x_scale: Scale, line_style: LineStyle, shift: float) -> None:
    """Plot a line with a band through values that can be joined, and a marker with a bar for each of the others."""
    column = medians.columns[0]
    joined = medians[[value in x_scale.joined for value in medians[column]]]
    single = medians.drop(joined.index)
    if len(joined) == 1:
        single, joined = medians, joined.iloc[:0]
    marker_style = {"color": line_style.colour, "marker": line_style.marker, "markersize": 3.2, "zorder": 4}
    if len(joined):
        positions = x_scale.positions_of(list(joined[column])) + shift
        axes.plot(positions, joined["median"], linestyle=line_style.line, **marker_style)  # type: ignore[arg-type]
        if joined["n"].max() > 1:
            low, high = joined["q25"].astype(float), joined["q75"].astype(float)
            axes.fill_between(positions, low, high, color=line_style.colour, alpha=0.18, linewidth=0, zorder=1.5)
    for value, median, low, high, _ in single[[column, *STATISTICS]].itertuples(index=False):
        position = x_scale.positions_of([value])[0] + shift
        axes.plot([position] * 2, [low, high], color=line_style.colour, linewidth=1.0, zorder=3)
        axes.plot([position], [median], linestyle="", **marker_style)  # type: ignore[arg-type]


def _numbers(panels: Sequence[Panel], palette: Palette) -> pd.DataFrame:
    """Return one row for each median: `setting`, its value `at`, panel, colour, style, statistics."""
    tables = []
    for panel in panels:
        table = statistics(panel.rows, [panel.x, *palette.columns])
        table.insert(0, "setting", panel.x)
        table.insert(1, "at", [labels.text(value) for value in table[panel.x]])
        if any(other.title for other in panels):
            table.insert(2, "panel", panel.title)
        tables.append(table.drop(columns=panel.x))
    return pd.concat(tables, ignore_index=True)


def _caption(panels: Sequence[Panel], metric: str, palette: Palette, lines: Lines, numbers: pd.DataFrame) -> str:
    settings: list[Value] = list(dict.fromkeys(panel.x for panel in panels))
    titles = ", ".join(labels.title(str(key)) for key in settings)
    text = f"{labels.metric(metric).capitalize()} against {titles}"
    if palette.columns:
        text += f", for each {' and '.join(labels.title(column) for column in palette.columns)}"
    if any(_has_only_points(panel.rows, panel.x) for panel in panels):
        n = sum(len(panel.rows) for panel in panels)
        each = marks.ON_GRID.capitalize() if _are_many(panels) else "Each point is one evaluation"
        return f"{text}. {each} ({counted([n])})."
    light = marks.EXTREMES if _are_many(panels) else "light points: single evaluations"
    text += f". Markers: medians ({counted(numbers['n'])}); bands and bars: quartiles; {light}."
    if lines.unperturbed:
        names = " and ".join(dict.fromkeys(name for _, name in lines.unperturbed))
        text += f" Dashed: median of the networks, {names}."
    return text
