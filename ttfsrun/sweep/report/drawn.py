"""The figures of a sweep, as they stand in the page."""

from __future__ import annotations

from ttfsrun.results.table import Table
from ttfsrun.sweep.report.pictures import Drawn, Picture, picture


def pictures(table: Table) -> tuple[list[Picture], str]:
    """Every figure that the table has something for; else none, and why."""
    drawings: list[Drawn] = []
    found = [picture(drawn, number) for number, drawn in enumerate(drawings, 1)]
    done = table.counts()["done"]
    return found, "nothing varies that a figure could show" if done else "no point is done: there is nothing to draw"
