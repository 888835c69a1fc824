"""Networks that were trained with one chip, on that chip and on others."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ttfsrun.config.conditions import OWN
from ttfsrun.figures import style
from ttfsrun.figures.sweep import heat_map, labels
from ttfsrun.figures.sweep.drawing import SweepFigure
from ttfsrun.figures.sweep.rows import Value, counted, group_by, levels, statistics

OTHER_CHIPS = ", other chips"  # the ending that `config.conditions.conditions_of` gives conditions on further chips
TRAINED, EVALUATED = "trained on chip", "evaluated on chip"
CELL = 0.24  # height of a row, in inches
MAX_NARROW = 9  # columns of cells that fit the width of one column of a page
MAX_CHIPS, MAX_PANELS = 16, 4  # rows and columns of cells; panels
MAX_COLUMNS_OF_TWO = 11  # columns of cells with which two panels fit in a row


def pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows on chips with the chips of training and evaluation, without conditions that change settings."""
    on_chip = rows[rows["chip"].notna()]
    chips = on_chip[on_chip["condition"] == OWN].drop_duplicates("point").set_index("point")["chip"]
    paired = on_chip[on_chip["condition"].isin([OWN, OWN + OTHER_CHIPS]) & on_chip["point"].isin(chips.index)]
    return paired.assign(**{TRAINED: list(chips.reindex(paired["point"])), EVALUATED: list(paired["chip"])})


def is_some(rows: pd.DataFrame) -> bool:
    """Return whether a network was evaluated on a chip other than its own."""
    paired = pairs(rows)
    return len(paired) > 0 and bool((paired[TRAINED] != paired[EVALUATED]).any())


def transfer(name: str, rows: pd.DataFrame, metric: str, keys: Sequence[str]) -> SweepFigure:
    """Plot a cell for each pair of chips of a training and of an evaluation, framed where they are the same.

    keys: other settings that vary; each combination of their values has a panel, all with the same colours, or they are
    pooled if there are many.
    """
    paired = pairs(rows)
    parts = list(group_by(paired, keys))
    pooled = len(parts) > MAX_PANELS
    parts = [((), paired)] if pooled else parts
    if _are_disjoint(paired):  # a column for each chip of a training would have a single cell
        parts = [(values, part.assign(**{EVALUATED: _evaluated_or_own(part)})) for values, part in parts]
    numbers = pd.concat([_statistics(part, [] if pooled else keys) for _, part in parts], ignore_index=True)
    trained = levels(list(numbers[TRAINED]))[:MAX_CHIPS]
    evaluated = sorted(levels(list(numbers[EVALUATED])), key=lambda chip: chip != OWN)[:MAX_CHIPS]
    across = min(len(parts), 2 if len(evaluated) <= MAX_COLUMNS_OF_TWO else 1)
    hover: dict[str, list[str]] = {}
    with style.figure_style():
        width = style.COLUMN if across == 1 and len(evaluated) <= MAX_NARROW else style.PAGE
        down = -(-len(parts) // across)
        figure = style.new_figure(width, 0.35 + down * (0.45 + CELL * max(len(trained), 4)))
        grid = figure.subplots(down, across, squeeze=False)
        norm = heat_map.norm(numbers["median"].to_numpy(dtype=float))
        for number, (axes, (values, part)) in enumerate(zip(grid.flat, parts, strict=False)):
            cells = heat_map.Cells(trained, evaluated, norm, f"{name}-{number}")
            medians = statistics(part, [TRAINED, EVALUATED])
            hover |= heat_map.cells(axes, medians, cells)
            _frame(axes, trained, evaluated)
            heading = [*labels.named(keys, values), counted(medians["n"])]
            axes.set_title(labels.heading(heading, int(width / across / labels.CHARACTER)))
        for axes in grid.flat[len(parts) :]:
            axes.set_visible(False)
        figure.supxlabel(EVALUATED)
        figure.supylabel(TRAINED)
        figure.suptitle(f"median {labels.metric(metric)}", fontsize=7.0)
    is_shortened = max(numbers[TRAINED].nunique(), numbers[EVALUATED].nunique()) > MAX_CHIPS
    caption = (
        f"Median {labels.metric(metric)} of networks on chips: rows by the chip of the training, columns by the one "
        f"of the evaluation; framed: their own. {counted(numbers['n'])} networks in each cell."
        + (f" Only the first {MAX_CHIPS} chips are shown." if is_shortened else "")
        + (f" Taken together: all values of {', '.join(map(labels.title, keys))}." if pooled else "")
    )
    return SweepFigure(name, caption, figure, numbers, hover)


def _are_disjoint(paired: pd.DataFrame) -> bool:
    """Return whether every chip of a training evaluated only the networks that were trained on it."""
    return not ((paired[TRAINED] != paired[EVALUATED]) & paired[EVALUATED].isin(list(paired[TRAINED]))).any()


def _evaluated_or_own(paired: pd.DataFrame) -> list[Value]:
    """Return the chip of each evaluation, or OWN where it is the chip of the training."""
    chips = zip(paired[TRAINED], paired[EVALUATED], strict=True)
    return [OWN if trained == evaluated else evaluated for trained, evaluated in chips]


def _statistics(paired: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    return statistics(paired, [*keys, TRAINED, EVALUATED])


def _frame(axes: Axes, trained: Sequence[Value], evaluated: Sequence[Value]) -> None:
    """Frame the cells of networks on their own chips."""
    axes.invert_yaxis()
    for row, training_chip in enumerate(trained):
        for column, evaluation_chip in enumerate(evaluated):
            if evaluation_chip in (training_chip, OWN):
                corner = (column - 0.46, row - 0.44)
                axes.add_patch(Rectangle(corner, 0.92, 0.88, fill=False, edgecolor=style.VERMILLION, linewidth=1.2))
