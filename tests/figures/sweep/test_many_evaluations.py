"""Figures of more evaluations than can have a marker each: what they show follows from all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from tables import JITTER, MISMATCH, drawn, table

from ttfsrun.figures.sweep import marks
from ttfsrun.figures.sweep.drawing import SweepFigure

N = 4 * marks.MAX_SINGLE
STRENGTHS = (0.0, 0.05, 0.1)


def repeated() -> pd.DataFrame:
    """Return many evaluations of three strengths."""
    return table([{MISMATCH: STRENGTHS[number % 3], "seed.init": number} for number in range(N)])


def at_random() -> pd.DataFrame:
    """Return evaluations of which no two have the same strengths."""
    strengths = np.random.default_rng(1).uniform(0.0, 0.1, (N, 2))
    return table([{MISMATCH: mismatch, JITTER: jitter} for mismatch, jitter in strengths])


def one_at_a_time() -> pd.DataFrame:
    """Return evaluations with one strength at a time off its base, each network at the base as well."""
    places = [{MISMATCH: 0.0, JITTER: 0.0}, {MISMATCH: 0.1, JITTER: 0.0}, {MISMATCH: 0.0, JITTER: 0.05}]
    return table([{**place, "seed.init": seed} for seed in range(N // 3) for place in places])


def shown(figure: SweepFigure, panel: int = 0) -> np.ndarray:
    """Return the positions of the markers with a text in one panel, [N, 2]."""
    artists = [artist for artist in figure.figure.axes[panel].collections if artist.get_gid() in figure.hover]
    return np.concatenate([np.asarray(artist.get_offsets()) for artist in artists])


@pytest.mark.parametrize("made", [repeated, at_random])
@pytest.mark.parametrize("at", [0, N // 2, N - 1])
def test_an_outlier_anywhere_reaches_the_extremes_that_are_shown(made: Callable[[], pd.DataFrame], at: int) -> None:
    rows = made()
    rows.loc[at, "test_accuracy"], rows.loc[at, "test_decision_time_mean"] = 0.01, 77.0
    figures = drawn(rows)
    for name in ("strength", "trade_off"):
        assert shown(figures[name])[:, 1].max() == pytest.approx(99.0)
        assert any(rows["point"][at] in text for texts in figures[name].hover.values() for text in texts)
        assert max(map(len, figures[name].hover.values())) <= (marks.STEPS + 1) ** 2
    assert shown(figures["trade_off"])[:, 0].max() == 77.0


def test_medians_quartiles_and_numbers_are_those_of_the_whole_table() -> None:
    rows = repeated()
    numbers = drawn(rows)["strength"].numbers
    errors = (100 * (1 - rows["test_accuracy"])).groupby(rows[MISMATCH])
    assert numbers["n"].sum() == N
    for column, share in (("q25", 0.25), ("median", 0.5), ("q75", 0.75)):
        assert list(numbers[column]) == pytest.approx(list(errors.quantile(share)))


def test_the_extremes_that_are_shown_are_those_of_each_strength() -> None:
    rows = repeated()
    errors = (100 * (1 - rows["test_accuracy"])).groupby(rows[MISMATCH])
    drawn_errors = shown(drawn(rows)["strength"])[:, 1]
    assert list(drawn_errors) == pytest.approx([*errors.min(), *errors.max()])


def test_a_ranking_shows_the_smallest_and_the_largest_drop_of_each_setting() -> None:
    rows = one_at_a_time()
    errors = 100 * (1 - rows["test_accuracy"].to_numpy()).reshape(-1, 3)
    drops = errors[:, 1:] - errors[:, :1]
    figure = drawn(rows)["ranking"]
    assert marks.EXTREMES in figure.caption
    assert np.sort(shown(figure)[:, 0]) == pytest.approx(np.sort([*drops.min(axis=0), *drops.max(axis=0)]))


@pytest.mark.parametrize("made", [repeated, at_random])
def test_the_order_of_the_rows_does_not_matter(made: Callable[[], pd.DataFrame]) -> None:
    rows = made()
    first, second = drawn(rows), drawn(rows.sample(frac=1.0, random_state=2))
    for name in ("strength", "trade_off"):
        assert np.allclose(np.sort(shown(first[name]), axis=0), np.sort(shown(second[name]), axis=0))


def test_the_captions_say_what_the_markers_are() -> None:
    assert marks.EXTREMES in drawn(repeated())["strength"].caption
    assert marks.ON_GRID in drawn(at_random())["trade_off"].caption.lower()
