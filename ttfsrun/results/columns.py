"""The numbers of a record that stand in tables: a reader that passes over the rest of it, confusion matrices above all.

Each kind has the names of its columns beside the values for them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ttfsrun.errors import Reason
from ttfsrun.evaluation.energy import MODELS
from ttfsrun.results.record import Attempt

SPLITS = ("test", "valid", "train")  # in the order of the columns; conditions beside a point's own lack `train`
ENERGY_MODELS = tuple(MODELS)
Row = list[Any]


class DecisionTime(msgspec.Struct, frozen=True, gc=False):
    mean: float | None
    median: float | None
    p95: float | None

    def row(self) -> Row:
        return [self.mean, self.median, self.p95]


class SynapticEvents(msgspec.Struct, frozen=True, gc=False):
    all: float
    before_decision: float


class Metrics(msgspec.Struct, frozen=True):
    """Of one network on one split, under one condition."""

    accuracy: float
    loss: float | None
    silent_fraction: list[float]
    spikes_per_sample: list[float]
    decision_time: DecisionTime
    decision_time_us: DecisionTime
    synaptic_events: SynapticEvents
    energy_uj: dict[str, float]
    trials: int
    accuracy_std: float | None = None

    def row(self, n_layers: int) -> Row:
        """As `metric_names` has them; empty for layers that other points have."""
        beyond = [None] * (n_layers - len(self.silent_fraction))
        layers = [*self.silent_fraction, *beyond, *self.spikes_per_sample, *beyond]
        times = [*self.decision_time.row(), *self.decision_time_us.row()]
        events = [self.synaptic_events.all, self.synaptic_events.before_decision]
        energies = [self.energy_uj.get(model) for model in ENERGY_MODELS]
        return [self.accuracy, self.accuracy_std, self.loss, self.trials, *layers, *times, *events, *energies]


def metric_names(split: str, n_layers: int) -> list[str]:
    """The columns of one split."""
    layers = [f"{kind}_{layer + 1}" for kind in ("silent_fraction", "spikes_per_sample") for layer in range(n_layers)]
    times = [f"{kind}_{name}" for kind in ("decision_time", "decision_us") for name in ("mean", "median", "p95")]
    events = ["synaptic_events", "synaptic_events_before_decision"]
    energies = [f"energy_{model}_uj" for model in ENERGY_MODELS]
    names = ("accuracy", "accuracy_std", "loss", "trials", *layers, *times, *events, *energies)
    return [f"{split}_{name}" for name in names]


class Evaluated(msgspec.Struct, frozen=True):
    """One network under one condition; the defaults are of a point's own."""

    perturbed: bool
    chip: int | str | None
    test: Metrics
    valid: Metrics
    train: Metrics | None = None
    condition: str = "own"
    settings: dict[str, Any] = {}

    def row(self, n_layers: int) -> Row:
        """The metrics of all splits."""
        last = self.train.row(n_layers) if self.train else [None] * len(metric_names("train", n_layers))
        return self.test.row(n_layers) + self.valid.row(n_layers) + last


class Result(Evaluated, frozen=True, kw_only=True):
    """A point's numbers under its own condition, and under the others."""

    epoch: int
    conditions: list[Evaluated]


class MadeBy(msgspec.Struct, frozen=True, gc=False):
    git_sha: str | None = None
    git_dirty: bool | None = None


class Execution(msgspec.Struct, frozen=True):
    """See `record.Execution`."""

    seconds: float
    memory_mb: float
    population: int
    threads: int
    host: str
    job: str | None
    package: str
    made_by: MadeBy

    def row(self) -> Row:
        made_by = self.made_by
        told = [self.seconds, self.memory_mb, self.population, self.threads, self.host, self.job]
        return [*told, made_by.git_sha, made_by.git_dirty, self.package]


EXECUTION = ("seconds", "memory_mb", "population", "threads", "host", "job", "git_sha", "git_dirty", "package")


class Outcome(Attempt, frozen=True, kw_only=True):
    """An attempt whose result is decoded only where it counts."""

    result: msgspec.Raw = msgspec.Raw()
    reason: Reason | None = None
    message: str | None = None
    execution: Execution
