"""Statistics over points that differ only in some settings, most often their seeds: a tidy table of its own."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ttfsrun.errors import UserError
from ttfsrun.results.columns import SPLITS
from ttfsrun.results.table import CONDITION, Table

QUANTILES = {"q25": 0.25, "q50": 0.5, "q75": 0.75}
TRIALS = [f"{split}_trials" for split in SPLITS]
CHIP = "seed.chip"  # further chips have a column of their own


def aggregate(table: Table, over: Sequence[str]) -> pd.DataFrame:
    """Return one row per metric, condition and combination of the other varying settings, with statistics over `over`.

    over: varying settings, or groups of them (`seed`). Points without a result do not count; n is the number that do.
    Raises UserError where a setting in `over` does not vary.
    """
    over_chips = any(_is_below(CHIP, key) for key in over)
    groups = [key for key in table.varying if not any(_is_below(key, group) for group in over)]
    for key in over:
        if not any(_is_below(name, key) for name in table.varying) and not (over_chips and _is_below(CHIP, key)):
            varying = ", ".join(table.varying) or "nothing"
            raise UserError(f"--agg {key}: no such setting varies in this sweep; what varies: {varying}")
    by = [*groups, *(name for name in table.columns if name == CONDITION or name.startswith(f"{CONDITION}."))]
    by += [] if over_chips else ["chip"]
    frame = table.frame()
    return _statistics(frame[frame["status"] == "done"], by, [name for name in table.metrics if name not in TRIALS])


def _is_below(key: str, group: str) -> bool:
    return key == group or key.startswith(f"{group}.")


def _statistics(done: pd.DataFrame, by: list[str], metrics: list[str]) -> pd.DataFrame:
    """Return the statistics of each metric as a long table, in the order of the groups, without empty metrics."""
    columns = [*by, "metric", "n", "mean", "std", *QUANTILES]
    if done.empty:
        return pd.DataFrame(columns=columns)
    grouped = done.groupby(by, dropna=False, sort=False)[metrics]
    parts = {"n": grouped.count(), "mean": grouped.mean(), "std": grouped.std()}
    parts |= {name: grouped.quantile(share) for name, share in QUANTILES.items()}
    long = pd.DataFrame({name: part.stack(future_stack=True) for name, part in parts.items()})
    long.index.names = [*by, "metric"]
    return long[long["n"] > 0].reset_index()[columns]
