"""Views of records: each reader decodes only the fields that it needs, and skips the rest of a line.

RecordSummary    which attempt counts, how it ended, what it cost (status, retry, costs)
TableRecord      what a row of the table shows; its result is decoded as ResultView where it counts
ConfusionView    the confusion matrices (plots)
AccuracyCurves   the learning curves of the accuracy (plots)
RawCurves        learning curves, decoded when they are written

`record.Record` has all fields. There are many of these, without cycles: the garbage collector need not look at them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ttfsrun.config.conditions import OWN
from ttfsrun.errors import Reason
from ttfsrun.results.record import CPU, Attempt


class ExecutionSummary(msgspec.Struct, frozen=True, gc=False):
    """Which submission computed a point, where, and the time that it took."""

    submission: str
    seconds: float
    threads: int
    job: str | None = None
    population: int = 1
    device: str = CPU


class RecordSummary(Attempt, frozen=True, kw_only=True):
    """A record without its result."""

    reason: Reason | None = None
    message: str | None = None
    traceback: str | None = None
    execution: ExecutionSummary


class MadeBy(msgspec.Struct, frozen=True, gc=False):
    """The commit of the code that computed a point."""

    git_sha: str | None = None
    git_dirty: bool | None = None


class ExecutionView(msgspec.Struct, frozen=True, gc=False):
    """The fields of `record.Execution` that have columns."""

    seconds: float
    memory_mb: float
    population: int
    threads: int
    host: str
    job: str | None
    package: str
    made_by: MadeBy
    device: str = CPU


class TableRecord(Attempt, frozen=True, kw_only=True):
    """A record as the table needs it."""

    result: msgspec.Raw = msgspec.Raw()  # a ResultView
    reason: Reason | None = None
    message: str | None = None
    execution: ExecutionView


class DecisionTime(msgspec.Struct, frozen=True, gc=False):
    """Statistics of decision times; None without a decision."""

    mean: float | None
    median: float | None
    p95: float | None


class SynapticEvents(msgspec.Struct, frozen=True, gc=False):
    """Synaptic events per sample."""

    all: float
    before_decision: float


class MetricsView(msgspec.Struct, frozen=True, gc=False):
    """Metrics of one network on one split, under one condition."""

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


class ConditionView(msgspec.Struct, frozen=True, gc=False):
    """One network under one condition; the defaults are those of a point's own condition."""

    perturbed: bool
    chip: int | str | None
    test: MetricsView
    valid: MetricsView
    train: MetricsView | None = None
    condition: str = OWN
    settings: dict[str, Any] = {}


class ResultView(ConditionView, frozen=True, kw_only=True):
    """Metrics of a point under its own condition, and under the others."""

    epoch: int
    conditions: list[ConditionView]


class DataSource(msgspec.Struct, frozen=True, gc=False):
    """The source of the data that a result was computed on."""

    data: dict[str, str]


class SplitConfusion(msgspec.Struct, frozen=True, gc=False):
    """Test samples by true class and decision."""

    confusion: list[list[int]] | None = None


class ConditionConfusion(msgspec.Struct, frozen=True, gc=False):
    """The confusion matrix under one condition."""

    test: SplitConfusion


class ResultConfusion(ConditionConfusion, frozen=True):
    """The confusion matrices of a point: its own condition, and the others in their order."""

    conditions: list[ConditionConfusion] = []


class ConfusionView(Attempt, frozen=True, kw_only=True):
    """A record with nothing but its confusion matrices."""

    result: ResultConfusion | None = None


class AccuracyCurve(msgspec.Struct, frozen=True, gc=False):
    """The accuracy on one split after each epoch."""

    accuracy: list[float | None] = []


class AccuracyCurves(msgspec.Struct, frozen=True, gc=False):
    """The learning curves of a point with nothing but the accuracy, by split."""

    point: str
    curves: dict[str, AccuracyCurve]


class RawCurves(msgspec.Struct, frozen=True, gc=False):
    """The learning curves of a point (`record.Curves`), not decoded yet."""

    point: str
    curves: msgspec.Raw
