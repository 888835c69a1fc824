"""The figures of a sweep as SVG in the page."""

from __future__ import annotations

from ttfsrun.figures.sweep.drawing import ACCURACY
from ttfsrun.report.plot import SweepSource
from ttfsrun.report.selection import select_figures
from ttfsrun.report.svg import SvgFigure, svg_figure
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.results.table import Table


def svg_figures(folder: SweepFolder, table: Table) -> tuple[list[SvgFigure], str]:
    """Return the figures that `ttfsrun plot` makes of a sweep, and a note: why there are none.

    table: with every setting.
    """
    source = SweepSource.from_folder(folder, table)
    selected = select_figures(source.table, source.varying, supplement=source.supplement())
    figures = [svg_figure(figure, number) for number, figure in enumerate(selected, 1)]
    if figures:
        return figures, ""
    if table.counts()["done"]:
        return figures, f"nothing to plot: no point that is done has a number for {ACCURACY}"
    return figures, "nothing to plot: no point is done"
