"""The samples that networks receive: values encoded as spike times, with their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ttfsrun.config.schema import Mnist, YinYang
from ttfsrun.data import encode, load_dataset
from ttfsrun.data.dataset import DataOrigin


@dataclass(frozen=True)
class Samples:
    """Encoded samples: input spike times [S, N] in tau_syn, inf for no spike, and labels [S]."""

    times: NDArray[np.float32]
    labels: NDArray[np.int64]


def load_samples(settings: YinYang | Mnist) -> tuple[dict[str, Samples], DataOrigin]:
    """Return the encoded splits (train, valid, test) of a dataset, and its origin.

    settings: the configuration's `data`. Raises DataError where the data are missing or damaged.
    """
    dataset = load_dataset(settings)
    splits = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test}
    samples = {name: Samples(encode(split.values, settings.encoding), split.labels) for name, split in splits.items()}
    return samples, dataset.origin
