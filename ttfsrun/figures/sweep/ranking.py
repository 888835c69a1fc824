"""The imperfections with the largest effect: the change of a metric where one setting differs from the base."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures import style
from ttfsrun.figures.sweep import labels, marks
from ttfsrun.figures.sweep.drawing import SweepFigure
from ttfsrun.figures.sweep.one_at_a_time import OneAtATime
from ttfsrun.figures.sweep.palette import Palette, legend, make_key
from ttfsrun.figures.sweep.rows import HOVER, MEASURED, Value, counted, group_by, statistics

MAX_ROWS = 14  # up to so many rows every value of every setting is shown; else only the worst value of each setting
MAX_PANELS = 3
ROW_HEIGHT = 0.2  # in inches
CHANGED, AT, DROP = "setting", "at", "drop"  # columns: the setting off the base, its value, and the accuracy drop
DODGE = 0.22  # between colours, in rows
MAX_CHARACTERS = 34  # of a row's name
Entry = tuple[str, Value]  # a setting and its value: a row of the figure


def ranking(name: str, rows: pd.DataFrame, design: OneAtATime, metric: str) -> SweepFigure | None:
    """Plot medians and quartiles of the drop, over networks that are paired by their seeds.

    rows: with the columns of seeds, see `rows.plain_rows`. The drop is the plotted metric minus that at the base: for
    an accuracy, which is plotted as an error, in percentage points. Settings that the base depends on have a panel for
    each value, other crossed settings have colours. Return None where no pair is done.
    """
    pairs = _pairs(rows, design)
    if pairs.empty:
        return None
    panels = list(group_by(pairs, design.apart))[:MAX_PANELS]
    coloured = [key for key in design.crossed if key not in design.apart]
    palette = Palette(*(make_key(key, list(pairs[key])) for key in coloured))
    orders = [_order(_statistics(part, coloured)) for _, part in panels]
    hover: dict[str, list[str]] = {}
    with style.figure_style():
        width = style.COLUMN if len(panels) == 1 else style.PAGE
        figure = style.new_figure(width, 0.75 + ROW_HEIGHT * max(*map(len, orders), 3))
        grid = figure.subplots(1, len(panels), squeeze=False, sharex=True)[0]
        for axes, (values, part), order in zip(grid, panels, orders, strict=True):
            hover |= _panel(axes, part, order, palette, f"{name}-points-{len(hover)}")
            titles = labels.named(design.apart, values)
            axes.set_title("\n".join([*titles, counted(_statistics(part, coloured)["n"])]))
        figure.supxlabel(_axis_label(metric)) if len(panels) > 1 else grid[0].set_xlabel(_axis_label(metric))
        legend(figure, palette, lines=False)
    numbers = statistics(pairs, [*design.apart, CHANGED, AT, *coloured], DROP)
    is_shortened = sum(map(len, orders)) < len(numbers[[*design.apart, CHANGED, AT]].drop_duplicates())
    is_many = any(len(part) > marks.MAX_SINGLE for _, part in panels)
    numbers[AT] = [labels.text(value) for value in numbers[AT]]
    return SweepFigure(name, _caption(metric, numbers, is_shortened, is_many), figure, numbers, hover)


def _statistics(pairs: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    return statistics(pairs, [CHANGED, AT, *keys], DROP)


def _pairs(rows: pd.DataFrame, design: OneAtATime) -> pd.DataFrame:
    """Return every network off the base that has a partner with the same seeds at the base, with its drop."""
    seeds = [str(name) for name in rows if str(name).startswith("seed.")]
    at_base: dict[tuple[Value, ...], list[float]] = {}
    away = []
    for row in rows.to_dict("records"):
        changed, network = design.away(row), tuple(row[name] for name in [*design.crossed, *seeds])
        if changed:
            away.append((changed[0], row, network))
        else:
            at_base.setdefault(network, []).append(row[MEASURED])
    records = [
        {CHANGED: key, AT: row[key], DROP: row[MEASURED] - sum(at_base[network]) / len(at_base[network]), **row}
        for key, row, network in away
        if network in at_base
    ]
    columns = [CHANGED, AT, DROP, *map(str, rows.columns)]
    return pd.DataFrame({name: pd.Series([record[name] for record in records], dtype=object) for name in columns})


def _panel(axes: Axes, pairs: pd.DataFrame, order: list[Entry], palette: Palette, gid: str) -> dict[str, list[str]]:
    """Plot one panel; return the texts of its points by gid. gid: the beginning of all gids."""
    row_of = {entry: number for number, entry in enumerate(order)}
    axes.axvline(0, color=style.GREY, linewidth=0.8, zorder=1)
    plotted = pairs[[entry in row_of for entry in zip(pairs[CHANGED], pairs[AT], strict=True)]]
    series = list(group_by(plotted, palette.columns))
    hover = {}
    for number, (values, networks) in enumerate(series):
        line_style, shift = palette.line_style(values), DODGE * (number - (len(series) - 1) / 2)
        heights = [row_of[entry] + shift for entry in zip(networks[CHANGED], networks[AT], strict=True)]
        marker_style = {"color": line_style.colour, "marker": line_style.marker}
        drops, series_gid = networks[DROP].to_numpy(dtype=float), f"{gid}-{number}"
        texts = [f"{drop:+.3g}: {text}" for drop, text in zip(drops, networks[HOVER], strict=True)]
        if len(pairs) <= marks.MAX_SINGLE:
            axes.scatter(drops, heights, s=6, alpha=0.3, linewidths=0, gid=series_gid, **marker_style)  # type: ignore[arg-type]
        else:
            marking = marks.Marking(line_style.colour, line_style.marker, series_gid)
            texts = marks.draw_extremes(axes, np.array(heights), drops, texts, marking, upright=False)
        hover[series_gid] = texts
        for setting, value, median, low, high in _medians(networks):
            height = row_of[setting, value] + shift
            axes.plot([low, high], [height] * 2, color=line_style.colour, linewidth=1.2, solid_capstyle="butt")
            axes.plot([median], [height], markersize=3.6, **marker_style)  # type: ignore[arg-type]
    axes.set_yticks(range(len(order)), [_entry_label(*entry) for entry in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    return hover


def _medians(networks: pd.DataFrame) -> Iterator[tuple[str, Value, float, float, float]]:
    """Yield setting, value, median and quartiles of each row of the figure."""
    medians = _statistics(networks, [])
    yield from medians[[CHANGED, AT, "median", "q25", "q75"]].itertuples(index=False, name=None)


def _order(medians: pd.DataFrame) -> list[Entry]:
    """Return the rows of the figure from the top, the largest drop first."""
    worst: dict[Entry, float] = {}
    for setting, value, median in zip(medians[CHANGED], medians[AT], medians["median"], strict=True):
        worst[setting, value] = max(float(median), worst.get((setting, value), float("-inf")))
    order = sorted(worst, key=lambda entry: -worst[entry])
    if len(order) <= MAX_ROWS:
        return order
    first: dict[str, Entry] = {}
    for entry in order:
        first.setdefault(entry[0], entry)
    return list(first.values())


def _entry_label(setting: str, value: Value) -> str:
    return labels.wrapped(f"{labels.title(setting)} {labels.text(value)}", MAX_CHARACTERS, lines=1)


def _axis_label(metric: str) -> str:
    split = metric.partition("_")[0]
    if metric.endswith("_accuracy"):
        return f"loss of {split} accuracy (percentage points)"
    return f"change of {labels.metric(metric)}"


def _caption(metric: str, numbers: pd.DataFrame, is_shortened: bool, is_many: bool) -> str:
    text = _axis_label(metric)
    light = marks.EXTREMES if is_many else "light points for single networks"
    return (
        f"{text[0].upper()}{text[1:]} where one setting leaves the base, against the network with the same seeds "
        f"at the base: medians, quartiles as bars, {light} ({counted(numbers['n'])})."
        + (" Of each setting, its worst value." if is_shortened else "")
    )
