"""Figures of Matplotlib as compact SVG within a page: with the page's colours, and a number for each marker."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from xml.etree import ElementTree

import matplotlib
import pandas as pd
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ttfsrun.figures import style

log = logging.getLogger(__name__)

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
# Glyphs as paths: the figure does not depend on the reader's fonts
SVG_STYLE = {"svg.fonttype": "path", "svg.hashsalt": "ttfsrun", "svg.image_inline": True}
NO_METADATA = dict.fromkeys(["Creator", "Date", "Format", "Type"])
WIDE = 1.2 * style.COLUMN  # inches, above which a figure takes the width of the page
DECIMALS = 2  # of positions, in points of 1/72 inch
THEME_COLOURS = {  # colours that change in dark mode, and their names in report.css
    style.INK: "ink",
    "#000000": "ink",
    style.GREY: "grey",
    style.PALE: "pale",
    "#ffffff": "paper",
    style.BLUE: "blue",
    style.ORANGE: "orange",
    style.GREEN: "green",
    style.VERMILLION: "vermillion",
}
DARK = "#14181d"  # --paper of report.css in dark mode
MIN_CONTRAST = 2.0  # with DARK, below which a colour is hard to see
_THEME_NAMES = {colour.lower(): name for colour, name in THEME_COLOURS.items()}
_COLOUR = re.compile(r"#[0-9a-f]{6}\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")


class Plotted(Protocol):
    """A figure, its name and caption, the numbers behind it, and the texts of its markers by gid of their artist."""

    @property
    def name(self) -> str: ...
    @property
    def caption(self) -> str: ...
    @property
    def figure(self) -> Figure: ...
    @property
    def numbers(self) -> pd.DataFrame: ...
    @property
    def hover(self) -> Mapping[str, Sequence[str]]: ...


@dataclass(frozen=True)
class SvgFigure:
    """A figure in the page."""

    key: str  # the beginning of the ids within it
    name: str
    caption: str
    svg: str
    csv: str  # the numbers behind it
    hover: dict[str, list[str]]  # by id of a group in the SVG: the text of each of its markers
    is_wide: bool  # takes the width of the page
    is_paper: bool  # stays on white in dark mode


def svg_figure(plotted: Plotted, number: int) -> SvgFigure:
    """Return a figure as SVG. number: different for each figure of a page, so that ids are unique.

    Warns where the texts of an artist's markers do not match the markers, and leaves them out.
    """
    key = f"figure{number}"
    root = ElementTree.fromstring(_svg(plotted.figure))
    _strip(root)
    hover = _number_markers(plotted, root)
    is_paper = _has_cells(plotted.figure) or _needs_white(root)
    _rewrite(root, key, recolour=not is_paper)
    root.set("aria-label", plotted.caption)
    root.set("role", "group" if hover else "img")
    ElementTree.register_namespace("", SVG)
    text = ElementTree.tostring(root, encoding="unicode")
    csv = plotted.numbers.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    hover_by_id = {f"{key}-{gid}": texts for gid, texts in hover.items()}
    is_wide = plotted.figure.get_figwidth() > WIDE
    return SvgFigure(key, plotted.name, plotted.caption, text, csv, hover_by_id, is_wide, is_paper)


def _has_cells(figure: Figure) -> bool:
    """Tell whether a figure has coloured cells: the colour of the text on them must not change alone."""
    return any(
        axes.images or any(isinstance(artist, QuadMesh | Rectangle) for artist in (*axes.collections, *axes.patches))
        for axes in figure.axes
    )


def _needs_white(root: ElementTree.Element) -> bool:
    """Tell whether a colour that stays the same in dark mode is hard to see there."""
    colours = {colour.lower() for colour in _COLOUR.findall(ElementTree.tostring(root, encoding="unicode"))}
    return any(
        (_luminance(colour) + 0.05) / (_luminance(DARK) + 0.05) < MIN_CONTRAST for colour in colours - {*_THEME_NAMES}
    )


def _luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2: 0 black, 1 white."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    with style.figure_style(), matplotlib.rc_context(SVG_STYLE):  # type: ignore[arg-type]
        figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    return buffer.getvalue()


def _strip(root: ElementTree.Element) -> None:
    """Remove style rules, which would apply to the rest of the page, metadata, and the white background."""
    for parent in list(root.iter()):
        for child in list(parent):
            is_background = parent.get("id", "").startswith("figure_") and child.get("id") == "patch_1"
            if is_background or child.tag in (f"{{{SVG}}}style", f"{{{SVG}}}metadata"):
                parent.remove(child)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)


def _number_markers(plotted: Plotted, root: ElementTree.Element) -> dict[str, list[str]]:
    """Number the markers in their attribute `data-mark`; return their texts by the gid of their artist.

    An artist with another number of markers than of texts is left out: no text is better than a wrong one.
    """
    groups = {element.get("id"): element for element in root.iter()}
    hover = {}
    for gid, texts in plotted.hover.items():
        marks = list(_marks(groups[gid])) if gid in groups else []
        if len(marks) != len(texts):
            log.warning("figure %s: %s has %d markers and %d texts for them", plotted.name, gid, len(marks), len(texts))
            continue
        for number, mark in enumerate(marks):
            mark.set("data-mark", str(number))
        hover[gid] = [str(text) for text in texts]
    return hover


def _marks(group: ElementTree.Element) -> list[ElementTree.Element]:
    """Return the markers of an artist: references to a shape, else paths (a single marker, the cells of a mesh)."""
    shapes = list(_shapes(group))
    return [shape for shape in shapes if shape.tag == f"{{{SVG}}}use"] or shapes


def _shapes(group: ElementTree.Element) -> Iterator[ElementTree.Element]:
    """Yield the references and paths within a group, without those of definitions."""
    for child in group:
        if child.tag in (f"{{{SVG}}}use", f"{{{SVG}}}path"):
            yield child
        elif child.tag != f"{{{SVG}}}defs":
            yield from _shapes(child)


def _rewrite(root: ElementTree.Element, key: str, recolour: bool) -> None:
    """Make ids unique in the page, numbers short, links free of a namespace, and colours those of the page."""
    for element in root.iter():
        link: Any = element.attrib.pop(f"{{{XLINK}}}href", None)
        if link is not None:
            element.set("href", f"#{key}-{link[1:]}" if link.startswith("#") else link)
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, f"{key}-{value}")
            elif name in ("d", "x", "y"):
                element.set(name, " ".join(_NUMBER.sub(_rounded, value).split()))
            elif name in ("style", "clip-path", "fill"):
                text = _REFERENCE.sub(rf"url(#{key}-\1)", value)
                element.set(name, _COLOUR.sub(_theme_colour, text) if recolour else text)
        for attribute in ("text", "tail"):
            if not (getattr(element, attribute) or "").strip():
                setattr(element, attribute, None)


def _rounded(number: re.Match[str]) -> str:
    return f"{round(float(number[0]), DECIMALS):g}" if abs(float(number[0])) < 1e4 else number[0]


def _theme_colour(colour: re.Match[str]) -> str:
    name = _THEME_NAMES.get(colour[0].lower())
    return f"var(--figure-{name})" if name else colour[0]
