"""Decisions, silent neurons and times, counted on networks whose spikes are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from known_networks import INF, LOSS, by_hand, inputs

from ttfsrun.config.schema import Config, SquaredError, TimeCrossEntropy
from ttfsrun.data.samples import Samples
from ttfsrun.evaluation.metrics import compute_metrics
from ttfsrun.network import Network, build
from ttfsrun.neuron import Neuron
from ttfsrun.training import responses
from ttfsrun.training.loss import judge
from ttfsrun.training.responses import collect_responses

Tiny = Callable[..., Config]


def test_the_first_output_spike_is_the_decision() -> None:
    network = by_hand([[4.0, 5.0, 3.0], [3.0, 0.0, 9.0]])
    (result,) = collect_responses(network, Samples(inputs([0, INF], [INF, 0]), np.array([1, 0])), LOSS)
    assert result.decision.tolist() == [1, 2]
    assert result.accuracy == 0.5
    times = result.decision_time.astype(float)
    np.testing.assert_allclose([5, 9] * times * np.exp(-times), 1, rtol=1e-5)  # the membrane is at threshold


def test_no_output_spike_is_a_wrong_answer_whatever_the_label() -> None:
    network = by_hand([[2.7, 2.7]])  # just below e
    (result,) = collect_responses(network, Samples(inputs([0], [0], [INF]), np.array([0, 1, 1])), LOSS)
    assert result.decision.tolist() == [-1, -1, -1]
    assert result.accuracy == 0
    assert result.confusion.tolist() == [[0, 0, 1], [0, 0, 2]]
    assert result.loss == LOSS.silent


def test_a_tie_goes_to_the_lower_index() -> None:
    network = by_hand([[3.0, 4.0, 4.0, 4.0]])
    (result,) = collect_responses(network, Samples(inputs([0.0], [0.3]), np.array([1, 3])), LOSS)
    assert result.decision.tolist() == [1, 1]
    assert result.accuracy == 0.5


def test_silent_neurons_and_spikes_are_counted_per_layer() -> None:
    # Hidden: the first neuron hears input 0, the second input 1, the third nothing. Output: the first hidden neuron
    # fires both, the second one only the first.
    network = by_hand([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]], [[5.0, 5.0], [5.0, 0.0], [9.0, 9.0]])
    times = inputs([0, INF], [INF, 0], [0, 0], [INF, INF])
    (result,) = collect_responses(network, Samples(times, np.array([0, 0, 0, 1])), LOSS)
    assert result.spikes.tolist() == [1 + 1 + 2 + 0, 2 + 1 + 2 + 0]
    assert result.silent_fraction == pytest.approx([1 - 4 / 12, 1 - 5 / 8])
    assert result.accuracy == 0.75
    assert result.confusion.tolist() == [[3, 0, 0], [0, 0, 1]]


def test_synaptic_events_are_spikes_times_synapses_and_some_come_before_the_decision() -> None:
    # Input 0 fires the first hidden neuron, input 1 the second; only the first reaches the output, of two neurons.
    network = by_hand([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0]], [[5.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    times = inputs([0, INF], [0, 3], [INF, INF], [INF, 0])
    (result,) = collect_responses(network, Samples(times, np.zeros(4, np.int64)), LOSS)
    from_inputs, from_hidden = 3 * (1 + 2 + 0 + 1), 2 * (1 + 2 + 0 + 1)
    assert result.decision_time[1] < 3
    late = 3 * 1 + 2 * 1  # the second input of the second sample, and what it fires
    assert result.events.tolist() == [from_inputs + from_hidden, from_inputs + from_hidden - late]


def test_repeated_inputs_and_biases_have_events_of_their_own() -> None:
    weights = (torch.full((1, 6, 4), 0.1), torch.full((1, 5, 3), 0.1))
    network = Network(weights, Neuron(), bias_time=0.9, t_max=None, input_repeats=2)
    (result,) = collect_responses(network, Samples(inputs([0.1, 0.2]), np.array([0])), LOSS)
    assert result.events.tolist() == [(2 + 1) * 2 * 4 + 1 * 3] * 2


@pytest.mark.parametrize("kind", ["axonal", "synaptic"])
def test_a_synaptic_event_before_the_decision_has_arrived_by_then(
    kind: str, tiny: Tiny, samples: dict[str, Samples]
) -> None:
    network = build([tiny(f"network.delays={kind}", "network.init.delay.std=3", "network.hidden=[6]")])
    part = samples["test"]
    (result,) = collect_responses(network, part, LOSS)
    times, decision = torch.from_numpy(part.times)[None], torch.from_numpy(result.decision_time)[:, None, None]
    before = 0
    for number, arriving in enumerate(network.arrivals(times, network(times))):
        delays = network.delays_of(number).in_solver()
        own = torch.zeros_like(network.weights[number]) if delays is None else delays
        before += int((arriving[0, :, :, None] + own < decision).sum())
    assert result.events[1] == before
    assert 0 < before < result.events[0]


@pytest.mark.parametrize("loss", [LOSS, SquaredError(delta=0.5, silent=100.0)], ids=lambda loss: type(loss).__name__)
def test_the_loss_is_the_mean_over_the_samples(loss: TimeCrossEntropy | SquaredError) -> None:
    network = by_hand([[4.0, 5.0, 0.0]])
    times, labels = inputs([0.1], [0.2], [0.7]), np.array([0, 1, 2])
    (result,) = collect_responses(network, Samples(times, labels), loss)
    spikes = network(torch.from_numpy(times)[None])[-1]
    losses = judge(loss, spikes, torch.from_numpy(labels)[None]).losses
    assert result.loss == pytest.approx(float(losses.mean()), rel=1e-15)


@pytest.mark.parametrize("rows", [1, 36, 10**6])
def test_results_do_not_depend_on_what_is_evaluated_at_once(
    rows: int, tiny: Tiny, samples: dict[str, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [tiny(f"seed.init={seed}", f"network.neuron.v_th={1 + seed / 10}") for seed in range(5)]
    part = samples["test"]
    alone = [collect_responses(build([config]), part, LOSS)[0] for config in configs]
    monkeypatch.setattr(responses, "ROWS", rows)
    together = collect_responses(build(configs), part, LOSS)
    assert [compute_metrics(result) for result in together] == [compute_metrics(result) for result in alone]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.decision, other.decision)
        np.testing.assert_array_equal(one.decision_time, other.decision_time)
    assert len({result.loss for result in together}) == 5
