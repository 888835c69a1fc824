"""The figures of a sweep, as they stand in the page."""

from __future__ import annotations

from ttfsrun.report.plot import Source
from ttfsrun.report.selection import drawings
from ttfsrun.report.svg import Picture, picture
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.results.table import DATA, Table, settings_of


def pictures(folder: SweepFolder, table: Table) -> tuple[list[Picture], str]:
    """Every figure that `ttfsrun plot` has for a sweep; else none, and why. table: all of it, with every setting."""
    others = [key for key in settings_of(table.columns) if key not in (*table.varying, DATA)]
    source = Source(folder.path, table.frame().drop(columns=others), folder, folder.path)
    drawn = drawings(source.table, source.varying, beside=source.beside())
    found = [picture(each, number) for number, each in enumerate(drawn, 1)]
    done = table.counts()["done"]
    return found, "nothing varies that a figure could show" if done else "no point is done: there is nothing to draw"
