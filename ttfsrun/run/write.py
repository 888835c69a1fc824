"""The results of a finished training: the folder of each network, tables of all of them, and a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

import msgspec
import pandas as pd

from ttfsrun.config.conditions import Condition
from ttfsrun.config.ids import point_id
from ttfsrun.data.samples import Samples
from ttfsrun.evaluation.deployed import DeployedNetworks
from ttfsrun.evaluation.trained_network import CONDITION_SPLITS, TrainedNetwork, evaluate
from ttfsrun.figures import style
from ttfsrun.files import require_unchanged
from ttfsrun.neuron import get_threads
from ttfsrun.run.figures import figure_data, plot_runs
from ttfsrun.run.folder import PopulationFolder
from ttfsrun.training import checkpoint
from ttfsrun.training.state import SPLITS, TrainingState, curve_metrics
from ttfsrun.training.trainer import Trainer


def write_results(
    trainer: Trainer,
    folder: PopulationFolder,
    names: Sequence[str],
    conditions: Sequence[Sequence[Condition]],
    samples: dict[str, Samples],
    origin: Mapping[str, Any],
) -> list[str]:
    """Evaluate each network of a finished training and write all files; return the lines that summarise them.

    conditions: of each network, its own first. origin: further entries of each metrics.json (data, provenance).
    Raises CannotWrite where a file cannot be written, except for figures: where one fails, that is logged.
    """
    keep, state = trainer.settings.keep, trainer.state
    chosen = trainer.best() if keep == "best" else trainer.last()
    trained = [TrainedNetwork(chosen.learned.of_network(p), conditions[p]) for p in range(len(names))]
    evaluations = evaluate(trained, samples, trainer.device)
    require_unchanged(origin.get("chips", {}), "the training started")
    networks, tables, evaluated = [], [], []
    for p, (name, config) in enumerate(zip(names, trainer.configs, strict=True)):
        run, evaluation = folder.run(name), evaluations[p]
        metrics: dict[str, Any] = {
            "id": point_id(config),
            "network": keep,
            "epoch": int(state.best_epoch[p]) if keep == "best" else state.epoch,
            **evaluation.splits,
            "conditions": evaluation.others,
            "seconds": state.seconds,
            "population": len(names),
            **origin,
        }
        versions = {"best": state.best.of_network(p), "last": state.learned.of_network(p)}
        checkpoint.save_network(run.network, versions)
        curves = curve_table(state, p)
        run.write_curves(curves)
        table = condition_table(evaluation.records)
        if evaluation.others:
            run.write_conditions(table)
        deployed = DeployedNetworks([config], trained[p].learned)
        evaluated.append((run, deployed, evaluation.records, curves))
        run.write_metrics(metrics)
        networks.append(_row(name, metrics))
        tables.append(table.assign(run=name))
    seed = trainer.configs[0].seed
    alike = len({point_id(msgspec.structs.replace(config, seed=seed)) for config in trainer.configs}) == 1
    summary = _summary(folder, pd.DataFrame(networks), pd.concat(tables), alike)
    with style.only_warns(f"ttfsrun plot {quote(str(folder.path))} plots the figures"):
        plot_runs(
            [
                (figure_data(network, samples, records, curves), run.figures)
                for run, network, records, curves in evaluated
            ],
            processes=get_threads(),
        )
    return [*summary, f"results: {folder.path}"]


def curve_table(state: TrainingState, p: int) -> pd.DataFrame:
    """Return the learning curves of one network as a tidy table: epoch, split, metric, value."""
    index = pd.MultiIndex.from_product(
        [range(1, len(state.curves) + 1), SPLITS, curve_metrics(len(state.learned.weights))],
        names=["epoch", "split", "metric"],
    )
    return pd.DataFrame({"value": state.curves[:, p].reshape(-1).numpy()}, index=index).reset_index()


def condition_table(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a table with one row per record; a chip is its seed, or its file."""
    rows = [condition_row(record) for record in records]
    table = pd.DataFrame(rows, dtype=object)  # whole numbers stay whole
    measured = [key for key in table if str(key).startswith(CONDITION_SPLITS)]
    return table.astype(dict.fromkeys(measured, float))


def condition_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as one row of a table: its condition, accuracies, losses."""
    row = {"condition": record["condition"], **record["settings"]}
    row |= {key: record[key] for key in ("perturbed", "chip")}
    for split in CONDITION_SPLITS:
        row |= {f"{split}_{key}": record[split][key] for key in ("accuracy", "accuracy_std", "loss")}
    return row | {"trials": record["test"]["trials"]}


def _row(name: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    accuracies = {f"{split}_accuracy": metrics[split]["accuracy"] for split in ("train", "valid", "test")}
    return {"run": name, **accuracies, "test_loss": metrics["test"]["loss"]}


def _summary(folder: PopulationFolder, networks: pd.DataFrame, conditions: pd.DataFrame, alike: bool) -> list[str]:
    """Return the lines of the accuracies and of their means, and write the tables of several networks.

    alike: whether the networks differ only in seeds; means are of those.
    """
    lines = [
        f"{row.run}  test {row.test_accuracy:.2%}  valid {row.valid_accuracy:.2%}".strip()
        for row in networks.itertuples()
    ]
    several_networks, several_conditions = len(networks) > 1, len(conditions) > len(networks)
    if several_networks:
        folder.write_table(networks)
    if several_networks and several_conditions:
        folder.write_conditions(conditions[["run", *(key for key in conditions if key != "run")]])
    if not alike:
        return lines
    if several_networks and not several_conditions:
        accuracy = 100 * networks["test_accuracy"]
        lines.append(f"test {accuracy.mean():.2f} +- {accuracy.std():.2f} % (mean, std of {len(networks)} networks)")
    return lines + (by_condition(conditions) if several_conditions else [])


def by_condition(conditions: pd.DataFrame) -> list[str]:
    """Return a line for each condition: mean and standard deviation of the test accuracy, over networks and chips."""
    varied = [key for key in map(str, conditions) if "." in key]
    lines = []
    for values, group in conditions.groupby(["condition", *varied], dropna=False, sort=False):
        name, *varied_values = values
        settings = [f"{key}={value}" for key, value in zip(varied, varied_values, strict=True) if value == value]
        accuracy = 100 * group["test_accuracy"]
        spread = f" +- {accuracy.std():.2f} % (mean, std of {len(group)})" if len(group) > 1 else " %"
        lines.append(" ".join([str(name), *settings]) + f": test {accuracy.mean():.2f}{spread}")
    return lines
