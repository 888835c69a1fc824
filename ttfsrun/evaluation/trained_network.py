"""Evaluation of a trained network under its conditions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ttfsrun.config.conditions import Condition
from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.evaluation.metrics import trial_metrics
from ttfsrun.files import sha256
from ttfsrun.network import Network, build, emulate
from ttfsrun.substrate.chip import Chip
from ttfsrun.substrate.emulation import Operation
from ttfsrun.training.responses import Responses, collect_responses

CONDITION_SPLITS = ("valid", "test")  # of the conditions other than the network's own


class TrainedNetwork:
    """One trained network (P = 1) on the substrate, and at the age, of its evaluation."""

    def __init__(self, config: Config, weights: Sequence[Tensor]) -> None:
        """weights: [1, N, M] per layer."""
        self.config = config
        self.network: Network = build([config]).with_weights(weights)
        self.substrate = emulate([config], [config.evaluation.perturbed])

    def during(self, phase: str, step: int = 0) -> Operation:
        """Return the state of the substrate during one batch of a phase."""
        age = self.config.training.epochs if self.config.evaluation.age is None else self.config.evaluation.age
        return self.substrate.during(phase, step, age=age)

    def run_trial(self, split: str, samples: Samples, number: int = 0) -> Responses:
        """Return the responses to a split, with the noise of one trial."""
        operation = partial(self.during, f"{split} {number}")
        batch_size = None if self.substrate.ideal else self.config.training.batch_size
        (responses,) = collect_responses(self.network, samples, self.config.training.loss, operation, batch_size)
        return responses

    def run_trials(self, split: str, samples: Samples) -> list[Responses]:
        """Return the responses in each trial; in a single one where the substrate is not noisy."""
        n_trials = self.config.evaluation.trials if self.substrate.noisy else 1
        return [self.run_trial(split, samples, number) for number in range(n_trials)]

    def measure(self, split: str, samples: Samples) -> dict[str, Any]:
        """Return the metrics on a split, over all trials."""
        return trial_metrics(self.run_trials(split, samples))


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a trained network.

    splits: metrics of each split, under the network's own condition; seconds: computing time of each split.
    others: the record of each other condition.
    """

    own: Condition
    splits: dict[str, dict[str, Any]]
    seconds: dict[str, float]
    others: list[dict[str, Any]]

    @property
    def records(self) -> list[dict[str, Any]]:
        """A record for each condition, the network's own first."""
        return [self.splits | self.own.as_record(), *self.others]


def evaluate(network: TrainedNetwork, conditions: Sequence[Condition], samples: Mapping[str, Samples]) -> Evaluation:
    """Evaluate a trained network on all splits under its own condition, which is the first, and under the others."""
    own, *others = conditions
    splits, seconds = {}, {}
    for split, split_samples in samples.items():
        start = time.perf_counter()
        splits[split] = network.measure(split, split_samples)
        seconds[split] = time.perf_counter() - start
    return Evaluation(own, splits, seconds, [_record(other, network.network.weights, samples) for other in others])


def _record(condition: Condition, weights: Sequence[Tensor], samples: Mapping[str, Samples]) -> dict[str, Any]:
    """Return the record of a network under a condition other than its own."""
    network = TrainedNetwork(condition.config, weights)
    return condition.as_record() | {split: network.measure(split, samples[split]) for split in CONDITION_SPLITS}


def stored_records(metrics: Mapping[str, Any], own: Condition) -> list[dict[str, Any]]:
    """Return the records in a run's metrics, its own condition first."""
    return [dict(metrics) | own.as_record(), *metrics["conditions"]]


def chip_checksums(conditions: Sequence[Condition]) -> dict[str, str]:
    """Return the checksum of each chip file that conditions name.

    Raises UserError where a file does not fit its network.
    """
    checksums: dict[str, str] = {}
    for condition in conditions:
        file = condition.config.substrate.chip.file
        if file is not None and file not in checksums:
            Chip.of(condition.config.chip_spec)
            checksums[file] = sha256(Path(file))
    return checksums
