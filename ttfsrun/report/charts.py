"""The figures of a sweep, as they stand in the page."""

from __future__ import annotations

from ttfsrun.report.plot import SweepSource
from ttfsrun.report.selection import select_figures
from ttfsrun.report.svg import SvgFigure, svg_figure
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.results.table import DATA, Table, setting_columns


def svg_figures(folder: SweepFolder, table: Table) -> tuple[list[SvgFigure], str]:
    """Every figure that `ttfsrun plot` has for a sweep; else none, and why. table: all of it, with every setting."""
    others = [key for key in setting_columns(table.columns) if key not in (*table.varying, DATA)]
    source = SweepSource(folder.path, table.frame().drop(columns=others), folder, folder.path)
    drawn = select_figures(source.table, source.varying, beside=source.beside())
    found = [svg_figure(each, number) for number, each in enumerate(drawn, 1)]
    done = table.counts()["done"]
    return found, "nothing varies that a figure could show" if done else "no point is done: there is nothing to draw"
