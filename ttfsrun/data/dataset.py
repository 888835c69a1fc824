"""Datasets in memory, and the error of those that are unavailable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ttfsrun.errors import UserError


class DataError(UserError):
    """The data are unavailable or damaged."""


@dataclass(frozen=True)
class Split:
    """Samples that are used together.

    values [n, n_inputs]: float32 in [0, 1]; labels [n]: int64, the class of each sample.
    """

    values: NDArray[np.float32]
    labels: NDArray[np.int64]


class DataOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """What identifies the data, by name (checksums of files, seeds of a generator), and the folder of the files.

    folder: an absolute path; None where the data are generated, or the folder is unknown.
    """

    source: dict[str, str]
    folder: str | None = None


@dataclass(frozen=True)
class Dataset:
    """The three splits, and where they came from; see `DataOrigin`.

    originals: returns the training images as they are in their files, with a border of one white pixel, uint8
    [n, height + 2, width + 2]; None: no images.
    """

    train: Split
    valid: Split
    test: Split
    source: dict[str, str]
    folder: Path | None = None
    originals: Callable[[], NDArray[np.uint8]] | None = None

    @property
    def origin(self) -> DataOrigin:
        """What is kept with everything that is computed from these data."""
        return DataOrigin(source=self.source, folder=None if self.folder is None else str(self.folder.absolute()))
