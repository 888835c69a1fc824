"""The verb `evaluate`: stored networks under other settings and conditions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from ttfsrun.config.compose import revisions
from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.ids import point_id
from ttfsrun.config.schema import Config
from ttfsrun.evaluation.trained_network import Evaluation, TrainedNetwork, chip_checksums, evaluate
from ttfsrun.run.devices import training_device
from ttfsrun.run.folder import PopulationFolder, RunFolder
from ttfsrun.run.inputs import require_stored_chips, stored_samples, stored_settings
from ttfsrun.run.stored import read_learned, use_configured_threads


@dataclass(frozen=True)
class Revision:
    """One combination of the overrides of a stored network; label: of the combination."""

    run: RunFolder
    config: Config
    label: str


def evaluate_run(run: Path, overrides: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Evaluate the networks stored in a folder under each combination of the overrides, those of equal data at once.

    Yields the metrics of each, with the keys of `metrics.json`. Raises UserError where the folder is not one of a
    run, or a setting does not fit the stored network.
    """
    folder = PopulationFolder(run)
    found = [
        Revision(member, config, label)
        for member in map(folder.run, folder.names())
        for config, label in revisions(stored_settings(member), overrides)
    ]
    for _, alike in groupby(found, key=lambda revision: revision.config.data):
        yield from _evaluated([*alike])


def _evaluated(revisions: Sequence[Revision]) -> Iterator[dict[str, Any]]:
    """Yield the metrics of networks with the same data."""
    first = revisions[0]
    use_configured_threads(first.config)
    networks = [_trained_network(revision) for revision in revisions]
    samples, data = stored_samples(first.run, first.config)  # the networks of a population share it
    device, _ = training_device(first.config.cluster.device)
    evaluations = evaluate(networks, samples, device)
    for revision, evaluation in zip(revisions, evaluations, strict=True):
        yield _metrics(revision, evaluation) | {"data": data.source}


def _trained_network(revision: Revision) -> TrainedNetwork:
    conditions = conditions_of(revision.config)
    require_stored_chips(revision.run, revision.config)
    chip_checksums(conditions)
    return TrainedNetwork(read_learned(revision.run, revision.config), conditions)


def _metrics(revision: Revision, evaluation: Evaluation) -> dict[str, Any]:
    metrics: dict[str, Any] = {"run": str(revision.run.path), "settings": revision.label}
    metrics |= {"id": point_id(revision.config), "network": revision.config.training.keep}
    for split, values in evaluation.splits.items():
        metrics[split] = values | {"samples_per_second": values["samples"] / evaluation.seconds[split]}
    return metrics | {"conditions": evaluation.others}
