"""What a run's figures show of its records."""

from __future__ import annotations

from typing import Any

from ttfsrun.run.figures import confusion_counts


def record(name: str, right: int, chip: int | str | None = 0, **settings: float) -> dict[str, Any]:
    about = {"condition": name, "settings": settings, "perturbed": chip is not None, "chip": chip}
    return about | {"test": {"confusion": [[right, 0, 0], [0, 1, 0]]}}


def test_of_each_condition_the_first_is_shown_and_not_more_than_three() -> None:
    other, noise = "own, other chips", {"substrate.weight.write_std": 0.1}
    records = [record("own", 1), record(other, 2, 7), record(other, 3, 8), record("noisy", 4, 0, **noise)]
    shown = confusion_counts([*records, record("noisy", 5), record("simulation", 6, None)])
    titles = ["own (chip=0)", "own, other chips (chip=7)", "noisy (weight.write_std=0.1, chip=0)"]
    assert [(title, counts[0, 0]) for title, counts in shown.items()] == list(zip(titles, (1, 2, 4), strict=True))


def test_a_condition_tells_its_chip_or_that_it_has_none() -> None:
    shown = confusion_counts([record("own", 1, "chips/lab.safetensors"), record("simulation", 2, None)])
    assert list(shown) == ["own (chip=lab.safetensors)", "simulation (unperturbed)"]
