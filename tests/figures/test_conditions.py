from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from ttfsrun.figures import confusion, style
from ttfsrun.figures.conditions import conditions, table

OWN = np.array([[480, 12, 3, 0], [9, 470, 0, 0], [1, 0, 25, 0]])
ELSEWHERE = np.array([[400, 80, 15, 0], [9, 470, 0, 0], [1, 0, 5, 20]])
BOTH = {"own (chip=0)": OWN, "elsewhere (chip=7)": ELSEWHERE}
NAMES = ["yin", "yang", "dot"]


def several(number: int, n_classes: int, silent: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    right = np.eye(n_classes, n_classes + 1, dtype=int)
    shown = {}
    for i in range(number):
        counts = random.integers(0, 12, right.shape) + right * random.integers(900, 1000)
        counts[:, -1] = silent
        shown[f"condition {i} (weight.write_std=0.05, chip={1000 + i})"] = counts
    return shown


def test_each_condition_is_titled_with_its_accuracy() -> None:
    titles = [axes.get_title() for axes in conditions(BOTH, NAMES).axes]
    assert titles == ["own (chip=0)\naccuracy 97.50 %", "elsewhere (chip=7)\naccuracy 87.50 %"]


def test_the_cells_are_those_of_each_condition_s_own_confusion_matrix() -> None:
    for axes, counts in zip(conditions(BOTH, NAMES).axes, BOTH.values(), strict=True):
        alone = confusion.confusion_matrix(counts[:, :-1], counts[:, -1], NAMES).axes[0]
        assert [text.get_text() for text in axes.texts] == [text.get_text() for text in alone.texts]


def test_all_matrices_have_the_column_of_silent_samples_or_none_has() -> None:
    for shown, columns in ((BOTH, [*NAMES, "none"]), ({"own": OWN, "again": OWN}, NAMES)):
        for axes in conditions(shown, NAMES).axes:
            assert [text.get_text() for text in axes.get_xticklabels()] == columns


def test_the_table_holds_every_sample_of_every_condition_once() -> None:
    numbers = table(BOTH, NAMES)
    assert numbers.columns.tolist() == ["condition", "true", "decided", "samples"]
    for condition, counts in BOTH.items():
        rows = numbers[numbers["condition"] == condition]
        by_pair = rows.pivot(index="true", columns="decided", values="samples").loc[NAMES, [*NAMES, "none"]]
        assert (by_pair.to_numpy() == counts).all()


@pytest.mark.parametrize("silent", [0, 4])
@pytest.mark.parametrize("n_classes", [3, 10])
@pytest.mark.parametrize("number", [2, 3])
def test_every_text_is_legible(
    number: int, n_classes: int, silent: int, assert_legible: Callable[[Figure], None]
) -> None:
    figure = conditions(several(number, n_classes, silent))
    assert_legible(figure)
    assert figure.get_size_inches()[0] == (style.COLUMN if (number, n_classes) == (2, 3) else style.PAGE)


def test_a_name_of_any_length_leaves_room_for_the_matrices(assert_legible: Callable[[Figure], None]) -> None:
    figure = conditions({f"{letter} " * 200: OWN for letter in "abc"})
    assert_legible(figure)
    assert all(len(axes.get_title().splitlines()) == 3 for axes in figure.axes)
