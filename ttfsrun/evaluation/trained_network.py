"""A trained network under its conditions: each on one chip, over its trials, as plain numbers for a record."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from ttfsrun.config.conditions import Condition
from ttfsrun.config.schema import Config
from ttfsrun.files import sha256
from ttfsrun.network import Network, build
from ttfsrun.substrate.chip import Chip
from ttfsrun.substrate.emulation import Emulation, Operation
from ttfsrun.training.responses import Evaluation, evaluate, pooled
from ttfsrun.training.trainer import Samples

SPLITS = ("valid", "test")  # that conditions beside the network's own are evaluated on


class Subject:
    """One network (P = 1) as a configuration evaluates it: on its substrate, at its age."""

    def __init__(self, config: Config, weights: Sequence[Tensor]) -> None:
        self.config = config
        self.network: Network = build([config]).with_weights(weights)
        self.substrate = Emulation.of([config], [config.evaluation.perturbed])

    def during(self, phase: str, step: int = 0) -> Operation:
        """A batch on its substrate."""
        age = self.config.training.epochs if self.config.evaluation.age is None else self.config.evaluation.age
        return self.substrate.during(phase, step, age=age)

    def trial(self, split: str, samples: Samples, number: int = 0) -> Evaluation:
        """One evaluation on a split, with the noise of its number."""
        loss, operations = self.config.training.loss, partial(self.during, f"{split} {number}")
        size = None if self.substrate.ideal else self.config.training.batch_size
        (result,) = evaluate(self.network, samples.times, samples.labels, loss, operations, size)
        return result

    def trials(self, split: str, samples: Samples) -> list[Evaluation]:
        """As many as wanted where chance has a part in it, else one."""
        n_trials = self.config.evaluation.trials if self.substrate.noisy else 1
        return [self.trial(split, samples, number) for number in range(n_trials)]

    def measured(self, split: str, samples: Samples) -> dict[str, Any]:
        """The metrics over all trials."""
        return metrics_over(self.trials(split, samples))


def metrics_over(trials: Sequence[Evaluation]) -> dict[str, Any]:
    """The metrics of all samples of all trials, and how the accuracy varies from trial to trial."""
    accuracies = [trial.accuracy for trial in trials]
    spread = statistics.stdev(accuracies) if len(trials) > 1 else None
    return pooled(trials).metrics() | {"trials": len(trials), "accuracy_std": spread}


def record(condition: Condition, weights: Sequence[Tensor], samples: dict[str, Samples]) -> dict[str, Any]:
    """A network under a condition that is not its own."""
    subject = Subject(condition.config, weights)
    return condition.as_record() | {split: subject.measured(split, samples[split]) for split in SPLITS}


def all_records(metrics: Mapping[str, Any], own: Condition) -> list[dict[str, Any]]:
    """The records in a run's metrics: of its own condition, and of the others."""
    return [dict(metrics) | own.as_record(), *metrics["conditions"]]


def row_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as one row of a table: what it was evaluated under, accuracies, losses."""
    row = {"condition": record["condition"], **record["settings"]}
    row |= {key: record[key] for key in ("perturbed", "chip")}
    for split in SPLITS:
        row |= {f"{split}_{key}": record[split][key] for key in ("accuracy", "accuracy_std", "loss")}
    return row | {"trials": record["test"]["trials"]}


def chip_files(conditions: Sequence[Condition]) -> dict[str, str]:
    """The checksum of each chip file that conditions name; a UserError where one does not fit the network."""
    found = {}
    for condition in conditions:
        file = condition.config.substrate.chip.file
        if file is not None and file not in found:
            Chip.of(condition.config)
            found[file] = sha256(Path(file))
    return found
