"""Columns of the table that hold metrics and the execution: their names, and the values for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from sys import intern
from typing import Any

from ttfsrun.evaluation.energy import MODELS
from ttfsrun.results.views import ConditionView, DecisionTime, ExecutionView, MetricsView

SPLITS = ("test", "valid", "train")  # in the order of the columns; conditions other than a point's own lack `train`
ENERGY_MODELS = tuple(MODELS)
DEVICE = "device"  # a column where a GPU computed some points
EXECUTION = ("seconds", "memory_mb", "population", "threads", "host", DEVICE, "job", "git_sha", "git_dirty", "package")
Row = list[Any]


@cache
def metric_names(split: str, n_layers: int) -> Sequence[str]:
    """Return the names of the columns of one split."""
    layers = [f"{kind}_{layer + 1}" for kind in ("silent_fraction", "spikes_per_sample") for layer in range(n_layers)]
    times = [f"{kind}_{name}" for kind in ("decision_time", "decision_us") for name in ("mean", "median", "p95")]
    events = ["synaptic_events", "synaptic_events_before_decision"]
    energies = [f"energy_{model}_uj" for model in ENERGY_MODELS]
    names = ("accuracy", "accuracy_std", "loss", "trials", *layers, *times, *events, *energies)
    return tuple(f"{split}_{name}" for name in names)


def metric_row(metrics: MetricsView, n_layers: int) -> Row:
    """Return the values of one split, as `metric_names` orders them; empty for layers that only other points have."""
    padding = [None] * (n_layers - len(metrics.silent_fraction))
    layers = [*metrics.silent_fraction, *padding, *metrics.spikes_per_sample, *padding]
    times = [*_time_row(metrics.decision_time), *_time_row(metrics.decision_time_us)]
    events = [metrics.synaptic_events.all, metrics.synaptic_events.before_decision]
    energies = [metrics.energy_uj.get(model) for model in ENERGY_MODELS]
    return [metrics.accuracy, metrics.accuracy_std, metrics.loss, metrics.trials, *layers, *times, *events, *energies]


def condition_metrics(condition: ConditionView, n_layers: int) -> Row:
    """Return the values of all splits under one condition."""
    rows = [metric_row(condition.test, n_layers), metric_row(condition.valid, n_layers)]
    train = metric_row(condition.train, n_layers) if condition.train else [None] * len(metric_names("train", n_layers))
    return [*rows[0], *rows[1], *train]


def execution_names(gpus: bool) -> Sequence[str]:
    """Return the columns of the execution. gpus: whether GPUs computed some points."""
    return [name for name in EXECUTION if gpus or name != DEVICE]


def execution_row(execution: ExecutionView, names: Sequence[str]) -> Row:
    """Return the values of the columns of the execution; none where there are no such columns."""
    if not names:
        return []
    made_by = execution.made_by
    values = [execution.seconds, execution.memory_mb, execution.population, execution.threads]
    host, package = intern(execution.host), intern(execution.package)  # one text for all rows
    sha = made_by.git_sha and intern(made_by.git_sha)
    devices = [intern(execution.device)] if DEVICE in names else []
    return [*values, host, *devices, execution.job, sha, made_by.git_dirty, package]


def _time_row(time: DecisionTime) -> Row:
    return [time.mean, time.median, time.p95]
