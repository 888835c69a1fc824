"""The figures of a sweep: which of them its table has something for, chosen from what varies."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ttfsrun.errors import UserError
from ttfsrun.figures import style
from ttfsrun.figures.sweep import labels, one_at_a_time, palette, roles, rows, transfer
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
from ttfsrun.results.table import CONDITION, DATA, setting_columns

__all__ = ["PlotOptions", "Supplement", "SweepFigure", "select_figures"]

OWN = "own"
AWAY = "away from the base"  # the column that says what is
OFF: tuple[rows.Value, ...] = (0.0, None)  # strengths at which an imperfection is off
OF_THE_SUBSTRATE = ("protocol", "training.backward", "training.perturbed", "evaluation.")  # idle where all is off
MOST_LINES = 2  # dashed ones
FEWEST = 3  # values of a setting that make a line
FULL = 0.6  # share of the cells of a heat map that have to have a number


def select_figures(
    table: pd.DataFrame, varying: Sequence[str], wishes: PlotOptions | None = None, beside: Supplement | None = None
) -> list[SweepFigure]:
    """All figures that a table of a sweep has something for; none where no point is done.

    table: as `results.load` gives it, in whole: points that are missing tell of the grid, too. varying: its settings
    that vary. A UserError for a wish that names no column, or a metric that is none.
    """
    sheet = PlotData.of(table, varying, wishes or PlotOptions(), beside or Supplement())
    if sheet.rows.empty:
        return []
    found = [*_strengths(sheet), *_of_conditions(sheet)]
    found += [] if sheet.wished else _beyond(sheet)  # what was asked for, and nothing else
    return [dataclasses.replace(each, caption=each.caption.replace(style.TAU_SYN, "tau_syn")) for each in found]


@dataclass(frozen=True)
class PlotData:
    """What all figures of a table share. rows: see `rows.of`. keys: settings that vary by themselves, without seeds."""

    table: pd.DataFrame
    rows: pd.DataFrame
    keys: list[str]
    each: OneAtATime | None
    wishes: PlotOptions
    beside: Supplement

    @classmethod
    def of(cls, table: pd.DataFrame, varying: Sequence[str], wishes: PlotOptions, beside: Supplement) -> PlotData:
        table = table.reset_index(drop=True)
        named = {"--x": wishes.x, "--hue": wishes.hue, "--style": wishes.style}
        wished = {flag: name for flag, name in named.items() if name}
        _check(table, wished, wishes.y)
        keys = roles.independent(table, varying)
        seeds = [key for key in varying if key.startswith(roles.SEEDS) and key in table]
        found = rows.plain_rows(table, [*keys, *seeds, *wished.values()], wishes.y)
        points = pd.DataFrame({key: rows.plain_values(table[key]) for key in keys}, dtype=object)
        return cls(table, found, keys, one_at_a_time.detect(points, keys), wishes, beside)

    @property
    def wished(self) -> bool:
        return any((self.wishes.x, self.wishes.hue, self.wishes.style))

    @property
    def metric(self) -> str:
        return self.wishes.y

    @property
    def main(self) -> pd.DataFrame:
        """The rows of conditions that have no grid of their own."""
        grids = [name for name in self.rows if str(name).startswith(f"{CONDITION}.")]
        return self.rows[self.rows[grids].isna().all(axis=1)] if grids else self.rows

    @property
    def own(self) -> pd.DataFrame:
        """Those of the point's own condition."""
        return self.main[self.main[CONDITION] == OWN]


def _check(table: pd.DataFrame, wished: Mapping[str, str], metric: str) -> None:
    for flag, name in wished.items():
        if name not in table:
            known = [str(key) for key in table if "." in str(key) or key in (CONDITION, "chip", "protocol")]
            raise UserError(f"{flag} {name}: the table has no such column; choose from {', '.join(known)}")
    numbers = [str(key) for key in table if str(key).partition("_")[0] in ("test", "valid", "train")]
    if metric not in numbers:
        raise UserError(f"--y {metric}: the table has no such metric; choose from {', '.join(numbers)}")


def _strengths(sheet: PlotData) -> Iterator[SweepFigure]:
    """The metric against what varies: a panel for each setting where each leaves the base alone."""
    if sheet.each and not sheet.wished:
        yield from _one_at_a_time(sheet, sheet.each)
        return
    drawn = [key for key in sheet.keys if sheet.rows[key].nunique() > MANY and rows.numeric(list(sheet.rows[key]))]
    if len(drawn) > 1 and not sheet.wished:
        own = sheet.own if len(sheet.own) else sheet.main
        yield strength("strength", [Panel(key, own) for key in drawn], sheet.metric, Palette(), Lines())
        return
    here = sheet.rows if sheet.wished else sheet.main
    if sheet.wishes.x and sheet.wishes.x.startswith(f"{CONDITION}."):
        here = here[here[sheet.wishes.x].notna()]
    if sheet.wishes.y and len(here):
        yield _against(sheet, "strength", here, roles.choose_roles(here, sheet.keys, sheet.wishes))


def _of_conditions(sheet: PlotData) -> Iterator[SweepFigure]:
    """The same for the settings over which conditions have a grid."""
    for column in [] if sheet.wished else [str(name) for name in sheet.rows if str(name).startswith(f"{CONDITION}.")]:
        here = sheet.rows[sheet.rows[column].notna()]
        if here[column].nunique() > 1:
            wishes = dataclasses.replace(sheet.wishes, x=column)
            name = "strength_" + column.removeprefix(f"{CONDITION}.").replace(".", "_")
            yield _against(sheet, name, here, roles.choose_roles(here, sheet.keys, wishes))


def _against(sheet: PlotData, name: str, here: pd.DataFrame, chosen: Roles) -> SweepFigure:
    if CONDITION not in chosen.columns and CONDITION in chosen.pooled:
        here = here[here[CONDITION] == OWN]
    keys = _palette(here, (chosen.hue, chosen.style))
    panels = [Panel(chosen.x, here)]
    if chosen.panel:
        parts = rows.group_by(here, [chosen.panel])
        panels = [
            Panel(chosen.x, part, f"{labels.title(chosen.panel)} {labels.text(value)}") for (value,), part in parts
        ]
    drawing = strength(name, panels, sheet.metric, keys, _lines(sheet, chosen))
    pooled = [labels.title(key) for key in chosen.pooled if key != CONDITION]
    settings = setting_columns([str(name) for name in sheet.table])
    pairs = [labels.title(other) for other in roles.moving_together(sheet.table, settings, chosen.x)]
    caption = drawing.caption + (f" Taken together: all values of {', '.join(pooled)}." if pooled else "")
    caption += f" {', '.join(pairs)} moves with it." if pairs and chosen.x in sheet.keys else ""
    return dataclasses.replace(drawing, caption=caption)


def _palette(here: pd.DataFrame, columns: Sequence[str | None]) -> Palette:
    """Colours for the first of these columns, markers for the second, if there are any."""
    hue, style_key = (*columns, None, None)[:2]
    return Palette(*(palette.make_key(column, list(here[column]) if column else []) for column in (hue, style_key)))


def _lines(sheet: PlotData, chosen: Roles | None) -> Lines:
    """Where the networks are with all that varies off; else the network in ideal simulation."""
    chance = None
    if sheet.metric.endswith("_accuracy") and sheet.beside.classes:
        chance = 100 * (1 - 1 / sheet.beside.classes)
    strengths = [key for key in sheet.keys if key.startswith("substrate.")]
    others = [key for key in sheet.keys if key not in strengths and not key.startswith(OF_THE_SUBSTRATE)]
    own = sheet.own
    off = own[[all(row[key] in OFF for key in strengths) for row in own.to_dict("records")]]
    parts = list(rows.group_by(off, others)) if strengths and len(off) else []
    if 0 < len(parts) <= MOST_LINES:
        return Lines([(float(part[MEASURED].median()), _name_of(part, strengths)) for _, part in parts], chance)
    simulated = sheet.main[(sheet.main[CONDITION] != OWN) & (sheet.main["perturbed"] == False)]  # noqa: E712
    if len(simulated) and not others and (chosen is None or CONDITION not in chosen.columns):
        return Lines([(float(simulated[MEASURED].median()), "ideal simulation")], chance)
    return Lines([], chance)


def _name_of(part: pd.DataFrame, strengths: Sequence[str]) -> str:
    """What is off."""
    values = {labels.text(value) for value in part[strengths[0]]} if len(strengths) == 1 else set()
    return f"{labels.title(strengths[0])} {values.pop()}" if len(values) == 1 else "all of them off"


def _one_at_a_time(sheet: PlotData, each: OneAtATime) -> Iterator[SweepFigure]:
    """A panel for each setting; none where each has only one value beside the base, which the ranking tells."""
    own = sheet.own if len(sheet.own) else sheet.main
    panels = [Panel(key, each.along(own, key)) for key in each.keys]
    panels = [panel for panel in panels if panel.rows[panel.x].nunique(dropna=False) > 1]
    if max((panel.rows[panel.x].nunique(dropna=False) for panel in panels), default=0) < FEWEST:
        return
    lines = _lines(sheet, None)
    at_base = each.at_base(own)
    if not lines.unperturbed and len(at_base) and not each.crossed:
        lines = Lines([(float(at_base[MEASURED].median()), "the base")], lines.chance)
    yield strength("strength", panels, sheet.metric, _palette(own, each.crossed), lines)


def _beyond(sheet: PlotData) -> Iterator[SweepFigure]:
    """Everything but the strengths, of the points' own condition where one has to be chosen."""
    own = sheet.own if len(sheet.own) else sheet.main
    chosen = roles.choose_roles(own, sheet.keys, PlotOptions())
    told = sheet.each.crossed if sheet.each else [key for key in (chosen.x, chosen.hue) if key and key != CONDITION]
    found: list[SweepFigure | None] = []
    if sheet.each:
        found.append(ranking("ranking", own, sheet.each, sheet.metric))
    else:
        found += _heat_maps(sheet, own)
    if transfer.is_some(sheet.main):
        found.append(transfer.transfer("transfer", sheet.main, sheet.metric, sheet.keys))
    found.append(_trade_off(sheet, own, told))
    found += _from_shards(sheet, own, told)
    yield from (drawing for drawing in found if drawing)


def _trade_off(sheet: PlotData, own: pd.DataFrame, told: Sequence[str]) -> SweepFigure | None:
    if sheet.each:
        away = [sheet.each.away(row) for row in own.to_dict("records")]
        own = own.assign(**{AWAY: [labels.title(left[0]) if left else "nothing" for left in away]})
        told = [AWAY, *told] if len(told) < 2 else told  # colours and markers tell of two at most
    return trade_off("trade_off", sheet.table, own, sheet.metric, _palette(own, told))


def _from_shards(sheet: PlotData, own: pd.DataFrame, told: Sequence[str]) -> Iterator[SweepFigure | None]:
    """What tables do not tell, for each value of the first of these columns; all others but seeds are at one value."""
    curves, column = sheet.beside.curves, told[0] if told else None
    if curves is not None and set(sheet.keys) <= set(curves):
        curves = curves.assign(
            **{key: pd.Series(rows.plain_values(curves[key]), curves.index, object) for key in sheet.keys}
        )
        panel = next(iter(told[1:]), None)
        kept, where = _held(sheet, curves, [column, panel])
        yield _saying(learning("curves", kept, column, panel), where)
    yield from _confusions(sheet, own, told)


def _confusions(sheet: PlotData, own: pd.DataFrame, told: Sequence[str]) -> Iterator[SweepFigure | None]:
    """Of each data: by the first of these columns, and by conditions where there are several."""
    if sheet.beside.confusion is None or sheet.each:
        return
    data = sheet.table[DATA] if DATA in sheet.table else pd.Series("", sheet.table.index)
    names = list(data.unique())
    for name in names:
        suffix = f"_{name}" if len(names) > 1 else ""
        here, main = (table[data[table.index] == name] for table in (own, sheet.main))
        column = next((key for key in told if here[key].nunique(dropna=False) > 1), None)
        found = [("confusion", here, column)] if column else []
        if not column or main[CONDITION].nunique() > 1:
            found.append(("confusion_conditions" if column else "confusion", main, CONDITION))
        for title, table, key in found:
            kept, where = _held(sheet, table, [key])
            yield _saying(confusions(title + suffix, kept, key, sheet.beside), where)


def _saying(drawing: SweepFigure | None, more: str) -> SweepFigure | None:
    return drawing and dataclasses.replace(drawing, caption=drawing.caption + more)


def _held(sheet: PlotData, table: pd.DataFrame, free: Sequence[str | None]) -> tuple[pd.DataFrame, str]:
    """The rows at the base, or where all settings but these are off, or at their first value; in words, too."""
    if sheet.each:
        return sheet.each.at_base(table), " All at the base."
    told = []
    for key in [key for key in sheet.keys if key not in free]:
        values = rows.levels(list(table[key]))
        if len(values) > 1:
            kept = next((value for value in values if value in OFF), values[0])
            table = table[[value == kept for value in table[key]]]
            told.append(f"{labels.title(key)} {labels.text(kept)}")
    return table, f" All at {', '.join(told)}." if told else ""


def _heat_maps(sheet: PlotData, own: pd.DataFrame) -> Iterator[SweepFigure]:
    """Of the two numbers with most values, where most pairs of them were computed."""
    numbers = [key for key in sheet.keys if rows.numeric(list(own[key])) and own[key].nunique(dropna=False) > 1]
    numbers.sort(key=lambda key: -own[key].nunique(dropna=False))
    if len(numbers) < 2:
        return
    x, y = numbers[:2]
    cells, n = len(set(zip(own[x], own[y], strict=True))), [own[key].nunique(dropna=False) for key in (x, y)]
    if n[0] <= LARGEST and cells >= FULL * n[0] * n[1]:
        others = [key for key in sheet.keys if key not in (x, y)]
        yield heat_map("heat_map", own, (x, y), sheet.metric, others)
