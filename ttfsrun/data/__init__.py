"""Datasets and their encoding as spike times; numpy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ttfsrun import config
from ttfsrun.data import mnist, yin_yang
from ttfsrun.data.dataset import DataError, Dataset, Split
from ttfsrun.data.encoding import encode

__all__ = ["DataError", "Dataset", "Split", "encode", "load"]

_LOADERS: Mapping[type, Callable[[Any], Dataset]] = {
    config.YinYang: yin_yang.load,
    config.Mnist: mnist.load,
}


def load(settings: config.YinYang | config.Mnist) -> Dataset:
    """The dataset that the configuration's `data` group names."""
    return _LOADERS[type(settings)](settings)
