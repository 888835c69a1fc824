from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from ttfsrun.figures.augmentation import MAX_COLUMNS, AugmentedImages, augmentation, table


def random_images(n: int = 4, epochs: int = 5, size: int = 16) -> AugmentedImages:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 1 + epochs, size, size), np.uint8)
    return AugmentedImages(pixels[:, 0], pixels[:, 1:], np.arange(n))


def test_each_image_is_beside_its_changed_versions() -> None:
    images = random_images()
    figure = augmentation(images)
    panels = iter(figure.axes)
    for plain, changed in zip(images.plain, images.changed, strict=True):
        for expected in (plain, *changed):
            (shown,) = next(panels).images
            np.testing.assert_array_equal(shown.get_array(), expected)
            assert (shown.norm.vmin, shown.norm.vmax) == (0, 255)
    assert next(panels, None) is None
    assert [axes.get_title() for axes in figure.axes[:6]] == ["image", *(f"epoch {epoch}" for epoch in range(1, 6))]
    assert [axes.get_ylabel() for axes in figure.axes[::6]] == [f"class {label}" for label in range(4)]


@pytest.mark.parametrize(("n", "epochs", "size"), [(1, 1, 28), (4, 5, 28), (4, 5, 16), (2, MAX_COLUMNS - 1, 16)])
def test_images_of_some_epochs_are_legible(
    n: int, epochs: int, size: int, assert_legible: Callable[[Figure], None]
) -> None:
    assert_legible(augmentation(random_images(n, epochs, size)))


def test_the_table_has_each_pixel() -> None:
    images = random_images(3, 2, 16)
    numbers = table(images)
    found = numbers.pivot(index=["image", "epoch", "row"], columns="column", values="pixel").to_numpy()
    np.testing.assert_array_equal(found.reshape(3, 3, 16, 16), images.columns)
    assert numbers.groupby("image")["label"].unique().explode().tolist() == [0, 1, 2]


@pytest.mark.parametrize(("n", "epochs"), [(0, 5), (4, 0), (4, MAX_COLUMNS)])
def test_nothing_to_plot_and_too_much_are_refused(n: int, epochs: int) -> None:
    with pytest.raises(ValueError, match=f"{n} images in {epochs} epochs"):
        augmentation(random_images(n, epochs))
