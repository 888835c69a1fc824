"""The results of sweeps: records, folders, tables, provenance. Nothing here imports torch."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def load(folder: str | PathLike[str], *, every_setting: bool = False, bare: bool = False) -> pd.DataFrame:
    """Return the results of a sweep, finished or not: one row per point and condition, as `ttfsrun gather` writes them.

    every_setting: include every setting of the configuration, not only those that vary.
    bare: leave out the sweep's name and the columns of the execution.
    Raises UserError where the folder is not that of a sweep, or is damaged.
    """
    from pathlib import Path

    from ttfsrun.results.sweep_folder import SweepFolder
    from ttfsrun.results.table import read_table

    return read_table(SweepFolder(Path(folder)), every_setting=every_setting, bare=bare).frame()
