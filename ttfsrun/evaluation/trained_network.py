"""Evaluation of trained networks under their conditions: as many at once as the memory allows."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ttfsrun.config.conditions import Condition
from ttfsrun.config.ids import shared_settings
from ttfsrun.data.samples import Samples
from ttfsrun.evaluation.deployed import DeployedNetworks, shared_by_trials
from ttfsrun.evaluation.metrics import trial_metrics
from ttfsrun.files import sha256
from ttfsrun.network import Learned
from ttfsrun.substrate.chip import Chip
from ttfsrun.training.responses import rows_at_once

CONDITION_SPLITS = ("valid", "test")  # of the conditions other than the network's own
DECISIONS = 1 << 22  # of all networks and trials together that are kept at once, to bound the memory


@dataclass(frozen=True)
class TrainedNetwork:
    """What one network learned, as a population of one, and the conditions of its evaluation, its own first."""

    learned: Learned
    conditions: Sequence[Condition]


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a trained network.

    splits: metrics of each split, under the network's own condition; seconds: its share of the computing time of each.
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


class Pair(NamedTuple):
    """A network under one of its conditions, by their numbers."""

    network: int
    condition: int


@dataclass(frozen=True)
class Deployment:
    """Networks that are evaluated at once on some splits, each under one of its conditions."""

    pairs: Sequence[Pair]
    networks: DeployedNetworks
    splits: tuple[str, ...]


class Measured(NamedTuple):
    """Metrics of one network on one split, under one condition, and its share of the computing time."""

    metrics: dict[str, Any]
    seconds: float


def evaluate(
    networks: Sequence[TrainedNetwork], samples: Mapping[str, Samples], device: torch.device | str = "cpu"
) -> list[Evaluation]:
    """Evaluate trained networks on all splits under their own conditions, and on `CONDITION_SPLITS` under the others.

    A network's metrics do not depend on the other networks, nor on the device. Raises UserError where a chip file
    cannot be read or does not fit its network.
    """
    measured: dict[Pair, dict[str, Measured]] = {}
    for deployment in deploy(networks, samples, device):
        for split in deployment.splits:
            start = time.perf_counter()
            metrics = [trial_metrics(trials) for trials in deployment.networks.run_trials(split, samples[split])]
            share = (time.perf_counter() - start) / len(deployment.pairs)
            for pair, values in zip(deployment.pairs, metrics, strict=True):
                measured.setdefault(pair, {})[split] = Measured(values, share)
    return [
        _evaluation(network.conditions, [measured[Pair(n, c)] for c in range(len(network.conditions))])
        for n, network in enumerate(networks)
    ]


def _evaluation(conditions: Sequence[Condition], measured: Sequence[Mapping[str, Measured]]) -> Evaluation:
    """Return the evaluation of a network from what was measured on each split, under each condition."""
    metrics = [{split: values.metrics for split, values in splits.items()} for splits in measured]
    seconds = {split: values.seconds for split, values in measured[0].items()}
    others = [condition.as_record() | metrics[c] for c, condition in enumerate(conditions) if c > 0]
    return Evaluation(conditions[0], metrics[0], seconds, others)


def deploy(
    networks: Sequence[TrainedNetwork], samples: Mapping[str, Samples], device: torch.device | str
) -> Iterator[Deployment]:
    """Yield the networks under all their conditions, as many at once as the memory allows; see `evaluate`."""
    for splits, pairs in _alike(networks, tuple(samples)):
        config = networks[pairs[0].network].conditions[pairs[0].condition].config
        n_decisions = config.evaluation.trials * max(len(samples[split].labels) for split in splits)
        most = min(rows_at_once(torch.device(device)) // config.training.batch_size, DECISIONS // n_decisions)
        for part in _equal_parts(pairs, max(1, most)):
            configs = [networks[n].conditions[c].config for n, c in part]
            learned = Learned.joined([networks[n].learned for n, _ in part])
            yield Deployment(part, DeployedNetworks(configs, learned, device), splits)


def _alike(networks: Sequence[TrainedNetwork], splits: tuple[str, ...]) -> list[tuple[tuple[str, ...], list[Pair]]]:
    """Return the pairs that can be evaluated at once, and their splits: of own conditions, all of `splits`."""
    groups: dict[Hashable, tuple[tuple[str, ...], list[Pair]]] = {}
    for n, network in enumerate(networks):
        shared = repr(shared_settings(network.conditions[0].config))  # no condition can change these
        for c, condition in enumerate(network.conditions):
            wanted = CONDITION_SPLITS if c else splits
            key = (shared, wanted, shared_by_trials(condition.config))
            groups.setdefault(key, (wanted, []))[1].append(Pair(n, c))
    return list(groups.values())


def _equal_parts(pairs: Sequence[Pair], most: int) -> Iterator[Sequence[Pair]]:
    """Yield parts of about equal size, at most `most`."""
    n_parts = math.ceil(len(pairs) / most)
    size = math.ceil(len(pairs) / n_parts)
    for start in range(0, len(pairs), size):
        yield pairs[start : start + size]


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
