"""Networks as graphs of NIR: what is written is read, and a reader of the equations alone finds the same spikes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from in_nest import BOUND, NEEDS_NEST
from portable_networks import BIAS_TIME, BSS2, delayed, heterogeneous, homogeneous, inputs

from ttfsrun.errors import UserError
from ttfsrun.exchange.convention import Convention
from ttfsrun.exchange.nest_process import simulated_in_nest
from ttfsrun.exchange.network import PARAMETERS, Agreement, Codes, PortableNetwork
from ttfsrun.exchange.nir_export import to_graph, write_graph
from ttfsrun.exchange.nir_import import ReadOptions, from_graph, read_graph
from ttfsrun.exchange.simulation import exact_spikes

CONVENTIONS = [BSS2, Convention.of(6.0, None, "ms"), Convention.of(6.0, 0.01, "s"), Convention.of(1e5, 100.0, "s")]


def require_close(found: PortableNetwork, expected: PortableNetwork) -> None:
    assert found.sizes == expected.sizes
    assert (found.bias_time, found.t_max) == (expected.bias_time, expected.t_max)
    assert (found.output_delays is None) == (expected.output_delays is None)
    if expected.output_delays is not None:
        np.testing.assert_allclose(found.output_delays, expected.output_delays, rtol=1e-13)
    for one, other in zip(found.layers, expected.layers, strict=True):
        assert (one.delays is None) == (other.delays is None)
        for name in ("weight", *PARAMETERS, *(["delays"] if other.delays is not None else [])):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-13, err_msg=name)


@pytest.mark.parametrize("make", [heterogeneous, delayed])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_what_is_written_is_read(tmp_path: Path, convention: Convention, make: Callable[[], PortableNetwork]) -> None:
    network = replace(make(), t_max=7.5)
    [path] = write_graph(tmp_path / "network.nir", network, convention)
    require_close(from_graph(read_graph(path)), network)


def test_weights_of_float32_come_back_to_the_bit(tmp_path: Path) -> None:
    network = homogeneous(tau_mem=1.3)
    rounded = [replace(layer, weight=layer.weight.astype(np.float32).astype(np.float64)) for layer in network.layers]
    [path] = write_graph(tmp_path / "network.nir", replace(network, layers=tuple(rounded)), BSS2)
    for one, other in zip(from_graph(read_graph(path)).layers, rounded, strict=True):
        assert np.array_equal(one.weight.astype(np.float32), other.weight.astype(np.float32))
        assert np.array_equal(one.tau_mem, other.tau_mem)


def test_a_spike_moves_current_and_voltage_by_the_equations_of_nir_as_in_our_model() -> None:
    layer = heterogeneous().layers[0]
    node = to_graph(heterogeneous(), BSS2).nodes["neurons_1"]
    np.testing.assert_allclose(node.w_in / node.tau_syn, 1.0)  # the jump of the current, of weight 1
    slope = node.r / node.tau_mem * BSS2.unit  # of the voltage, of current 1, in one unit of time
    np.testing.assert_allclose(slope, 1.0)
    np.testing.assert_allclose(node.tau_mem, 6e-6 * layer.tau_mem)


def test_repeated_inputs_become_a_node_of_ones_and_come_back_as_sums() -> None:
    network = heterogeneous((10, 30, 3))
    repeated = PortableNetwork(network.layers[:1], BIAS_TIME, input_repeats=1)
    lines = replace(repeated.layers[0], weight=np.concatenate([repeated.layers[0].weight[:10], np.ones((2, 30))]))
    network = PortableNetwork((lines,), BIAS_TIME, input_repeats=2)
    assert network.n_inputs == 5
    graph = to_graph(network, BSS2)
    assert np.array_equal(np.unique(graph.nodes["lines"].weight), [0, 1])
    times = inputs(n=5)
    agreement = Agreement(exact_spikes(from_graph(graph), times), exact_spikes(network, times))
    assert agreement.silent == 1
    assert agreement.largest_difference < 1e-9


def test_codes_times_their_unit_are_the_weights_of_the_file() -> None:
    network = homogeneous()
    layers = []
    for layer in network.layers:
        code = np.rint(layer.weight / 0.1).astype(np.int64)
        layers.append(replace(layer, weight=0.1 * code, codes=Codes(code, 0.1)))
    graph = to_graph(replace(network, layers=tuple(layers)), Convention.of(6.0, 0.01, "s"))
    for name in ("weight_1", "weight_2"):
        metadata = graph.nodes[name].metadata
        np.testing.assert_allclose(metadata["codes"] * metadata["lsb"], graph.nodes[name].weight)


def test_no_neuron_spikes_again_for_a_while_by_the_equations_of_nir() -> None:
    node = to_graph(homogeneous(), BSS2).nodes["neurons_1"]
    weight = homogeneous().layers[0].weight
    for delay in (0.1, 1.0, 10.0, 19.0):  # all weights arrive at once, so long after the reset
        decayed = node.v_reset * np.exp(-delay)
        assert (decayed + np.maximum(weight, 0).sum(axis=0) < node.v_threshold).all()


@NEEDS_NEST[0]
@NEEDS_NEST[1]
@pytest.mark.parametrize("bias_time", [None, BIAS_TIME])
def test_nest_built_from_the_file_alone_finds_the_same_spikes(tmp_path: Path, bias_time: float | None) -> None:
    network, times = heterogeneous(bias_time=bias_time), inputs()
    [path] = write_graph(tmp_path / "network.nir", network, BSS2)
    ours, nests = exact_spikes(network, times), simulated_in_nest(from_graph(read_graph(path)), times)
    agreement = Agreement(ours, nests)
    assert all(30 < np.isfinite(layer).sum() < layer.size - 5 for layer in ours)
    assert agreement.silent == 1
    assert agreement.decisions == 1
    assert 0 < agreement.largest_difference < BOUND


@NEEDS_NEST[0]
@NEEDS_NEST[1]
def test_nest_finds_the_same_spikes_where_they_are_late(tmp_path: Path) -> None:
    network, times = delayed(), inputs()
    [path] = write_graph(tmp_path / "network.nir", network, BSS2)
    agreement = Agreement(exact_spikes(network, times), simulated_in_nest(from_graph(read_graph(path)), times))
    assert (agreement.silent, agreement.decisions) == (1, 1)
    assert 0 < agreement.largest_difference < BOUND


def test_delays_are_seconds_of_delay_nodes_between_what_sends_and_its_weights() -> None:
    graph = to_graph(delayed(), BSS2)
    np.testing.assert_allclose(graph.nodes["delay_2"].delay, 6e-6 * delayed().layers[1].delays[:-1])
    assert {("neurons_1", "delay_2"), ("delay_2", "weight_2"), ("output_delay", "output")} <= set(graph.edges)


def written_elsewhere(**changed: Any) -> Any:
    """A graph that nir alone made: one input weight of 2 to one neuron, times in seconds."""
    values = {
        "tau_syn": 5e-3,
        "tau_mem": 1e-2,
        "r": 2.0,
        "v_leak": 0.5,
        "v_threshold": 1.5,
        "v_reset": 0.0,
        "w_in": 5e-3,
    } | changed
    neuron = nir.CubaLIF(**{name: np.array([value]) for name, value in values.items()})
    return nir.NIRGraph.from_list(nir.Linear(np.array([[2.0]])), neuron)


def test_a_network_from_elsewhere_spikes_where_its_equations_say() -> None:
    # U = v - v_leak after a spike of weight 2: I = 2 e^(-t/tau_syn), tau_mem U' = -U + 2 I, tau_mem = 2 tau_syn:
    # U = 4 (e^(-t/tau_mem) - e^(-t/tau_syn)) = 4 (x - x^2) with x = e^(-t/tau_mem); U = 1 at x = 1/2, its peak.
    graph = written_elsewhere(v_threshold=0.5 + 0.96)  # x - x^2 = 0.24 at x = 0.6
    [spikes] = exact_spikes(from_graph(graph), np.array([[0.3]]))
    expected = 0.3 - 2 * np.log(0.6)  # in units of tau_syn
    assert spikes[0, 0] == pytest.approx(expected, rel=1e-9)


def test_the_unit_of_time_of_a_network_from_elsewhere_is_its_synaptic_time_constant_unless_it_is_given() -> None:
    assert from_graph(written_elsewhere()).layers[0].tau_mem == [2.0]
    assert from_graph(written_elsewhere(), ReadOptions(tau_us=2500.0)).layers[0].tau_mem == [4.0]


def nodes_and_edges() -> tuple[dict[str, Any], list[tuple[str, str]]]:
    graph = to_graph(homogeneous(), BSS2)
    return dict(graph.nodes), list(graph.edges)


def with_lif() -> Any:
    ones = np.ones(30)
    return nir.LIF(tau=ones, r=ones, v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones)


@pytest.mark.parametrize(
    ("node", "replacement", "message"),
    [
        ("neurons_1", with_lif, "node neurons_1: a LIF neuron has no synaptic current"),
        ("neurons_1", lambda: nir.Threshold(np.ones(30)), "node neurons_1: Threshold cannot be kept"),
        ("neurons_1", lambda: nir.Delay(np.ones(30)), "node neurons_1: delays what weights have added up"),
        ("neurons_1", lambda: nir.Delay(-np.ones(30)), "node neurons_1: a delay is a finite number, and not below 0"),
        ("weight_1", lambda: nir.Affine(np.ones((30, 4)), np.ones(30)), "node weight_1: its bias is a constant"),
    ],
)
def test_what_cannot_be_kept_is_an_error_that_names_the_node(
    node: str, replacement: Callable[[], Any], message: str
) -> None:
    nodes, edges = nodes_and_edges()
    nodes[node] = replacement()
    with pytest.raises(UserError, match=message):
        from_graph(nir.NIRGraph(nodes, edges))


def test_weights_behind_the_last_neurons_are_an_error_that_names_the_output() -> None:
    nodes, edges = nodes_and_edges()
    nodes["readout"] = nir.Linear(2 * np.eye(3))
    edges = [edge for edge in edges if edge[1] != "output"] + [("neurons_2", "readout"), ("readout", "output")]
    with pytest.raises(UserError, match="node output: is reached through weights"):
        from_graph(nir.NIRGraph(nodes, edges))


def test_a_recurrent_network_is_an_error_that_names_the_node() -> None:
    nodes, edges = nodes_and_edges()
    nodes["back"] = nir.Linear(np.ones((30, 30)))
    graph = nir.NIRGraph(nodes, [*edges, ("neurons_1", "back"), ("back", "neurons_1")])
    with pytest.raises(UserError, match="node neurons_1: "):
        from_graph(graph)


@pytest.mark.parametrize("content", [b"", b"no graph", None])
def test_a_file_that_is_no_graph_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "network.nir"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=str(path)) as raised:
        read_graph(path)
    assert "\n" not in str(raised.value)
