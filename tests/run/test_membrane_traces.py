"""Which neurons a run's figures show, and that their exact crossings lie on their membranes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.evaluation.deployed import DeployedNetworks
from ttfsrun.figures.membrane import ROLES, Trace
from ttfsrun.network import Network, build
from ttfsrun.neuron import Neuron, first_spike
from ttfsrun.run.membrane_traces import choose_traces
from ttfsrun.substrate.chip import Chip
from ttfsrun.substrate.emulation import IDEAL

Tiny = Callable[..., Config]
CHIP = (
    "substrate=brainscales2",
    "substrate.tau_mem.chip_cv=0.2",
    "substrate.tau_syn.chip_cv=0.2",
    "substrate.v_leak.chip_std=0.05",
    "substrate.v_th.sample_std=0.05",
    "substrate.input_time.jitter=0.05",
    "substrate.weight.write_std=0.02",
    "network.neuron.v_leak=-0.25",
    "network.neuron.tau_mem=1.5",
)


def traced(config: Config, test: Samples, dtype: torch.dtype = torch.float32) -> tuple[list[Trace], list[Tensor]]:
    """The traces of an untrained network at three samples, and its spikes."""
    network = DeployedNetworks([config], build([config]).learned.map(lambda tensor: tensor.to(dtype)))
    times, operation = torch.from_numpy(test.times[:3]).to(dtype), network.during("figures")
    with torch.no_grad():
        layers = network.network(times[None], operation=operation)
        return choose_traces(network.network, times, test.labels[:3], layers, operation), layers


@pytest.mark.parametrize(
    "settings",
    [(), CHIP, ("network.delays=axonal",), ("network.delays=synaptic",)],
    ids=["ideal", "chip", "axonal", "synaptic"],
)
def test_every_crossing_lies_on_its_membrane_at_the_threshold_and_nothing_before_it_does(
    settings: tuple[str, ...], tiny: Tiny, samples: dict[str, Samples]
) -> None:
    traces, _ = traced(tiny(*settings), samples["test"], torch.float64)
    for trace in traces:
        assert (trace.voltage[trace.time < trace.crossing] < trace.v_th).all()
        if trace.crossing < math.inf:
            assert trace.at_crossing == pytest.approx(trace.v_th, abs=1e-13)
    crossed = [trace for trace in traces if trace.crossing < math.inf]
    assert {trace.role for trace in crossed} >= set(ROLES[:3])
    if settings == CHIP:
        assert len({trace.v_th for trace in traces}) == len(traces)  # drawn for each sample
        assert len({trace.v_leak for trace in traces}) > 3
        assert all(trace.recorded != trace.crossing for trace in crossed)
    else:
        assert all(trace.recorded == trace.crossing for trace in traces)


def test_a_spike_is_recorded_its_neurons_delay_after_the_crossing(tiny: Tiny, samples: dict[str, Samples]) -> None:
    constant = "network.delay_function={name:sigmoid,shift:0.5,scale:0}"
    traces, _ = traced(tiny("network.delays=dendritic", constant), samples["test"], torch.float64)
    crossed = [trace for trace in traces if trace.crossing < math.inf]
    assert len(crossed) > 6
    assert [trace.recorded for trace in crossed] == pytest.approx([trace.crossing + 0.5 for trace in crossed])


def test_in_single_precision_the_crossing_is_as_near_as_that_allows(tiny: Tiny, samples: dict[str, Samples]) -> None:
    traces, _ = traced(tiny(*CHIP), samples["test"])
    for trace in traces:
        if trace.crossing < math.inf:  # some roundings of a time near 1, at slopes up to 30
            assert trace.at_crossing == pytest.approx(trace.v_th, abs=5e-6)


def test_the_neurons_are_those_that_their_roles_say(tiny: Tiny, samples: dict[str, Samples]) -> None:
    config = tiny("network.init={mean:[0.6,0.5],std:[0.8,0.8]}")
    traces, (hidden, output) = traced(config, samples["test"])
    hidden, output = hidden[0].numpy(), output[0].numpy()
    network = build([config])
    for trace in traces:
        spikes = hidden[trace.sample]
        if trace.role == ROLES[0]:
            assert trace.recorded == output[trace.sample].min() == output[trace.sample, trace.neuron]
        elif trace.role == ROLES[1]:
            assert trace.recorded == spikes.min() == spikes[trace.neuron]
        else:
            heights = [peak(network, samples["test"].times[trace.sample], neuron) for neuron in range(20)]
            crosses = np.array(heights) >= 1
            assert (crosses == np.isfinite(spikes)).all()
            candidates = crosses if trace.role == ROLES[2] else ~crosses
            nearest = np.abs(np.array(heights) - 1)[candidates].min()
            assert abs(heights[trace.neuron] - 1) == pytest.approx(nearest, abs=2e-3)
    assert {trace.role for trace in traces} == set(ROLES)


def peak(network: Network, times: np.ndarray, neuron: int) -> float:
    """The highest threshold of a few hundred that a hidden neuron still reaches."""
    inputs = torch.from_numpy(np.append(times, np.float32(network.bias_time)))[None]
    weight = network.weights[0][0, :, [neuron]]
    thresholds = torch.arange(0.001, 5, 0.001, dtype=torch.float64)
    spikes = first_spike(inputs, weight.expand(-1, len(thresholds)).contiguous(), Neuron(v_th=thresholds[None]))
    return float(torch.where(spikes[0] < math.inf, thresholds, 0).max())


def test_inputs_weights_and_time_constants_are_those_of_the_chip(tiny: Tiny, samples: dict[str, Samples]) -> None:
    config = tiny(*CHIP)
    traces, (hidden, _) = traced(config, samples["test"], torch.float64)
    drawn = Chip.of(config.chip_spec).drawn
    for trace in traces:
        layer = int(trace.role == ROLES[0])
        if layer == 1:  # from the hidden neurons, as recorded; the last is the bias, which jitters
            assert (trace.arrivals[:-1] == hidden[0, trace.sample].numpy()).all()
            assert trace.arrivals[-1] == pytest.approx(0.9, abs=0.3)
        tau_mem, tau_syn = (
            nominal * (1 + float(drawn[name][layer][0, trace.neuron]))
            for nominal, name in ((1.5, "tau_mem.chip"), (1.0, "tau_syn.chip"))
        )
        neuron = Neuron(tau_mem=tau_mem, tau_syn=tau_syn, v_th=trace.v_th, v_leak=trace.v_leak)
        times, weight = torch.from_numpy(trace.arrivals[None]), torch.from_numpy(trace.weight[:, None])
        assert float(first_spike(times, weight, neuron)) == pytest.approx(trace.crossing, rel=1e-12)


def test_a_network_that_is_silent_shows_the_label_neuron_that_was_nearest(
    tiny: Tiny, samples: dict[str, Samples]
) -> None:
    traces, (_, output) = traced(tiny("network.init={mean:[1.5,0.01],std:[0.8,0]}"), samples["test"])
    assert torch.isinf(output).all()
    labels = [trace for trace in traces if trace.role == ROLES[0]]
    assert len(labels) == 3
    assert all(math.isinf(trace.crossing) and trace.voltage.max() < trace.v_th for trace in labels)


def test_nothing_is_drawn_after_the_end_of_the_observation(tiny: Tiny, samples: dict[str, Samples]) -> None:
    traces, _ = traced(tiny("network.t_max=1.1"), samples["test"])
    assert max(trace.time[-1] for trace in traces) == 1.1
    assert all(trace.crossing <= 1.1 or trace.crossing == math.inf for trace in traces)


def test_a_network_without_hidden_neurons_shows_label_neurons() -> None:
    network = Network((torch.tensor([[[2.0, 3.0], [1.5, 0.5]]]),), Neuron(), None, None)
    times = torch.tensor([[0.1, 0.4]])
    traces = choose_traces(network, times, np.array([0]), network(times[None]), IDEAL)
    assert [(trace.role, trace.layer, trace.neuron) for trace in traces] == [
        (ROLES[0], "label", 1),
        (ROLES[2], "label", 0),
    ]
