"""Metrics of networks whose spikes are known: decision times, energies, plain numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from known_networks import INF, LOSS, by_hand, inputs

from ttfsrun.data.samples import Samples
from ttfsrun.evaluation.metrics import compute_metrics
from ttfsrun.training.responses import collect_responses


def test_spikes_are_counted_per_sample_and_layer() -> None:
    # Hidden: the first neuron hears input 0, the second input 1, the third nothing. Output: the first hidden neuron
    # fires both, the second one only the first.
    network = by_hand([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]], [[5.0, 5.0], [5.0, 0.0], [9.0, 9.0]])
    times = inputs([0, INF], [INF, 0], [0, 0], [INF, INF])
    (result,) = collect_responses(network, Samples(times, np.array([0, 0, 0, 1])), LOSS)
    metrics = compute_metrics(result)
    assert metrics["spikes_per_sample"] == [4 / 4, 5 / 4]
    assert metrics["accuracy"] == 0.75
    assert metrics["confusion"] == [[3, 0, 0], [0, 0, 1]]
    assert metrics["samples"] == 4


def test_synaptic_events_are_the_mean_over_the_samples() -> None:
    network = by_hand([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]], [[5.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    times = inputs([0, INF], [0, 3], [INF, INF], [INF, 0])
    (result,) = collect_responses(network, Samples(times, np.zeros(4, np.int64)), LOSS)
    assert compute_metrics(result)["synaptic_events"] == {"all": 20 / 4, "before_decision": 15 / 4}


def test_without_a_decision_there_are_no_decision_times() -> None:
    network = by_hand([[2.7, 2.7]])  # just below e
    (result,) = collect_responses(network, Samples(inputs([0], [0], [INF]), np.array([0, 1, 1])), LOSS)
    assert compute_metrics(result)["decision_time"] == {"mean": None, "median": None, "p95": None}


def test_decision_times_are_of_the_decided_samples() -> None:
    network = by_hand([[5.0]])
    starts = np.array([*np.linspace(0, 3, 19), INF], np.float32)
    (result,) = collect_responses(network, Samples(starts[:, None], np.zeros(20, np.int64)), LOSS)
    delay = float(result.decision_time[0])
    times = np.linspace(0, 3, 19) + delay
    expected = {"mean": times.mean(), "median": np.median(times), "p95": np.quantile(times, 0.95)}
    assert compute_metrics(result)["decision_time"] == pytest.approx(expected, rel=1e-6)
    assert compute_metrics(result)["accuracy"] == 0.95


def test_modelled_energies_follow_from_the_window_the_decision_and_the_events() -> None:
    network = by_hand([[5.0]])
    (result,) = collect_responses(network, Samples(inputs([1.0], [INF], [20.0]), np.zeros(3, np.int64)), LOSS)
    metrics = compute_metrics(result)
    energies, time = metrics["energy_uj"], float(result.decision_time[0])
    assert energies["brainscales2_window"] == pytest.approx(8.4)  # as published
    assert metrics["decision_time_us"]["mean"] == pytest.approx(6 * (time + time + 19) / 2)
    # the one without a decision, and the one whose decision comes too late, take the whole window of 48 us
    assert energies["brainscales2_decision"] == pytest.approx(0.175 * (6 * time + 48 + 48) / 3)
    assert energies["loihi_events"] == pytest.approx(23.6e-6 * 2 / 3)


def test_the_metrics_are_plain_numbers() -> None:
    (result,) = collect_responses(by_hand([[4.0, 5.0]]), Samples(inputs([0.1], [INF]), np.array([0, 1])), LOSS)
    metrics = compute_metrics(result)
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
