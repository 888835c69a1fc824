"""The figures of a sweep: chosen from the settings that vary and the numbers in its table."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import pandas as pd

from ttfsrun.config.conditions import OWN
from ttfsrun.figures import style
from ttfsrun.figures.sweep import labels, palette, roles, rows, transfer
from ttfsrun.figures.sweep.confusions import confusions
from ttfsrun.figures.sweep.drawing import PlotOptions, Supplement, SweepFigure
from ttfsrun.figures.sweep.heat_map import LARGEST, heat_map
from ttfsrun.figures.sweep.learning import learning
from ttfsrun.figures.sweep.one_at_a_time import OneAtATime
from ttfsrun.figures.sweep.palette import Palette
from ttfsrun.figures.sweep.ranking import ranking
from ttfsrun.figures.sweep.roles import Roles
from ttfsrun.figures.sweep.rows import MEASURED
from ttfsrun.figures.sweep.strength import MANY, Lines, Panel, strength
from ttfsrun.figures.sweep.trade_off import trade_off
from ttfsrun.report.plot_data import PlotData
from ttfsrun.results.table import CONDITION, DATA, setting_columns

__all__ = ["PlotOptions", "Supplement", "SweepFigure", "select_figures"]

AWAY = "away from the base"  # column: the setting in which a point differs from the base
OFF: tuple[rows.Value, ...] = (0.0, None)  # strengths at which an imperfection is off
# Settings that have no effect where every imperfection is off
IDLE_WITHOUT_IMPERFECTIONS = ("protocol", "training.backward", "training.perturbed", "evaluation.")
MAX_DASHED = 2  # dashed lines
MIN_LINE_VALUES = 3  # values of a setting that make a line
MIN_FILLED = 0.6  # share of the cells of a heat map that need a number


def select_figures(
    table: pd.DataFrame,
    varying: Sequence[str],
    options: PlotOptions | None = None,
    supplement: Supplement | None = None,
) -> list[SweepFigure]:
    """Return all figures for which a table of a sweep has numbers; none where no point is done.

    table: as `results.load` returns it, with the rows of missing points, which belong to the grid.
    varying: its settings that vary. options: where a column is given, only the figure with these columns.
    Raises UserError where an option names no column, or no metric.
    """
    data = PlotData.of(table, varying, options or PlotOptions(), supplement or Supplement())
    if data.rows.empty:
        return []
    figures = [*_strengths(data), *_strengths_of_conditions(data)]
    figures += [] if data.has_chosen_columns else _other_figures(data)
    return [dataclasses.replace(figure, caption=figure.caption.replace(style.TAU_SYN, "tau_syn")) for figure in figures]


def _strengths(data: PlotData) -> Iterator[SweepFigure]:
    """Plot the metric against the settings: in a panel for each where they vary one at a time or at random."""
    if data.design and not data.has_chosen_columns:
        yield from _one_at_a_time(data, data.design)
        return
    random_keys = [key for key in data.keys if data.rows[key].nunique() > MANY and rows.numeric(list(data.rows[key]))]
    if len(random_keys) > 1 and not data.has_chosen_columns:
        panels = [Panel(key, data.own_or_main) for key in random_keys]
        yield strength("strength", panels, data.metric, Palette(), Lines())
        return
    selected = data.rows if data.has_chosen_columns else data.main
    if data.options.x and data.options.x.startswith(f"{CONDITION}."):
        selected = selected[selected[data.options.x].notna()]
    if data.options.y and len(selected):
        yield _strength_with_roles(data, "strength", selected, roles.choose_roles(selected, data.keys, data.options))


def _strengths_of_conditions(data: PlotData) -> Iterator[SweepFigure]:
    """Plot the metric against each setting over which conditions have a grid."""
    for column in [] if data.has_chosen_columns else data.condition_settings:
        selected = data.rows[data.rows[column].notna()]
        if selected[column].nunique() > 1:
            options = dataclasses.replace(data.options, x=column)
            name = "strength_" + column.removeprefix(f"{CONDITION}.").replace(".", "_")
            yield _strength_with_roles(data, name, selected, roles.choose_roles(selected, data.keys, options))


def _strength_with_roles(data: PlotData, name: str, selected: pd.DataFrame, chosen: Roles) -> SweepFigure:
    """Plot the metric of rows against a column, with other columns as colours, line styles and panels."""
    if CONDITION not in chosen.columns and CONDITION in chosen.pooled:
        selected = selected[selected[CONDITION] == OWN]
    colours_and_markers = _palette(selected, (chosen.hue, chosen.style))
    panels = [Panel(chosen.x, selected)]
    if chosen.panel:
        parts = rows.group_by(selected, [chosen.panel])
        panels = [
            Panel(chosen.x, part, f"{labels.title(chosen.panel)} {labels.text(value)}") for (value,), part in parts
        ]
    figure = strength(name, panels, data.metric, colours_and_markers, _lines(data, chosen))
    pooled = [labels.title(key) for key in chosen.pooled if key != CONDITION]
    settings = setting_columns([str(name) for name in data.table])
    linked = [labels.title(key) for key in roles.moving_together(data.table, settings, chosen.x)]
    caption = figure.caption + (f" Taken together: all values of {', '.join(pooled)}." if pooled else "")
    caption += f" {', '.join(linked)} moves with it." if linked and chosen.x in data.keys else ""
    return dataclasses.replace(figure, caption=caption)


def _palette(selected: pd.DataFrame, columns: Sequence[str | None]) -> Palette:
    """Return colours for the first of these columns and markers for the second, as far as there are any."""
    hue, style_key = (*columns, None, None)[:2]
    return Palette(*(palette.make_key(column, list(selected[column]) if column else []) for column in (hue, style_key)))


def _lines(data: PlotData, chosen: Roles | None) -> Lines:
    """Return the level of chance, and of networks with every imperfection off, else in ideal simulation."""
    chance = None
    if data.metric.endswith("_accuracy") and data.supplement.classes:
        chance = 100 * (1 - 1 / data.supplement.classes)
    strengths = [key for key in data.keys if key.startswith("substrate.")]
    others = [key for key in data.keys if key not in strengths and not key.startswith(IDLE_WITHOUT_IMPERFECTIONS)]
    own = data.own
    off = own[[all(row[key] in OFF for key in strengths) for row in own.to_dict("records")]]
    parts = list(rows.group_by(off, others)) if strengths and len(off) else []
    if 0 < len(parts) <= MAX_DASHED:
        return Lines([(float(part[MEASURED].median()), _name_of_off(part, strengths)) for _, part in parts], chance)
    simulated = data.main[(data.main[CONDITION] != OWN) & (data.main["perturbed"] == False)]  # noqa: E712
    if len(simulated) and not others and (chosen is None or CONDITION not in chosen.columns):
        return Lines([(float(simulated[MEASURED].median()), "ideal simulation")], chance)
    return Lines([], chance)


def _name_of_off(part: pd.DataFrame, strengths: Sequence[str]) -> str:
    """Return the name of the line of networks whose imperfections are off."""
    values = {labels.text(value) for value in part[strengths[0]]} if len(strengths) == 1 else set()
    return f"{labels.title(strengths[0])} {values.pop()}" if len(values) == 1 else "all of them off"


def _one_at_a_time(data: PlotData, design: OneAtATime) -> Iterator[SweepFigure]:
    """Plot a panel for each setting; nothing where none has enough values for a line: the ranking shows these."""
    selected = data.own_or_main
    panels = [Panel(key, design.along(selected, key)) for key in design.keys]
    panels = [panel for panel in panels if panel.rows[panel.x].nunique(dropna=False) > 1]
    if max((panel.rows[panel.x].nunique(dropna=False) for panel in panels), default=0) < MIN_LINE_VALUES:
        return
    lines = _lines(data, None)
    at_base = design.at_base(selected)
    if not lines.unperturbed and len(at_base) and not design.crossed:
        lines = Lines([(float(at_base[MEASURED].median()), "the base")], lines.chance)
    yield strength("strength", panels, data.metric, _palette(selected, design.crossed), lines)


def _other_figures(data: PlotData) -> Iterator[SweepFigure]:
    """Plot every figure other than the strengths, of the points' own condition where only one can be shown."""
    selected = data.own_or_main
    chosen = roles.choose_roles(selected, data.keys, PlotOptions())
    varied = [key for key in (chosen.x, chosen.hue) if key and key != CONDITION]
    shown = data.design.crossed if data.design else varied
    figures: list[SweepFigure | None] = []
    if data.design:
        figures.append(ranking("ranking", selected, data.design, data.metric))
    else:
        figures += _heat_maps(data, selected)
    if transfer.is_some(data.main):
        figures.append(transfer.transfer("transfer", data.main, data.metric, data.keys))
    figures.append(_trade_off(data, selected, shown))
    figures += _curves(data, shown)
    figures += _confusions(data, selected, shown)
    yield from (figure for figure in figures if figure)


def _trade_off(data: PlotData, selected: pd.DataFrame, shown: Sequence[str]) -> SweepFigure | None:
    """Plot the error against costs. shown: columns for colours and markers, of which there are two at most."""
    if data.design:
        away = [data.design.away(row) for row in selected.to_dict("records")]
        selected = selected.assign(**{AWAY: [labels.title(keys[0]) if keys else "nothing" for keys in away]})
        shown = [AWAY, *shown] if len(shown) < 2 else shown
    return trade_off("trade_off", data.table, selected, data.metric, _palette(selected, shown))


def _curves(data: PlotData, shown: Sequence[str]) -> Iterator[SweepFigure | None]:
    """Plot learning curves for each value of the first two of these columns, with the other settings fixed."""
    curves = data.supplement.curves
    if curves is None or not set(data.keys) <= set(curves):
        return
    plain = {key: pd.Series(rows.plain_values(curves[key]), curves.index, object) for key in data.keys}
    column, panel = (*shown, None, None)[:2]
    selected, note = _fix_others(data, curves.assign(**plain), [column, panel])
    yield _with_note(learning("curves", selected, column, panel), note)


def _confusions(data: PlotData, selected: pd.DataFrame, shown: Sequence[str]) -> Iterator[SweepFigure | None]:
    """Plot confusion matrices of each data: for the first of these columns that varies, and for several conditions."""
    if data.supplement.confusion is None or data.design:
        return
    data_names = data.table[DATA] if DATA in data.table else pd.Series("", data.table.index)
    names = list(data_names.unique())
    for name in names:
        suffix = f"_{name}" if len(names) > 1 else ""
        part, main = (table[data_names[table.index] == name] for table in (selected, data.main))
        column = next((key for key in shown if part[key].nunique(dropna=False) > 1), None)
        figures = [("confusion", part, column)] if column else []
        if not column or main[CONDITION].nunique() > 1:
            figures.append(("confusion_conditions" if column else "confusion", main, CONDITION))
        for title, table, key in figures:
            fixed, note = _fix_others(data, table, [key])
            yield _with_note(confusions(title + suffix, fixed, key, data.supplement), note)


def _with_note(figure: SweepFigure | None, note: str) -> SweepFigure | None:
    return figure and dataclasses.replace(figure, caption=figure.caption + note)


def _fix_others(data: PlotData, table: pd.DataFrame, free: Sequence[str | None]) -> tuple[pd.DataFrame, str]:
    """Return the rows with all settings but these at one value, and a note for the caption that names the values.

    The value is that of the base, else the one that means off, else the first.
    """
    if data.design:
        return data.design.at_base(table), " All at the base."
    fixed = []
    for key in [key for key in data.keys if key not in free]:
        values = rows.levels(list(table[key]))
        if len(values) > 1:
            chosen = next((value for value in values if value in OFF), values[0])
            table = table[[value == chosen for value in table[key]]]
            fixed.append(f"{labels.title(key)} {labels.text(chosen)}")
    return table, f" All at {', '.join(fixed)}." if fixed else ""


def _heat_maps(data: PlotData, selected: pd.DataFrame) -> Iterator[SweepFigure]:
    """Plot a heat map over the two numbers with the most values, where most pairs of these were computed."""
    n_values = {key: selected[key].nunique(dropna=False) for key in data.keys if rows.numeric(list(selected[key]))}
    numbers = sorted((key for key, n in n_values.items() if n > 1), key=lambda key: -n_values[key])
    if len(numbers) < 2:
        return
    x, y = numbers[:2]
    n_cells = len(set(zip(selected[x], selected[y], strict=True)))
    if n_values[x] <= LARGEST and n_cells >= MIN_FILLED * n_values[x] * n_values[y]:
        others = [key for key in data.keys if key not in (x, y)]
        yield heat_map("heat_map", selected, (x, y), data.metric, others)
