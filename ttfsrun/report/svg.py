"""Matplotlib's figures as SVG within a page: small, in the page's colours, each marker known by its number."""

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
# Glyphs as paths: the picture is the same whatever fonts the reader has.
LOOK = {"svg.fonttype": "path", "svg.hashsalt": "ttfsrun", "svg.image_inline": True}
NO_METADATA = dict.fromkeys(["Creator", "Date", "Format", "Type"])
WIDE = 1.2 * style.COLUMN  # inches
DECIMALS = 2  # of positions, in points of 1/72 inch
INKS = {  # colours that are others in the dark, and their names in report.css
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
DARK = "#14181d"  # --paper of report.css in the dark
CONTRAST = 2.0  # with it, that a colour needs to be seen
_NAMES = {colour.lower(): name for colour, name in INKS.items()}
_COLOUR = re.compile(r"#[0-9a-f]{6}\b", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_REFERENCE = re.compile(r"url\(#([^)]*)\)")


class Plotted(Protocol):
    """A figure, its name and caption, the numbers behind it, and what each marker says, by the gid of its artist."""

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
    """A figure as it stands in the page."""

    key: str  # what the ids within it begin with
    name: str
    caption: str
    svg: str
    csv: str  # the numbers behind it
    hover: dict[str, list[str]]  # by the id of a group in the SVG, what each of its markers says
    is_wide: bool  # made for more than one column of a page
    is_paper: bool  # it stays on white in the dark


def svg_figure(drawn: Plotted, number: int) -> SvgFigure:
    """One figure; number: of its kind in the page, so that no id is there twice."""
    key = f"figure{number}"
    root = ElementTree.fromstring(_svg(drawn.figure))
    _strip(root)
    hover = _checked(drawn, root)
    is_paper = _has_cells(drawn.figure) or _is_lost_in_the_dark(root)
    _rewrite(root, key, recolour=not is_paper)
    root.set("aria-label", drawn.caption)
    root.set("role", "group" if hover else "img")
    ElementTree.register_namespace("", SVG)
    text = ElementTree.tostring(root, encoding="unicode")
    csv = drawn.numbers.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    named = {f"{key}-{gid}": texts for gid, texts in hover.items()}
    is_wide = drawn.figure.get_figwidth() > WIDE
    return SvgFigure(key, drawn.name, drawn.caption, text, csv, named, is_wide, is_paper)


def _has_cells(figure: Figure) -> bool:
    """Whether it has cells of a colour each, with words on them: neither may change without the other."""
    return any(
        axes.images or any(isinstance(each, QuadMesh | Rectangle) for each in (*axes.collections, *axes.patches))
        for axes in figure.axes
    )


def _is_lost_in_the_dark(root: ElementTree.Element) -> bool:
    """Whether a colour that has no other one for the dark is hardly seen on it."""
    colours = {colour.lower() for colour in _COLOUR.findall(ElementTree.tostring(root, encoding="unicode"))}
    return any((_luminance(colour) + 0.05) / (_luminance(DARK) + 0.05) < CONTRAST for colour in colours - {*_NAMES})


def _luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2 has it: 0 black, 1 white."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    with style.figure_style(), matplotlib.rc_context(LOOK):  # type: ignore[arg-type]
        figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    return buffer.getvalue()


def _strip(root: ElementTree.Element) -> None:
    """Take off rules of style that would reach beyond the picture, metadata, and the white sheet."""
    for parent in list(root.iter()):
        for child in list(parent):
            sheet = parent.get("id", "").startswith("figure_") and child.get("id") == "patch_1"
            if sheet or child.tag in (f"{{{SVG}}}style", f"{{{SVG}}}metadata"):
                parent.remove(child)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)


def _checked(drawn: Plotted, root: ElementTree.Element) -> dict[str, list[str]]:
    """What the markers say, of those artists where there is one text for each marker: none is better than a wrong one.

    Each marker gets its number as the attribute `data-mark`.
    """
    groups = {element.get("id"): element for element in root.iter()}
    found = {}
    for gid, texts in drawn.hover.items():
        marks = list(_marks(groups[gid])) if gid in groups else []
        if len(marks) != len(texts):
            log.warning("figure %s: %s has %d markers and %d texts for them", drawn.name, gid, len(marks), len(texts))
            continue
        for number, mark in enumerate(marks):
            mark.set("data-mark", str(number))
        found[gid] = [str(text) for text in texts]
    return found


def _marks(group: ElementTree.Element) -> list[ElementTree.Element]:
    """The markers of an artist; one that is drawn once, or the cells of a mesh, are paths."""
    shapes = list(_shapes(group))
    return [shape for shape in shapes if shape.tag == f"{{{SVG}}}use"] or shapes


def _shapes(group: ElementTree.Element) -> Iterator[ElementTree.Element]:
    for child in group:
        if child.tag in (f"{{{SVG}}}use", f"{{{SVG}}}path"):
            yield child
        elif child.tag != f"{{{SVG}}}defs":
            yield from _shapes(child)


def _rewrite(root: ElementTree.Element, key: str, recolour: bool) -> None:
    """Ids of this page, short numbers, links without a namespace, colours by name."""
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
                own = _REFERENCE.sub(rf"url(#{key}-\1)", value)
                element.set(name, _COLOUR.sub(_named, own) if recolour else own)
        for text in ("text", "tail"):
            if not (getattr(element, text) or "").strip():
                setattr(element, text, None)


def _rounded(number: re.Match[str]) -> str:
    return f"{round(float(number[0]), DECIMALS):g}" if abs(float(number[0])) < 1e4 else number[0]


def _named(colour: re.Match[str]) -> str:
    name = _NAMES.get(colour[0].lower())
    return f"var(--figure-{name})" if name else colour[0]
