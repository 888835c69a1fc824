"""What the parts of benchmarks/gpu.py share: the device, the time that a part may take, the trainings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import msgspec
import torch
from substrate import drawn

from ttfsrun.config.compose import expand
from ttfsrun.config.schema import Config, Mnist
from ttfsrun.data import DataError
from ttfsrun.data.samples import Samples, load_samples
from ttfsrun.training.trainer import Trainer

SPIKING = 0.35  # share of the pixels of random images that spike
RANDOM_IMAGES = {"train": 1000, "valid": 200}

_splits: dict[bytes, dict[str, Samples]] = {}  # of each dataset that has been loaded


@dataclass(frozen=True)
class Setup:
    """The device to measure, and how many seconds a part may take.

    tiny: whether this only tries the script. computing: entered while the device computes.
    """

    device: str
    seconds: float
    tiny: bool = False
    computing: Callable[[], AbstractContextManager[None]] = nullcontext
    start: float = field(default_factory=time.perf_counter)

    @property
    def left(self) -> float:
        return self.start + self.seconds - time.perf_counter()

    def wait(self) -> None:
        """Wait until the device has computed all that it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def size(self, full: int, tiny: int) -> int:
        return tiny if self.tiny else full

    def trainer(self, configs: Sequence[Config], train: int | None = None, valid: int | None = None) -> Trainer:
        """Return a training on the device; for train and valid, see `samples`."""
        return Trainer(configs, *self.samples(configs[0], train, valid), device=self.device)

    def samples(self, config: Config, train: int | None = None, valid: int | None = None) -> tuple[Samples, Samples]:
        """Return the first samples of a configuration's data, for training and for validation; None: all."""
        splits = self._splits(config)
        return _first(splits["train"], train), _first(splits["valid"], valid)

    def _splits(self, config: Config) -> dict[str, Samples]:
        """Return the data of a configuration: random ones where there is no MNIST, and for a tiny network."""
        key = msgspec.json.encode(config.data)
        if key not in _splits:
            try:
                if self.tiny and isinstance(config.data, Mnist):
                    raise DataError("not needed")
                _splits[key] = load_samples(config.data)[0]
            except DataError as error:
                print(f"random images instead of MNIST: {error}")
                sizes = config.layer_sizes
                _splits[key] = {name: drawn(sizes, rows, SPIKING) for name, rows in RANDOM_IMAGES.items()}
        return _splits[key]


def _first(samples: Samples, count: int | None) -> Samples:
    return Samples(samples.times[:count], samples.labels[:count])


def population(size: int, *overrides: str) -> list[Config]:
    """Return the configurations of networks that differ in their initial weights."""
    return [point.config for point in expand([*overrides, f"seed.init=range({size})"])]
