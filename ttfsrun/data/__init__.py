"""Datasets and their encoding as spike times; numpy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ttfsrun.config import schema
from ttfsrun.data import mnist, yin_yang
from ttfsrun.data.dataset import DataError, Dataset, Split
from ttfsrun.data.encoding import encode

__all__ = ["DataError", "Dataset", "Split", "encode", "load_dataset"]

_LOADERS: Mapping[type, Callable[[Any], Dataset]] = {
    schema.YinYang: yin_yang.load,
    schema.Mnist: mnist.load,
}


def load_dataset(settings: schema.YinYang | schema.Mnist) -> Dataset:
    """Return the dataset that the configuration's `data` group describes.

    Raises DataError where the data are missing or damaged.
    """
    return _LOADERS[type(settings)](settings)
