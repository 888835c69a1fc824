"""Synthetic tables of sweeps: errors grow with the strengths, and are larger on other chips."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ttfsrun.report.selection import PlotOptions, Supplement, SweepFigure, select_figures

MISMATCH, JITTER, BITS = "substrate.v_th.chip_std", "substrate.spike_time.jitter", "substrate.weight.bits"
SEEDS = range(4)
# A network on its own chip, and on two others
OTHERS = [{}, *({"condition": "own, other chips", "chip": chip, "more": 1} for chip in (1001, 1002))]


def combinations(settings: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every combination of the values of these settings."""
    return [dict(zip(settings, values, strict=True)) for values in itertools.product(*settings.values())]


def error_of(settings: Mapping[str, Any]) -> float:
    """Return the error in per cent, without noise: 2 % and the contribution of each setting."""
    error = 2.0 + 100 * (settings.get(MISMATCH) or 0) + 200 * (settings.get(JITTER) or 0)
    bits = settings.get(BITS)
    return error + (0 if bits is None else 30 / bits**2)


def table(
    points: Sequence[Mapping[str, Any]],
    conditions: Sequence[Mapping[str, Any]] = ({},),
    seed: int = 0,
    noise: float = 0.1,
) -> pd.DataFrame:
    """Return a row for each point and condition.

    conditions: the columns `condition`, `perturbed`, `chip`, ..., and `more`, which is added to the error.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for number, settings in enumerate(points):
        for condition in conditions:
            error = (error_of(settings) + condition.get("more", 0)) * (1 + noise * rng.standard_normal())
            columns = {name: value for name, value in condition.items() if name != "more"}
            metrics = {
                "test_accuracy": 1 - error / 100,
                "test_loss": error / 10,
                "test_decision_time_mean": 1.5 - error / 100,
                "test_decision_us_mean": 6 * (1.5 - error / 100),
                "test_energy_window_uj": 8.4,
                "test_energy_events_uj": 0.02 + error / 1000,
                "test_energy_more_events_uj": 0.04 + error / 500,
            }
            evaluated = {"condition": "own", "perturbed": True, "chip": settings.get("seed.chip", 0)} | columns
            rows.append({"point": f"{number:012x}", "status": "done", **settings, **evaluated, **metrics})
    return pd.DataFrame(rows)


def settings_of(sweep: pd.DataFrame) -> list[str]:
    """Return the columns of settings of a table."""
    names = list(sweep)
    return names[names.index("status") + 1 : names.index("condition")]


def without(sweep: pd.DataFrame, rows: Sequence[int], status: str = "failed") -> pd.DataFrame:
    """Return a table in which these rows have no numbers."""
    sweep = sweep.copy()
    sweep.loc[list(rows), "status"] = status
    sweep.loc[list(rows), [name for name in sweep if name.startswith("test_")]] = np.nan
    return sweep


def drawn(sweep: pd.DataFrame, supplement: Supplement | None = None, **options: str) -> dict[str, SweepFigure]:
    """Return the figures of a table by name."""
    figures = select_figures(sweep, settings_of(sweep), PlotOptions(**options), supplement)
    assert len({figure.name for figure in figures}) == len(figures)
    return {figure.name: figure for figure in figures}


def crossed(settings: Mapping[str, Sequence[Any]], seeds: Sequence[int] = SEEDS, noise: float = 0.1) -> pd.DataFrame:
    return table(combinations({**settings, "seed.init": seeds}), noise=noise)


def strengths(values: Sequence[float | None] = (0.0, 0.05, 0.2), key: str = MISMATCH) -> pd.DataFrame:
    return crossed({key: values})


def one_at_a_time() -> list[dict[str, Any]]:
    base: dict[str, Any] = {MISMATCH: 0.0, JITTER: 0.0, BITS: None}
    away = [{MISMATCH: 0.1}, {MISMATCH: 0.2}, {JITTER: 0.01}, {JITTER: 0.02}, {BITS: 2}, {BITS: 4}]
    return [{**base, **changes, "seed.init": seed} for changes in ({}, *away) for seed in SEEDS]
