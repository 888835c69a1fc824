"""Datasets in memory, and the error of those that are unavailable."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Dataset:
    """The three splits, and their source, which is recorded with the results."""

    train: Split
    valid: Split
    test: Split
    source: dict[str, str]
