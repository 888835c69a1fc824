"""Which imperfection costs most: what a metric loses where one setting leaves the common base."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ttfsrun.figures import style
from ttfsrun.figures.sweep import labels, palette
from ttfsrun.figures.sweep.drawing import SweepFigure
from ttfsrun.figures.sweep.one_at_a_time import OneAtATime
from ttfsrun.figures.sweep.palette import Palette
from ttfsrun.figures.sweep.rows import HOVER, MEASURED, Value, counted, group_by, statistics

MOST_VALUES = 14  # rows with which every value of every setting is shown; of more, the worst of each setting
MOST_PANELS = 3
ROW = 0.2  # height, in inches
CHANGED, AT, LOSS = "setting", "at", "loss"  # columns: what left the base, for which value, at which loss
DODGE = 0.22  # between colours, in rows
LONGEST = 34  # characters of a row's name
Place = tuple[str, Value]  # a setting and its value: a row


def ranking(name: str, rows: pd.DataFrame, each: OneAtATime, metric: str) -> SweepFigure | None:
    """Medians and quartiles over networks that are paired by their seeds; None where no pair is done.

    rows: with the columns of seeds, see `rows.of`. A loss is the metric minus that of the base, as it is drawn: of an
    error, percentage points. A panel for each value of the settings that the base depends on, colours for the others.
    """
    pairs = _pairs(rows, each)
    if pairs.empty:
        return None
    panels = list(group_by(pairs, each.apart))[:MOST_PANELS]
    told_by = [key for key in each.crossed if key not in each.apart]
    keys = Palette(*(palette.make_key(key, list(pairs[key])) for key in told_by))
    orders = [_order(statistics(part, [CHANGED, AT, *told_by], LOSS)) for _, part in panels]
    hover: dict[str, list[str]] = {}
    with style.figure_style():
        width = style.COLUMN if len(panels) == 1 else style.PAGE
        figure = style.new_figure(width, 0.75 + ROW * max(*map(len, orders), 3))
        grid = figure.subplots(1, len(panels), squeeze=False, sharex=True)[0]
        for axes, (values, part), order in zip(grid, panels, orders, strict=True):
            number = len(hover)
            hover |= _panel(axes, part, order, (keys, f"{name}-points-{number}"))
            told = labels.named(each.apart, values)
            n = statistics(part, [CHANGED, AT, *told_by], LOSS)["n"]
            axes.set_title("\n".join([*told, counted(n)]))
        figure.supxlabel(_axis(metric)) if len(panels) > 1 else grid[0].set_xlabel(_axis(metric))
        palette.legend(figure, keys, lines=False)
    numbers = statistics(pairs, [*each.apart, CHANGED, AT, *told_by], LOSS)
    shortened = sum(map(len, orders)) < len(numbers[[*each.apart, CHANGED, AT]].drop_duplicates())
    numbers[AT] = [labels.text(value) for value in numbers[AT]]
    return SweepFigure(name, _caption(metric, numbers, shortened), figure, numbers, hover)


def _pairs(rows: pd.DataFrame, each: OneAtATime) -> pd.DataFrame:
    """Every network away from the base beside that at the base with the same seeds, with its `loss`."""
    seeds = [str(name) for name in rows if str(name).startswith("seed.")]
    known: dict[tuple[Value, ...], list[float]] = {}
    away = []
    for row in rows.to_dict("records"):
        left, network = each.away(row), tuple(row[name] for name in [*each.crossed, *seeds])
        if left:
            away.append((left[0], row, network))
        else:
            known.setdefault(network, []).append(row[MEASURED])
    told = [
        {CHANGED: key, AT: row[key], LOSS: row[MEASURED] - sum(known[network]) / len(known[network]), **row}
        for key, row, network in away
        if network in known
    ]
    columns = [CHANGED, AT, LOSS, *map(str, rows.columns)]
    return pd.DataFrame({name: pd.Series([row[name] for row in told], dtype=object) for name in columns})


def _panel(axes: Axes, pairs: pd.DataFrame, order: list[Place], how: tuple[Palette, str]) -> dict[str, list[str]]:
    """how: the colours, and how the gid of its points begins. Returns the texts of the points."""
    keys, gid = how
    at = {place: number for number, place in enumerate(order)}
    axes.axvline(0, color=style.GREY, linewidth=0.8, zorder=1)
    shown = pairs[[place in at for place in zip(pairs[CHANGED], pairs[AT], strict=True)]]
    series = list(group_by(shown, keys.columns))
    hover = {}
    for number, (values, own) in enumerate(series):
        look, shift = keys.look(values), DODGE * (number - (len(series) - 1) / 2)
        places = [at[place] + shift for place in zip(own[CHANGED], own[AT], strict=True)]
        drawn = {"color": look.colour, "marker": look.marker}
        points = own[LOSS].astype(float)
        axes.scatter(points, places, s=6, alpha=0.3, linewidths=0, gid=f"{gid}-{number}", **drawn)  # type: ignore[arg-type]
        hover[f"{gid}-{number}"] = [f"{loss:+.3g}: {text}" for loss, text in zip(points, own[HOVER], strict=True)]
        for setting, value, middle, low, high in _medians(own):
            place = at[setting, value] + shift
            axes.plot([low, high], [place] * 2, color=look.colour, linewidth=1.2, solid_capstyle="butt")
            axes.plot([middle], [place], markersize=3.6, **drawn)  # type: ignore[arg-type]
    axes.set_yticks(range(len(order)), [_name(*place) for place in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    return hover


def _medians(own: pd.DataFrame) -> Iterator[tuple[str, Value, float, float, float]]:
    told = statistics(own, [CHANGED, AT], LOSS)
    yield from told[[CHANGED, AT, "median", "q25", "q75"]].itertuples(index=False, name=None)


def _order(told: pd.DataFrame) -> list[Place]:
    """The rows from above, the largest loss first."""
    worst: dict[Place, float] = {}
    for setting, value, middle in zip(told[CHANGED], told[AT], told["median"], strict=True):
        worst[setting, value] = max(float(middle), worst.get((setting, value), float("-inf")))
    order = sorted(worst, key=lambda place: -worst[place])
    if len(order) <= MOST_VALUES:
        return order
    first: dict[str, Place] = {}
    for place in order:
        first.setdefault(place[0], place)
    return list(first.values())


def _name(setting: str, value: Value) -> str:
    return labels.wrapped(f"{labels.title(setting)} {labels.text(value)}", LONGEST, lines=1)


def _axis(metric: str) -> str:
    split = metric.partition("_")[0]
    if metric.endswith("_accuracy"):
        return f"loss of {split} accuracy (percentage points)"
    return f"change of {labels.metric(metric)}"


def _caption(metric: str, told: pd.DataFrame, shortened: bool) -> str:
    text = _axis(metric)
    return (
        f"{text[0].upper()}{text[1:]} where one setting leaves the base, against the network with the same seeds "
        f"at the base: medians, quartiles as bars, light points for single networks ({counted(told['n'])})."
        + (" Of each setting, its worst value." if shortened else "")
    )
