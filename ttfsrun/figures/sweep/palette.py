"""Colours, markers and lines of the values of settings, and their legend."""

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

# Okabe and Ito (2008) without yellow, which is too light for lines
COLOURS = (style.BLUE, style.VERMILLION, style.GREEN, style.ORANGE, "#CC79A7", "#56B4E9", style.INK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
LINES = ("-", (0, (4, 1.2)), (0, (1, 1)), (0, (4, 1, 1, 1)))
DARK, LIGHT = 0.0, 0.86  # ends of the scale for numbers; lighter colours are hardly visible on paper
CHARACTER = 0.052  # width of a character in a legend, in inches
HANDLE = 0.27  # width of the line of an entry with its margins, in inches
MAX_ENTRIES = 14  # of a legend for each column
MAX_CHARACTERS = 36  # of an entry


@dataclass(frozen=True)
class Key:
    """A column whose values are distinguished by colours, or by markers and lines."""

    column: str
    values: list[Value]

    def colour(self, value: Value) -> str:
        index = self._indices[value]
        return _scale_colour(index, len(self.values)) if self._is_scale else COLOURS[index]

    def marker(self, value: Value) -> str:
        return MARKERS[self._indices[value] % len(MARKERS)]

    def line(self, value: Value) -> object:
        return LINES[self._indices[value] % len(LINES)]

    @cached_property
    def _indices(self) -> dict[Value, int]:
        return {value: index for index, value in reversed(list(enumerate(self.values)))}

    @cached_property
    def _is_scale(self) -> bool:
        """Whether the colours are a continuous scale."""
        return (numeric(self.values) and len(self.values) > 2) or len(self.values) > len(COLOURS)


@dataclass(frozen=True)
class Palette:
    """The columns that are shown by colours and styles.

    hue: by colour, without `style` also by marker. style: by marker and line.
    """

    hue: Key | None = None
    style: Key | None = None

    @property
    def columns(self) -> list[str]:
        return [key.column for key in (self.hue, self.style) if key]

    def line_style(self, values: Sequence[Value]) -> LineStyle:
        """Return the style of a line for these values of `columns`."""
        by_column = dict(zip(self.columns, values, strict=True))
        attributes = {}
        if self.hue:
            attributes["colour"] = self.hue.colour(by_column[self.hue.column])
            attributes["marker"] = self.hue.marker(by_column[self.hue.column])
        if self.style:
            attributes["marker"] = self.style.marker(by_column[self.style.column])
            return LineStyle(**attributes, line=self.style.line(by_column[self.style.column]))
        return LineStyle(**attributes)

    def handles(self, lines: bool = True) -> list[list[Artist]]:
        """Return the entries of a legend for each column: its title, then its values."""
        parts: list[list[Artist]] = []
        for key in (self.hue, self.style):
            if key is None:
                continue
            is_hue = key is self.hue
            entries: list[Artist] = [Line2D([], [], linestyle="", label=f"{_shortened(labels.title(key.column))}:")]
            for value in _select(key.values):
                line_style = LineStyle(
                    key.colour(value) if is_hue else style.GREY,
                    "" if is_hue and self.style else key.marker(value),
                    "-" if is_hue else key.line(value),
                )
                entries.append(_handle(line_style, _shortened(labels.text(value)), lines))
            parts.append(entries)
        return parts


@dataclass(frozen=True)
class LineStyle:
    """Colour, marker and dashes of one line."""

    colour: str = style.BLUE
    marker: str = "o"
    line: object = field(default="-")


def make_key(column: str | None, values: Sequence[Value]) -> Key | None:
    """Return the key of a column with these values; None without a column."""
    return None if column is None else Key(column, levels(values))


def _scale_colour(index: int, n: int) -> str:
    share = DARK + (LIGHT - DARK) * index / max(n - 1, 1)
    return to_hex(colormaps["viridis"](share))


def _handle(line_style: LineStyle, text: str, lines: bool) -> Line2D:
    marker = line_style.marker or ("" if lines else "o")
    dashes = line_style.line if lines else ""
    return Line2D([], [], color=line_style.colour, marker=marker, markersize=3, linestyle=dashes, label=text)  # type: ignore[arg-type]


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 4]} ..."


def _select(values: list[Value]) -> list[Value]:
    """Return all values, or some of many with the first and the last."""
    step = -(-len(values) // MAX_ENTRIES)
    return values if step == 1 else [*values[:-1:step], values[-1]]


def legend(figure: Figure, palette: Palette, others: Sequence[Artist] = (), lines: bool = True) -> None:
    """Add a legend above the panels: a row for each column, or more where it has many values; then the others.

    lines: whether entries show lines, or markers only.
    """
    columns_of_palette = palette.handles(lines)
    parts = [*columns_of_palette, *([[*([_blank(":")] if columns_of_palette else []), *others]] if others else [])]
    rows = _rows(parts, figure.get_figwidth() - 0.1)
    if not rows:
        return
    columns = max(map(len, rows))
    padded = [[*row, *(_blank() for _ in range(columns - len(row)))] for row in rows]
    figure.legend(
        handles=[row[column] for column in range(columns) for row in padded],
        loc="outside upper center",
        ncols=columns,
        columnspacing=0.8,
        handlelength=1.8,
        handletextpad=0.4,
        labelspacing=0.3,
    )


def _rows(parts: list[list[Artist]], width: float) -> list[list[Artist]]:
    """Return all entries in one row, or each part in as few rows as fit the width, its values below each other."""
    entries = [handle for part in parts for handle in part if handle.get_label() != ":"]
    if not entries or _width([entries]) < width:
        return [entries] if entries else []
    for columns in range(max(map(len, parts)), 1, -1):
        rows = [row for part in parts for row in _folded(part, columns)]
        if _width(rows) < width:
            return rows
    return [[handle] for handle in entries]


def _folded(part: list[Artist], columns: int) -> list[list[Artist]]:
    """Return a part in rows of so many columns; below a heading, which may be the first entry, rows begin blank."""
    if not str(part[0].get_label()).endswith(":"):
        return [part[start : start + columns] for start in range(0, len(part), columns)]
    heading, values, values_per_row = part[0], part[1:], columns - 1
    rows = [values[start : start + values_per_row] for start in range(0, len(values), values_per_row)]
    heading = _blank() if heading.get_label() == ":" else heading
    return [[_blank() if number else heading, *row] for number, row in enumerate(rows)]


def _width(rows: list[list[Artist]]) -> float:
    """Return the width of rows in inches; each column is as wide as its widest entry."""
    columns = max(map(len, rows))
    widest = [max(len(str(row[c].get_label())) for row in rows if c < len(row)) for c in range(columns)]
    return sum(characters * CHARACTER + HANDLE for characters in widest)


def _blank(label: str = " ") -> Line2D:
    return Line2D([], [], linestyle="", label=label)
