from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from ttfsrun.figures.confusion import accuracy, confusion_matrix, table

COUNTS = np.array([[480, 12, 3], [9, 470, 0], [1, 0, 25]])
NONE = np.zeros(3, dtype=int)
NAMES = ["yin", "yang", "dot"]


def cells(figure: Figure) -> dict[tuple[int, float], str]:
    return {(round(text.get_position()[1]), text.get_position()[0]): text.get_text() for text in figure.axes[0].texts}


def ten_classes(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 12, (10, 10)) + np.diag(rng.integers(900, 1000, 10))


def test_the_accuracy_is_the_diagonal_over_all_samples() -> None:
    assert accuracy(COUNTS, NONE) == 975 / 1000
    assert confusion_matrix(COUNTS, NONE).axes[0].get_title() == "accuracy 97.50 % of 1,000 samples"


def test_a_sample_without_output_spike_counts_against_the_accuracy() -> None:
    silent = np.array([0, 200, 50])
    assert accuracy(COUNTS, silent) == 975 / 1250
    assert confusion_matrix(COUNTS, silent).axes[0].get_title() == "accuracy 78.00 % of 1,250 samples, 250 undecided"


def test_each_row_sums_to_a_hundred_per_cent_with_its_silent_samples() -> None:
    silent = np.array([5, 0, 24])
    shown = cells(confusion_matrix(COUNTS, silent, NAMES))
    for row in range(3):
        percents = [float(text) for (at, _), text in shown.items() if at == row]
        assert sum(percents) == pytest.approx(100, abs=0.05 * len(percents))
    assert shown[2, 2] == "50.0"  # 25 of 50


def test_the_column_of_silent_samples_appears_only_if_there_are_any() -> None:
    without, with_silent = (confusion_matrix(COUNTS, silent, NAMES) for silent in (NONE, np.array([0, 0, 1])))
    assert [text.get_text() for text in without.axes[0].get_xticklabels()] == NAMES
    assert [text.get_text() for text in with_silent.axes[0].get_xticklabels()] == [*NAMES, "none"]


def test_a_rare_confusion_is_neither_zero_nor_does_it_make_the_rest_a_hundred() -> None:
    shown = cells(confusion_matrix(np.array([[9999, 1], [0, 50]]), np.zeros(2, dtype=int)))
    assert shown == {(0, 0): "99.9", (0, 1): "<0.1", (1, 1): "100"}


def test_a_class_without_samples_is_a_blank_row() -> None:
    shown = cells(confusion_matrix(np.diag([3, 0, 2]), NONE))
    assert set(shown) == {(0, 0), (2, 2)}


def test_the_table_holds_every_sample_once() -> None:
    silent = np.array([2, 0, 7])
    numbers = table(COUNTS, silent, NAMES)
    assert numbers["samples"].sum() == COUNTS.sum() + silent.sum()
    by_pair = numbers.pivot(index="true", columns="decided", values="samples").loc[NAMES]
    assert (by_pair[NAMES].to_numpy() == COUNTS).all()
    assert (by_pair["none"].to_numpy() == silent).all()


@pytest.mark.parametrize("silent", [0, 4])
@pytest.mark.parametrize("n_classes", [3, 10])
def test_every_text_is_legible(n_classes: int, silent: int, assert_legible: Callable[[Figure], None]) -> None:
    counts = COUNTS if n_classes == 3 else ten_classes(seed=0)
    assert_legible(confusion_matrix(counts, np.full(n_classes, silent)))


def test_names_that_do_not_fit_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("2 names for 3 classes")):
        confusion_matrix(COUNTS, NONE, ["yin", "yang"])
    with pytest.raises(ValueError, match=re.escape("4 classes need (4, 4)")):
        confusion_matrix(COUNTS, np.zeros(4, dtype=int))
