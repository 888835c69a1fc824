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
    external = network.n_inputs + network.n_bias
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([external]))}
    edges, before = [], "input"
    if network.input_repeats > 1:
        nodes["lines"] = nir.Linear(network.repeated(np.eye(external)).T)
        edges.append((before, "lines"))
        before = "lines"
    for number, layer in enumerate(network.layers, 1):
        weight, neurons = f"weight_{number}", f"neurons_{number}"
        own = len(layer.weight) - (network.n_bias if number > 1 else 0)
        nodes[weight] = _linear(layer.weight[:own], layer.codes, slice(own), convention)
        edges += [(before, weight), (weight, neurons)]
        if own < len(layer.weight):
            bias = np.zeros((external, layer.weight.shape[1]))
            bias[-1] = layer.weight[-1]
            nodes[f"bias_{number}"] = _linear(bias, layer.codes, slice(own, None), convention)
            edges += [("input", f"bias_{number}"), (f"bias_{number}", neurons)]
        nodes[neurons] = _neurons(layer, convention)
        before = neurons
    nodes["output"] = nir.Output(np.array([network.sizes[-1]]))
    return nir.NIRGraph(nodes, [*edges, (before, "output")], metadata=_metadata(network, convention))


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


def _linear(weight: Array, codes: Codes | None, rows: slice, convention: Convention) -> nir.Linear:
    """Return the node of weights [N, M]; rows: of the layer's codes."""
    metadata = {}
    if codes is not None:
        metadata = {"codes": np.ascontiguousarray(codes.code[rows].T), "lsb": codes.lsb * convention.weight}
    return nir.Linear(np.ascontiguousarray(weight.T) * convention.weight, metadata=metadata)


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
