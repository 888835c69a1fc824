"""The samples that networks receive: values encoded as spike times, with their labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ttfsrun.config.schema import Mnist, YinYang
from ttfsrun.data import encode, load_dataset
from ttfsrun.data.dataset import DataOrigin


@dataclass(frozen=True)
class Samples:
    """Encoded samples: input spike times [S, N] in tau_syn, inf for no spike, and labels [S].

    originals: the images that augmentation changes, see `Dataset`; None where they were not asked for.
    """

    times: NDArray[np.float32]
    labels: NDArray[np.int64]
    originals: NDArray[np.uint8] | None = None

    def first(self, count: int) -> Samples:
        """Return the first samples."""
        originals = None if self.originals is None else self.originals[:count]
        return Samples(self.times[:count], self.labels[:count], originals)


def load_samples(settings: YinYang | Mnist, originals: bool = False) -> tuple[dict[str, Samples], DataOrigin]:
    """Return the encoded splits (train, valid, test) of a dataset, not augmented, and its origin.

    settings: the configuration's `data`. originals: keep the original training images, if the data are images.
    Raises DataError where the data are missing or damaged.
    """
    dataset = load_dataset(settings)
    splits = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test}
    samples = {name: Samples(encode(split.values, settings.encoding), split.labels) for name, split in splits.items()}
    if originals and dataset.originals is not None:
        samples["train"] = replace(samples["train"], originals=dataset.originals())
    return samples, dataset.origin
