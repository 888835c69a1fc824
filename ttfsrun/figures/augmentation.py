"""Training images as augmentation changes them from epoch to epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ttfsrun.figures import style

MAX_COLUMNS = 8  # more images beside each other would be too small for their titles
MARGIN = 0.35  # in inches, for the titles


@dataclass(frozen=True)
class AugmentedImages:
    """Some images of a dataset before augmentation and in several epochs.

    plain [S, size, size], changed [S, epochs, size, size]: uint8, 0 is white; labels [S].
    """

    plain: np.ndarray
    changed: np.ndarray
    labels: np.ndarray

    @property
    def columns(self) -> np.ndarray:
        """All versions of each image, the plain one first, [S, 1 + epochs, size, size]."""
        return np.concatenate([self.plain[:, None], self.changed], axis=1)


def augmentation(images: AugmentedImages) -> Figure:
    """Plot a row for each image: as it is in the data, then as the network receives it in the first epochs.

    Raises ValueError where there are no images, no epochs, or more than fit beside each other.
    """
    columns = images.columns
    rows, versions = columns.shape[:2]
    if not rows or not 2 <= versions <= MAX_COLUMNS:
        raise ValueError(
            f"{rows} images in {versions - 1} epochs; a figure shows some, in 1 to {MAX_COLUMNS - 1} epochs"
        )
    with style.figure_style():
        figure = style.new_figure(style.COLUMN, MARGIN + rows * style.COLUMN / versions)
        grid = figure.subplots(rows, versions, squeeze=False)
        for label, panels, shown in zip(images.labels, grid, columns, strict=True):
            for axes, image in zip(panels, shown, strict=True):
                axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(True)
            panels[0].set_ylabel(f"class {label}")
        grid[0, 0].set_title("image")
        for epoch, axes in enumerate(grid[0, 1:], 1):
            axes.set_title(f"epoch {epoch}")
    return figure


def table(images: AugmentedImages) -> pd.DataFrame:
    """Return one row per pixel: `image`, `label`, `epoch` (0: not augmented), `row`, `column`, `pixel` (0: white)."""
    columns = images.columns
    image, epoch, row, column = (index.ravel() for index in np.indices(columns.shape))
    label = np.asarray(images.labels)[image]
    numbers = {"image": image, "label": label, "epoch": epoch, "row": row, "column": column}
    return pd.DataFrame(numbers | {"pixel": columns.ravel()})
