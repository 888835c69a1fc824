"""The figures of a sweep, as they stand in the page."""

from __future__ import annotations

from ttfsrun.figures.of_sweep import drawings
from ttfsrun.results.table import Table
from ttfsrun.sweep.report.pictures import Picture, picture


def pictures(table: Table) -> tuple[list[Picture], str]:
    """Every figure that the table has something for; else none, and why."""
    done = table.counts()["done"]
    found = [picture(drawn, number) for number, drawn in enumerate(drawings(table.frame(), table.varying), 1)]
    return found, "nothing varies that a figure could show" if done else "no point is done: there is nothing to draw"
