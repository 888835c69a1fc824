"""The verb `evaluate`: stored networks under other settings and conditions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ttfsrun.config.compose import revisions
from ttfsrun.config.conditions import conditions_of
from ttfsrun.config.ids import point_id
from ttfsrun.evaluation.trained_network import TrainedNetwork, chip_checksums, evaluate
from ttfsrun.run.folder import PopulationFolder
from ttfsrun.run.inputs import require_stored_chips, stored_samples, stored_settings
from ttfsrun.run.stored import read_weights, use_configured_threads


def evaluate_run(run: Path, overrides: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Evaluate the networks stored in a folder, one after the other, under each combination of the overrides.

    Yields the metrics of each, with the keys of `metrics.json`. Raises UserError where the folder is not one of a
    run, or a setting does not fit the stored network.
    """
    folder = PopulationFolder(run)
    for name in folder.names():
        member = folder.run(name)
        for config, label in revisions(stored_settings(member), overrides):
            use_configured_threads(config)
            conditions = conditions_of(config)
            require_stored_chips(member, config)
            chip_checksums(conditions)
            weights = read_weights(member, config)
            samples, data = stored_samples(member, config)
            evaluation = evaluate(TrainedNetwork(config, weights), conditions, samples)
            metrics: dict[str, Any] = {"run": str(member.path), "settings": label, "id": point_id(config)}
            metrics["network"] = config.training.keep
            for split, values in evaluation.splits.items():
                metrics[split] = values | {"samples_per_second": values["samples"] / evaluation.seconds[split]}
            yield metrics | {"conditions": evaluation.others, "data": data.source}
