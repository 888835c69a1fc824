"""Tables of sweeps that nobody computed: errors that grow with the strengths, and with the chip that is not the own."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ttfsrun.report.selection import PlotOptions, Supplement, SweepFigure, select_figures

MISMATCH, JITTER, BITS = "substrate.v_th.chip_std", "substrate.spike_time.jitter", "substrate.weight.bits"
SEEDS = range(4)
#: A network on its own chip, and on two others.
OTHERS = [{}, *({"condition": "own, other chips", "chip": chip, "more": 1} for chip in (1001, 1002))]


def combinations(settings: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the values of these settings."""
    return [dict(zip(settings, values, strict=True)) for values in itertools.product(*settings.values())]


def error_of(settings: Mapping[str, Any]) -> float:
    """Per cent, without noise: what each setting adds to 2 %."""
    error = 2.0 + 100 * (settings.get(MISMATCH) or 0) + 200 * (settings.get(JITTER) or 0)
    bits = settings.get(BITS)
    return error + (0 if bits is None else 30 / bits**2)


def table(
    points: Sequence[Mapping[str, Any]],
    conditions: Sequence[Mapping[str, Any]] = ({},),
    seed: int = 0,
    noise: float = 0.1,
) -> pd.DataFrame:
    """A row for each point and condition. conditions: `condition`, `perturbed`, `chip`, `more` (of error), ..."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, settings in enumerate(points):
        for condition in conditions:
            error = (error_of(settings) + condition.get("more", 0)) * (1 + noise * rng.standard_normal())
            told = {name: value for name, value in condition.items() if name != "more"}
            measured = {
                "test_accuracy": 1 - error / 100,
                "test_loss": error / 10,
                "test_decision_time_mean": 1.5 - error / 100,
                "test_decision_us_mean": 6 * (1.5 - error / 100),
                "test_energy_window_uj": 8.4,
                "test_energy_events_uj": 0.02 + error / 1000,
                "test_energy_more_events_uj": 0.04 + error / 500,
            }
            about = {"condition": "own", "perturbed": True, "chip": settings.get("seed.chip", 0)} | told
            rows.append({"point": f"{number:012x}", "status": "done", **settings, **about, **measured})
    return pd.DataFrame(rows)


def settings_of(told: pd.DataFrame) -> list[str]:
    names = list(told)
    return names[names.index("status") + 1 : names.index("condition")]


def without(told: pd.DataFrame, rows: Sequence[int], status: str = "failed") -> pd.DataFrame:
    """These rows have no numbers."""
    told = told.copy()
    told.loc[list(rows), "status"] = status
    told.loc[list(rows), [name for name in told if name.startswith("test_")]] = np.nan
    return told


def drawn(told: pd.DataFrame, beside: Supplement | None = None, **wishes: str) -> dict[str, SweepFigure]:
    found = select_figures(told, settings_of(told), PlotOptions(**wishes), beside)
    assert len({each.name for each in found}) == len(found)
    return {each.name: each for each in found}


def crossed(settings: Mapping[str, Sequence[Any]], seeds: Sequence[int] = SEEDS, noise: float = 0.1) -> pd.DataFrame:
    return table(combinations({**settings, "seed.init": seeds}), noise=noise)


def strengths(values: Sequence[float | None] = (0.0, 0.05, 0.2), key: str = MISMATCH) -> pd.DataFrame:
    return crossed({key: values})


def one_at_a_time() -> list[dict[str, Any]]:
    base: dict[str, Any] = {MISMATCH: 0.0, JITTER: 0.0, BITS: None}
    away = [{MISMATCH: 0.1}, {MISMATCH: 0.2}, {JITTER: 0.01}, {JITTER: 0.02}, {BITS: 2}, {BITS: 4}]
    return [{**base, **each, "seed.init": seed} for each in ({}, *away) for seed in SEEDS]
