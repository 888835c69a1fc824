"""The table of a sweep as its figures share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ttfsrun.config.conditions import OWN
from ttfsrun.errors import UserError
from ttfsrun.figures.sweep import one_at_a_time, roles, rows
from ttfsrun.figures.sweep.drawing import PlotOptions, Supplement
from ttfsrun.figures.sweep.one_at_a_time import OneAtATime
from ttfsrun.results.table import CONDITION


@dataclass(frozen=True)
class PlotData:
    """Data that all figures of a table share.

    rows: see `rows.plain_rows`. keys: the settings that vary independently, without seeds.
    design: how they vary one at a time; None where they do not.
    """

    table: pd.DataFrame
    rows: pd.DataFrame
    keys: list[str]
    design: OneAtATime | None
    options: PlotOptions
    supplement: Supplement

    @classmethod
    def of(cls, table: pd.DataFrame, varying: Sequence[str], options: PlotOptions, supplement: Supplement) -> PlotData:
        """Prepare a table. Raises UserError where an option names no column, or no metric."""
        table = table.reset_index(drop=True)
        columns_by_flag = {"--x": options.x, "--hue": options.hue, "--style": options.style}
        chosen = {flag: name for flag, name in columns_by_flag.items() if name}
        _check_options(table, chosen, options.y)
        keys = roles.independent(table, varying)
        seeds = [key for key in varying if key.startswith(roles.SEEDS) and key in table]
        plain_rows = rows.plain_rows(table, [*keys, *seeds, *chosen.values()], options.y)
        points = pd.DataFrame({key: rows.plain_values(table[key]) for key in keys}, dtype=object)
        return cls(table, plain_rows, keys, one_at_a_time.detect(points, keys), options, supplement)

    @property
    def has_chosen_columns(self) -> bool:
        """Whether the options name a column, so that only one figure is wanted."""
        return any((self.options.x, self.options.hue, self.options.style))

    @property
    def metric(self) -> str:
        return self.options.y

    @property
    def main(self) -> pd.DataFrame:
        """The rows of conditions without a grid of their own."""
        grids = self.condition_settings
        return self.rows[self.rows[grids].isna().all(axis=1)] if grids else self.rows

    @property
    def condition_settings(self) -> list[str]:
        """The columns of settings over which conditions have a grid."""
        return [str(name) for name in self.rows if str(name).startswith(f"{CONDITION}.")]

    @property
    def own(self) -> pd.DataFrame:
        """The rows of the points' own condition."""
        return self.main[self.main[CONDITION] == OWN]

    @property
    def own_or_main(self) -> pd.DataFrame:
        """The rows of the points' own condition; without any, those of all conditions without a grid."""
        own = self.own
        return own if len(own) else self.main


def _check_options(table: pd.DataFrame, chosen: Mapping[str, str], metric: str) -> None:
    """Raise UserError where a column or the metric does not exist. chosen: columns by the flag that names them."""
    for flag, name in chosen.items():
        if name not in table:
            columns = [str(key) for key in table if "." in str(key) or key in (CONDITION, "chip", "protocol")]
            raise UserError(f"{flag} {name}: the table has no such column; choose from {', '.join(columns)}")
    metrics = [str(key) for key in table if str(key).partition("_")[0] in ("test", "valid", "train")]
    if metric not in metrics:
        raise UserError(f"--y {metric}: the table has no such metric; choose from {', '.join(metrics)}")
