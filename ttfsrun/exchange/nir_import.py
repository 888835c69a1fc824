"""A network from a graph of NIR: dense layers of CubaLIF neurons. What cannot be kept is an error that names the node.

The current and the voltage of a neuron have units of their own in NIR; weights take up w_in, r, and the distances of
thresholds from leak potentials where these differ between neurons.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import nir
import numpy as np

from ttfsrun.errors import UserError, reason_of, ways_out
from ttfsrun.exchange.convention import MICROSECOND, SECONDS, Convention, TimeUnit
from ttfsrun.exchange.network import Array, PortableLayer, PortableNetwork
from ttfsrun.files import read_file

DIGITS = 9  # of a number that somebody has chosen
ROUNDING = 1e-14  # relative: what conversions from and to seconds add up to


@dataclass(frozen=True)
class ReadOptions:
    """What the user says about a file; None: as its metadata have it.

    tau_us: one unit of time, in microseconds; without metadata the synaptic time constant. step_us: see `Convention`.
    time_unit: of the file, seconds without metadata. bias_time: in units of time, of a spike on the last input line.
    """

    tau_us: float | None = None
    step_us: float | None = None
    time_unit: TimeUnit | None = None
    bias_time: float | None = None


def read_graph(path: Path) -> nir.NIRGraph:
    """Return the graph in a file. Raises UserError where it cannot be read."""
    try:
        content = io.BytesIO(read_file(path))  # whose messages are shorter than those of h5py, and which knows pipes
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason_of(error)}){ways_out(error)}") from None
    try:
        graph = nir.read(content)
    except OSError as error:
        raise UserError(f"{path}: is not a file of NIR ({error})") from None
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: is not a graph of NIR that nir {nir.version} can read: {error}") from None
    if not isinstance(graph, nir.NIRGraph):
        raise UserError(f"{path}: holds a {type(graph).__name__} node; a network is a NIRGraph")
    return graph


def from_graph(graph: nir.NIRGraph, options: ReadOptions = ReadOptions()) -> PortableNetwork:
    """Return the network of a graph. Raises UserError that names the node that cannot be kept."""
    walk = _Walk(graph)
    convention = _convention(graph, walk.order[0], options)
    bias_time, t_max = (_from_metadata(graph, key, convention) for key in ("bias_time", "t_max"))
    bias_time = bias_time if options.bias_time is None else options.bias_time
    layers, before = [], walk.input
    for name in walk.order:
        weight, delays = walk.weight(name, before, with_bias=bias_time is not None)
        layer = _layer(name, graph.nodes[name], weight, convention)
        layers.append(replace(layer, delays=_in_units(delays, convention)))
        before = name
    leaving = walk.maps(walk.output)[before]
    if not np.array_equal(leaving.matrix, np.eye(layers[-1].weight.shape[1])):
        raise UserError(f"node {walk.output}: is reached through weights; here, the neurons before it give the answer")
    output_delays = _in_units(leaving.delays, convention)
    return PortableNetwork(tuple(layers), bias_time, t_max, output_delays=output_delays)


@dataclass(frozen=True)
class _Map:
    """How the spikes of one source reach the input of a node: late by [N], then through a matrix [M, N]."""

    matrix: Array
    delays: Array

    def through(self, matrix: Array) -> _Map:
        """Return the same, and then through a matrix."""
        return _Map(matrix @ self.matrix, self.delays)

    def delayed(self, name: str, delays: Array) -> _Map:
        """Return the same with spikes late by further delays. Raises UserError where they are late behind weights."""
        if not np.array_equal(self.matrix, np.eye(len(delays))):
            raise UserError(f"node {name}: delays what weights have added up; only what neurons or inputs send can be")
        return _Map(self.matrix, self.delays + delays)

    def joined(self, name: str, other: _Map) -> _Map:
        """Return both together. Raises UserError where they are not equally late."""
        if not np.array_equal(self.delays, other.delays):
            raise UserError(f"node {name}: is reached by the same spikes more than once, with other delays")
        return _Map(self.matrix + other.matrix, self.delays)


class _Walk:
    """The neurons of a graph in their order, and the matrices between them."""

    def __init__(self, graph: nir.NIRGraph) -> None:
        self.nodes: Mapping[str, nir.NIRNode] = graph.nodes
        self._sources: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in graph.edges:
            self._sources[target].append(source)
        for name, node in self.nodes.items():
            _require_known(name, node)
        self.input = self._only(nir.Input)

    @property
    def output(self) -> str:
        """The one node of the output."""
        return self._only(nir.Output)

    def _only(self, kind: type) -> str:
        names = [name for name, node in self.nodes.items() if isinstance(node, kind)]
        if len(names) != 1:
            raise UserError(f"the graph has {len(names)} {kind.__name__} nodes ({', '.join(names)}); one is needed")
        return names[0]

    @cached_property
    def order(self) -> list[str]:
        """The neurons from the first layer to the last."""
        found: list[str] = []
        name = self._neurons_before(self.output)
        while name is not None:
            if name in found:
                raise UserError(f"node {name}: is connected to itself; only feed-forward networks can be kept")
            found.insert(0, name)
            name = self._neurons_before(name)
        if not found:
            raise UserError("the graph has no CubaLIF neurons between its Input and its Output")
        unused = [n for n, node in self.nodes.items() if isinstance(node, nir.CubaLIF) and n not in found]
        if unused:
            raise UserError(f"node {unused[0]}: does not lead to the Output; only chains of layers can be kept")
        return found

    def _neurons_before(self, name: str) -> str | None:
        """Return the one node of neurons whose spikes reach a node; None where only the input does."""
        before = [source for source in self.maps(name) if source != self.input]
        if len(before) > 1:
            raise UserError(f"node {name}: has inputs from {' and '.join(before)}; only chains of layers can be kept")
        return before[0] if before else None

    def maps(self, name: str, seen: tuple[str, ...] = ()) -> dict[str, _Map]:
        """Return by source (the input, or neurons) how its spikes reach a node's input."""
        found: dict[str, _Map] = {}
        for source in self._sources[name]:
            if source in seen:
                raise UserError(f"node {source}: is in a circle without neurons")
            node = self.nodes[source]
            if source == self.input or isinstance(node, nir.CubaLIF):
                size = int(np.prod(node.output_type["output"]))
                reached = {source: _Map(np.eye(size), np.zeros(size))}
            else:
                own = np.asarray(node.delay if isinstance(node, nir.Delay) else node.weight, dtype=np.float64)
                reached = {
                    origin: each.delayed(source, own) if isinstance(node, nir.Delay) else each.through(own)
                    for origin, each in self.maps(source, (*seen, source)).items()
                }
            for origin, each in reached.items():
                found[origin] = found[origin].joined(name, each) if origin in found else each
        return found

    def weight(self, name: str, before: str, with_bias: bool) -> tuple[Array, Array]:
        """Return the weights [N, M] of a layer and the delays [N], the bias last, from the layer before and the input.

        Delays are in the unit of the file.
        """
        maps = self.maps(name)
        weight, delays = maps[before].matrix.T, maps[before].delays
        if before == self.input or not with_bias:
            if before != self.input and self.input in maps:
                raise UserError(
                    f"node {name}: has inputs from {before} and from {self.input}; only a bias, one spike on the last "
                    "line of the input, can reach several layers: set network.bias_time to its time, in units of time"
                )
            return weight, delays
        bias = maps.get(self.input, _Map(np.zeros((weight.shape[1], 1)), np.zeros(1)))
        if np.any(bias.matrix[:, :-1]):
            raise UserError(f"node {name}: has inputs from {before} and from lines of {self.input} other than the bias")
        return np.concatenate([weight, bias.matrix.T[-1:]]), np.append(delays, bias.delays[-1])


def _require_known(name: str, node: nir.NIRNode) -> None:
    """Raise UserError for a node that no layer of ours computes."""
    if isinstance(node, nir.LIF):
        raise UserError(
            f"node {name}: a LIF neuron has no synaptic current, but this neuron's has a time constant above 0: "
            "use CubaLIF"
        )
    if isinstance(node, nir.Delay) and not (np.isfinite(node.delay) & (np.asarray(node.delay) >= 0)).all():
        raise UserError(f"node {name}: a delay is a finite number, and not below 0")
    if isinstance(node, nir.Affine):
        if np.any(node.bias):
            raise UserError(f"node {name}: its bias is a constant current, which this neuron has not; use Linear")
    elif not isinstance(node, nir.Input | nir.Output | nir.Linear | nir.CubaLIF | nir.Delay):
        raise UserError(
            f"node {name}: {type(node).__name__} cannot be kept; networks have Linear, Affine without bias, CubaLIF, "
            "Delay"
        )
    if isinstance(node, nir.Linear | nir.Affine) and np.ndim(node.weight) != 2:
        raise UserError(f"node {name}: its weight has {np.ndim(node.weight)} dimensions; a dense one has two")
    if isinstance(node, nir.CubaLIF) and np.ndim(node.tau_mem) != 1:
        raise UserError(f"node {name}: its neurons have the shape {list(np.shape(node.tau_mem))}; a layer is one row")


def _convention(graph: nir.NIRGraph, first: str, options: ReadOptions) -> Convention:
    metadata = graph.metadata
    time_unit: TimeUnit = options.time_unit or ("ms" if metadata.get("time_unit") == "ms" else "s")
    seconds = SECONDS[time_unit]
    if options.tau_us is not None:
        unit = options.tau_us * MICROSECOND / seconds
    else:
        unit = float(metadata.get("unit_of_time", np.ravel(graph.nodes[first].tau_syn)[0]))
    step = metadata.get("step") if options.step_us is None else options.step_us * MICROSECOND / seconds
    return Convention(unit, None if step is None else float(step), time_unit)


def _from_metadata(graph: nir.NIRGraph, key: str, convention: Convention) -> float | None:
    value = graph.metadata.get(key)
    return None if value is None else _rounded(float(value) / convention.unit)


def _in_units(delays: Array, convention: Convention) -> Array | None:
    """Return delays in units of time; None where there are none."""
    return np.asarray(_rounded(delays / convention.unit)) if np.any(delays) else None


def _layer(name: str, node: Any, weight: Array, convention: Convention) -> PortableLayer:
    values = {key: np.asarray(getattr(node, key), dtype=np.float64) for key in NEEDED}
    for key, value in values.items():
        if not np.isfinite(value).all():
            raise UserError(f"node {name}: {key} has a value that is not finite")
        if key.startswith("tau") and not (value > 0).all():
            raise UserError(f"node {name}: {key} has the value {value.min():g}; a time constant is positive")
    tau_mem, tau_syn = (_rounded(values[key] / convention.unit) for key in ("tau_mem", "tau_syn"))
    # Of r and w_in, only the product counts; that of the exported ones is tau_mem tau_syn, with the file's factors.
    own = tau_mem * tau_syn * convention.resistance * convention.w_in * convention.weight
    scale = _rounded(values["r"] * values["w_in"] / own)
    if not np.isfinite(weight).all():
        raise UserError(f"node {name}: a weight that leads to it is not finite")
    return PortableLayer(weight * scale, tau_mem, tau_syn, values["v_threshold"], values["v_leak"], node=name)


NEEDED = ("tau_mem", "tau_syn", "r", "w_in", "v_threshold", "v_leak")


def _rounded(value: Any) -> Any:
    """Return numbers, of which those next to one of few digits are that one: 6e-06 / 6e-06 need not be 1."""
    number = np.asarray(value, dtype=np.float64)
    digits = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.abs(np.where(number == 0, 1.0, number)))))
    short = np.round(number * digits) / digits
    result = np.where(np.abs(number - short) <= ROUNDING * np.abs(number), short, number)
    return float(result) if result.ndim == 0 else result
