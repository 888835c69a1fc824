"""A network as a graph of NIR: Input -> Linear -> CubaLIF -> ... -> Output, with each neuron's own parameters.

A bias is one more line of the input, the last one; a Linear node from the input connects it to each further layer.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import nir
import numpy as np

from ttfsrun.exchange.convention import Convention
from ttfsrun.exchange.network import Array, Codes, PortableLayer, PortableNetwork
from ttfsrun.files import write_atomic

NEVER_AGAIN = 20.0  # units of time after its first spike in which a neuron cannot spike again
LOWEST = 1e30  # largest distance of the reset below the leak potential, which float32 can hold


def write_graph(path: Path, network: PortableNetwork, convention: Convention) -> list[Path]:
    """Write the graph of a network to a file of NIR. Raises CannotWrite where it cannot be written."""
    stream = io.BytesIO()
    nir.write(stream, to_graph(network, convention))
    write_atomic(path, stream.getvalue())
    return [path]


def to_graph(network: PortableNetwork, convention: Convention) -> nir.NIRGraph:
    """Return the graph of a network; its metadata says what NIR has no field for."""
    graph, external = _Graph(convention), network.n_inputs + network.n_bias
    before = graph.add("input", nir.Input(np.array([external])))
    for number, layer in enumerate(network.layers, 1):
        own = slice(len(layer.weight) - (network.n_bias if number > 1 else 0))
        n_own = None if number == 1 else network.sizes[number - 2]
        before = graph.delay(f"delay_{number}", None if layer.delays is None else layer.delays[:n_own], before)
        if number == 1 and network.input_repeats > 1:
            before = graph.add("lines", nir.Linear(network.repeated(np.eye(external)).T), before)
        reaching = [graph.weight(f"weight_{number}", layer, own, before)]
        if own.stop < len(layer.weight):
            reaching.append(_bias(graph, number, layer, external))
        before = graph.add(f"neurons_{number}", _neurons(layer, convention), *reaching)
    before = graph.delay("output_delay", network.output_delays, before)
    graph.add("output", nir.Output(np.array([network.sizes[-1]])), before)
    return nir.NIRGraph(graph.nodes, graph.edges, metadata=_metadata(network, convention))


class _Graph:
    """A graph that grows from its input."""

    def __init__(self, convention: Convention) -> None:
        self.nodes: dict[str, nir.NIRNode] = {}
        self.edges: list[tuple[str, str]] = []
        self._convention = convention

    def add(self, name: str, node: nir.NIRNode, *sources: str) -> str:
        """Add a node that is reached from others, and return its name."""
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return name

    def delay(self, name: str, delays: Array | None, source: str) -> str:
        """Return the node that sends the spikes of another one, late if there are delays."""
        if delays is None:
            return source
        return self.add(name, nir.Delay(delays * self._convention.unit), source)

    def weight(self, name: str, layer: PortableLayer, rows: slice, source: str) -> str:
        """Add the weights of some of the lines of a layer."""
        codes = None if layer.codes is None else Codes(layer.codes.code[rows], layer.codes.lsb)
        return self.linear(name, layer.weight[rows], codes, source)

    def linear(self, name: str, weight: Array, codes: Codes | None, source: str) -> str:
        """Add weights [N, M]."""
        factor, metadata = self._convention.weight, {}
        if codes is not None:
            metadata = {"codes": np.ascontiguousarray(codes.code.T), "lsb": codes.lsb * factor}
        return self.add(name, nir.Linear(np.ascontiguousarray(weight.T) * factor, metadata=metadata), source)


def _bias(graph: _Graph, number: int, layer: PortableLayer, external: int) -> str:
    """Add what leads from the last line of the input to a layer behind the first."""
    delays, weight = None, np.zeros((external, layer.weight.shape[1]))
    weight[-1] = layer.weight[-1]
    if layer.delays is not None:
        delays = np.zeros(external)
        delays[-1] = layer.delays[-1]
    source = graph.delay(f"bias_delay_{number}", delays, "input")
    codes = None if layer.codes is None else Codes(layer.codes.code[-1:], layer.codes.lsb)
    return graph.linear(f"bias_{number}", weight, codes, source)


def _metadata(network: PortableNetwork, convention: Convention) -> dict[str, Any]:
    from ttfsrun import __version__

    metadata: dict[str, Any] = {
        "written_by": f"ttfsrun {__version__}",
        "unit_of_time": convention.unit,
        "time_unit": convention.time_unit,
    }
    if convention.step is not None:
        metadata["step"] = convention.step
    if network.bias_time is not None:
        metadata["bias_time"] = network.bias_time * convention.unit
    if network.t_max is not None:
        metadata["t_max"] = network.t_max * convention.unit
    return metadata


def _neurons(layer: PortableLayer, convention: Convention) -> nir.CubaLIF:
    return nir.CubaLIF(
        tau_syn=layer.tau_syn * convention.unit,
        tau_mem=layer.tau_mem * convention.unit,
        r=layer.tau_mem * convention.resistance,
        v_leak=layer.v_leak,
        v_threshold=layer.v_th,
        v_reset=_reset(layer),
        w_in=layer.tau_syn * convention.w_in,
    )


def _reset(layer: PortableLayer) -> Array:
    """Return a reset so low that all positive weights together lift no membrane to its threshold for a while."""
    largest = np.abs(layer.v_th - layer.v_leak) + layer.tau_mem * np.maximum(layer.weight, 0).sum(axis=0)
    depth = largest * np.exp(np.minimum(NEVER_AGAIN / layer.tau_mem, np.log(LOWEST)))
    reset: Array = layer.v_leak - np.minimum(depth, LOWEST)
    return reset
