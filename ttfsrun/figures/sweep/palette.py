"""Which colour and which marker a value of a setting has, and the legend that tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ttfsrun.figures import style
from ttfsrun.figures.sweep import labels
from ttfsrun.figures.sweep.rows import Value, levels, numeric

# Okabe and Ito (2008), the rest of them; yellow is too light for lines
COLOURS = (style.BLUE, style.VERMILLION, style.GREEN, style.ORANGE, "#CC79A7", "#56B4E9", style.INK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
LINES = ("-", (0, (4, 1.2)), (0, (1, 1)), (0, (4, 1, 1, 1)))
DARK, LIGHT = 0.0, 0.86  # of the scale for numbers: its lightest end is lost on paper
CHARACTER = 0.052  # width of one in a legend, in inches
HANDLE = 0.27  # of the line before it, with the room around
MOST = 14  # entries of a legend for each column
LONGEST = 36  # characters of an entry


@dataclass(frozen=True)
class Key:
    """A column whose values are told apart by colours, or by markers and lines."""

    column: str
    values: list[Value]

    def colour(self, value: Value) -> str:
        place = self._places[value]
        return _ordered(place, len(self.values)) if self._on_a_scale else COLOURS[place]

    def marker(self, value: Value) -> str:
        return MARKERS[self._places[value] % len(MARKERS)]

    def line(self, value: Value) -> object:
        return LINES[self._places[value] % len(LINES)]

    @cached_property
    def _places(self) -> dict[Value, int]:
        return {value: place for place, value in reversed(list(enumerate(self.values)))}

    @cached_property
    def _on_a_scale(self) -> bool:
        return (numeric(self.values) and len(self.values) > 2) or len(self.values) > len(COLOURS)


@dataclass(frozen=True)
class Palette:
    """hue: by colour (and by marker where there is no style); style: by marker and line."""

    hue: Key | None = None
    style: Key | None = None

    @property
    def columns(self) -> list[str]:
        return [key.column for key in (self.hue, self.style) if key]

    def look(self, values: Sequence[Value]) -> LineStyle:
        """Of these values of `columns`."""
        named = dict(zip(self.columns, values, strict=True))
        look = {}
        if self.hue:
            look["colour"] = self.hue.colour(named[self.hue.column])
            look["marker"] = self.hue.marker(named[self.hue.column])
        if self.style:
            look["marker"] = self.style.marker(named[self.style.column])
            return LineStyle(**look, line=self.style.line(named[self.style.column]))
        return LineStyle(**look)

    def handles(self, lines: bool = True) -> list[list[Artist]]:
        """For a legend: what the column is, and its values, of each column."""
        found: list[list[Artist]] = []
        for key in (self.hue, self.style):
            if key is None:
                continue
            own = key is self.hue
            entries: list[Artist] = [Line2D([], [], linestyle="", label=f"{_short(labels.title(key.column))}:")]
            for value in _some(key.values):
                look = LineStyle(
                    key.colour(value) if own else style.GREY,
                    "" if own and self.style else key.marker(value),
                    "-" if own else key.line(value),
                )
                entries.append(_handle(look, _short(labels.text(value)), lines))
            found.append(entries)
        return found


@dataclass(frozen=True)
class LineStyle:
    colour: str = style.BLUE
    marker: str = "o"
    line: object = field(default="-")


def make_key(column: str | None, values: Sequence[Value]) -> Key | None:
    return None if column is None else Key(column, levels(values))


def _ordered(place: int, n: int) -> str:
    share = DARK + (LIGHT - DARK) * place / max(n - 1, 1)
    return to_hex(colormaps["viridis"](share))


def _handle(look: LineStyle, text: str, lines: bool) -> Line2D:
    marker = look.marker or ("" if lines else "o")
    drawn = look.line if lines else ""
    return Line2D([], [], color=look.colour, marker=marker, markersize=3, linestyle=drawn, label=text)  # type: ignore[arg-type]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def _some(values: list[Value]) -> list[Value]:
    """Of many values some, with the first and the last."""
    step = -(-len(values) // MOST)
    return values if step == 1 else [*values[:-1:step], values[-1]]


def legend(figure: Figure, keys: Palette, others: Sequence[Artist] = (), lines: bool = True) -> None:
    """Above the panels: a row for each column, or more where it has many values; then the others."""
    named = keys.handles(lines)
    parts = [*named, *([[*([_nothing(":")] if named else []), *others]] if others else [])]
    rows = _rows(parts, figure.get_figwidth() - 0.1)
    if not rows:
        return
    columns = max(map(len, rows))
    filled = [[*row, *(_nothing() for _ in range(columns - len(row)))] for row in rows]
    figure.legend(
        handles=[row[column] for column in range(columns) for row in filled],
        loc="outside upper center",
        ncols=columns,
        columnspacing=0.8,
        handlelength=1.8,
        handletextpad=0.4,
        labelspacing=0.3,
    )


def _rows(parts: list[list[Artist]], width: float) -> list[list[Artist]]:
    """All in one row, or each part in as few as there is room for, its values below each other."""
    together = [handle for part in parts for handle in part if handle.get_label() != ":"]
    if not together or _width([together]) < width:
        return [together] if together else []
    for columns in range(max(map(len, parts)), 1, -1):
        rows = [row for part in parts for row in _folded(part, columns)]
        if _width(rows) < width:
            return rows
    return [[handle] for handle in together]


def _folded(part: list[Artist], columns: int) -> list[list[Artist]]:
    """The first entry of a part is its heading: rows after the first are empty below it."""
    if not str(part[0].get_label()).endswith(":"):
        return [part[start : start + columns] for start in range(0, len(part), columns)]
    head, values, each = part[0], part[1:], columns - 1
    rows = [values[start : start + each] for start in range(0, len(values), each)]
    head = _nothing() if head.get_label() == ":" else head
    return [[_nothing() if number else head, *row] for number, row in enumerate(rows)]


def _width(rows: list[list[Artist]]) -> float:
    """Inches: each column is as wide as its widest entry."""
    columns = max(map(len, rows))
    widest = [max(len(str(row[c].get_label())) for row in rows if c < len(row)) for c in range(columns)]
    return sum(characters * CHARACTER + HANDLE for characters in widest)


def _nothing(label: str = " ") -> Line2D:
    return Line2D([], [], linestyle="", label=label)
