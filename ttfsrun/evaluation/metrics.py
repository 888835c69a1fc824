"""The metrics of a network, as plain numbers for a record."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ttfsrun.evaluation.energy import MODELS, TAU_SYN_US, WINDOW, Activity
from ttfsrun.training.responses import Responses, pool_trials


def compute_metrics(responses: Responses) -> dict[str, Any]:
    """Return the metrics of one network on one set of samples.

    Decision times are those of the decided samples, in tau_syn, and in us on BrainScaleS-2. Synaptic events are per
    sample; without a decision, all of them count as before it. Energies are modelled: see `energy.py`.
    """
    n_samples = len(responses.labels)
    decided = responses.decision_time[np.isfinite(responses.decision_time)]
    decision_time = _time_statistics(decided.astype(np.float64))
    events, events_before = (float(count) for count in responses.events / n_samples)
    until_decision = float(np.minimum(responses.decision_time, WINDOW).mean(dtype=np.float64))
    activity = Activity(until_decision, events)
    return {
        "loss": responses.loss if math.isfinite(responses.loss) else None,  # JSON has no infinity
        "accuracy": responses.accuracy,
        "samples": n_samples,
        "silent_fraction": responses.silent_fraction,
        "spikes_per_sample": [float(count) for count in responses.spikes / n_samples],
        "decision_time": decision_time,
        "decision_time_us": {name: time and time * TAU_SYN_US for name, time in decision_time.items()},
        "synaptic_events": {"all": events, "before_decision": events_before},
        "energy_uj": {name: model(activity) for name, model in MODELS.items()},
        "confusion": responses.confusion.tolist(),
    }


def trial_metrics(trials: Sequence[Responses]) -> dict[str, Any]:
    """Return the metrics of all samples of all trials, and the standard deviation of the accuracy between trials."""
    accuracies = [trial.accuracy for trial in trials]
    spread = statistics.stdev(accuracies) if len(trials) > 1 else None
    return compute_metrics(pool_trials(trials)) | {"trials": len(trials), "accuracy_std": spread}


def _time_statistics(times: NDArray[np.float64]) -> dict[str, float | None]:
    """Return mean, median and 95th percentile; None for each where there are no times."""
    if not len(times):
        return {"mean": None, "median": None, "p95": None}
    return {"mean": float(times.mean()), "median": float(np.median(times)), "p95": float(np.quantile(times, 0.95))}
