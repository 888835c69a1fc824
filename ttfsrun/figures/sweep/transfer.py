"""Networks that were trained with one chip, on that chip and on others."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ttfsrun.figures import style
from ttfsrun.figures.sweep import heat_map, labels
from ttfsrun.figures.sweep.drawing import SweepFigure
from ttfsrun.figures.sweep.rows import Value, counted, group_by, levels, statistics

OTHER = ", other chips"  # how the conditions on further chips are called
TRAINED, EVALUATED = "trained on chip", "evaluated on chip"
OWN = "own"
CELL = 0.24  # height of a row, in inches
NARROW = 9  # columns that have room in a column of a page
MOST, MOST_PANELS, MOST_BESIDE = 16, 4, 11  # rows and columns; panels; columns of cells of two panels in a row


def pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows on chips, with the chip of the training beside that of the evaluation; those of one condition only."""
    on_chip = rows[rows["chip"].notna()]
    own = on_chip[on_chip["condition"] == OWN].drop_duplicates("point").set_index("point")["chip"]
    here = on_chip[on_chip["condition"].isin([OWN, OWN + OTHER]) & on_chip["point"].isin(own.index)]
    return here.assign(**{TRAINED: list(own.reindex(here["point"])), EVALUATED: list(here["chip"])})


def is_some(rows: pd.DataFrame) -> bool:
    """Whether a network was on more chips than its own."""
    found = pairs(rows)
    return len(found) > 0 and bool((found[TRAINED] != found[EVALUATED]).any())


def transfer(name: str, rows: pd.DataFrame, metric: str, keys: Sequence[str]) -> SweepFigure:
    """A cell for each chip of a training and of an evaluation, framed where they are the same.

    keys: what else varies; a panel for each combination, all with the same colours, or all together if they are many.
    """
    found = pairs(rows)
    parts = list(group_by(found, keys))
    together = len(parts) > MOST_PANELS
    parts = [((), found)] if together else parts
    apart = _only_own(found)
    if apart:  # a column for each chip of a training would be empty but for one cell
        parts = [(values, part.assign(**{EVALUATED: _own_as_one(part)})) for values, part in parts]
    told = pd.concat([_told(part, [] if together else keys) for _, part in parts], ignore_index=True)
    trained = levels(list(told[TRAINED]))[:MOST]
    evaluated = sorted(levels(list(told[EVALUATED])), key=lambda chip: chip != OWN)[:MOST]
    across = min(len(parts), 2 if len(evaluated) <= MOST_BESIDE else 1)
    hover: dict[str, list[str]] = {}
    with style.figure_style():
        width = style.COLUMN if across == 1 and len(evaluated) <= NARROW else style.PAGE
        down = -(-len(parts) // across)
        figure = style.new_figure(width, 0.35 + down * (0.45 + CELL * max(len(trained), 4)))
        grid = figure.subplots(down, across, squeeze=False)
        norm = heat_map.norm(told["median"].to_numpy(dtype=float))
        for number, (axes, (values, part)) in enumerate(zip(grid.flat, parts, strict=False)):
            cells = heat_map.Cells(trained, evaluated, norm, f"{name}-{number}")
            here = statistics(part, [TRAINED, EVALUATED])
            hover |= heat_map.cells(axes, here, cells)
            _frame(axes, trained, evaluated)
            heading = [*labels.named(keys, values), counted(here["n"])]
            axes.set_title(labels.heading(heading, int(width / across / labels.CHARACTER)))
        for axes in grid.flat[len(parts) :]:
            axes.set_visible(False)
        figure.supxlabel(EVALUATED)
        figure.supylabel(TRAINED)
        figure.suptitle(f"median {labels.metric(metric)}", fontsize=7.0)
    left_out = max(told[TRAINED].nunique(), told[EVALUATED].nunique()) > MOST
    caption = (
        f"Median {labels.metric(metric)} of networks on chips: rows by the chip of the training, columns by the one "
        f"of the evaluation; framed: their own. {counted(told['n'])} networks in each cell."
        + (f" Only the first {MOST} chips are shown." if left_out else "")
        + (f" Taken together: all values of {', '.join(map(labels.title, keys))}." if together else "")
    )
    return SweepFigure(name, caption, figure, told, hover)


def _only_own(found: pd.DataFrame) -> bool:
    """Whether no chip of a training was met by the network of another one."""
    return not ((found[TRAINED] != found[EVALUATED]) & found[EVALUATED].isin(list(found[TRAINED]))).any()


def _own_as_one(part: pd.DataFrame) -> list[Value]:
    return [OWN if one == other else other for one, other in zip(part[TRAINED], part[EVALUATED], strict=True)]


def _told(part: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    return statistics(part, [*keys, TRAINED, EVALUATED])


def _frame(axes: Axes, trained: Sequence[Value], evaluated: Sequence[Value]) -> None:
    axes.invert_yaxis()
    for row, one in enumerate(trained):
        for column, other in enumerate(evaluated):
            if other in (one, OWN):
                corner = (column - 0.46, row - 0.44)
                axes.add_patch(Rectangle(corner, 0.92, 0.88, fill=False, edgecolor=style.VERMILLION, linewidth=1.2))
