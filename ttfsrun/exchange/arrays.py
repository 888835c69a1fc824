"""A network as plain tables, for programs that read no graph: npz, or csv.

Weights and voltages are those of the model, times are in the unit of the file. A spike of weight w raises dV/dt by w
units of voltage in one unit of time of the model (`unit_of_time`).
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd

from ttfsrun.exchange.convention import Convention
from ttfsrun.exchange.network import PARAMETERS, Array, PortableLayer, PortableNetwork
from ttfsrun.files import write_atomic

BIAS = "bias"  # the source of its lines in a table


def write_npz(path: Path, network: PortableNetwork, convention: Convention) -> list[Path]:
    """Write one file of arrays: those of layer 1 are `layer_1.weight` [N, M], `layer_1.tau_mem` [M], and so on.

    Raises CannotWrite where it cannot be written.
    """
    arrays: dict[str, Array] = {"unit_of_time": np.array(convention.unit)}
    arrays["input_repeats"] = np.array(network.input_repeats)
    for key, time in (("bias_time", network.bias_time), ("t_max", network.t_max)):
        if time is not None:
            arrays[key] = np.array(time * convention.unit)
    for number, layer in enumerate(network.layers, 1):
        values = {"weight": layer.weight, **_parameters(layer, convention)}
        if layer.delays is not None:
            values["delay"] = layer.delays * convention.unit
        if layer.codes is not None:
            values |= {"code": layer.codes.code.astype(np.int32), "lsb": np.array(layer.codes.lsb)}
        arrays |= {f"layer_{number}.{key}": value for key, value in values.items()}
    if network.output_delays is not None:
        arrays["output_delay"] = network.output_delays * convention.unit
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    write_atomic(path, stream.getvalue())
    return [path]


def write_csv(path: Path, network: PortableNetwork, convention: Convention) -> list[Path]:
    """Write a table of the synapses, and beside it one of the neurons. Raises CannotWrite where one cannot be written.

    In a line of the first layer, `source` is an input, in others a neuron of the layer before, counted from 0; or it is
    the bias.
    """
    neurons = path.with_suffix(".neurons.csv")
    write_atomic(path, _csv(pd.concat(_synapses(network, convention), ignore_index=True)))
    write_atomic(neurons, _csv(_neurons(network, convention)))
    return [path, neurons]


def _parameters(layer: PortableLayer, convention: Convention) -> dict[str, Array]:
    values = {name: np.asarray(getattr(layer, name)) for name in PARAMETERS}
    return {name: value * (convention.unit if name.startswith("tau") else 1.0) for name, value in values.items()}


def _synapses(network: PortableNetwork, convention: Convention) -> list[pd.DataFrame]:
    tables = []
    for number, layer in enumerate(network.layers, 1):
        lines, neurons = layer.weight.shape
        n_before = network.n_inputs if number == 1 else network.sizes[number - 2]
        sources = np.array([*map(str, range(n_before)), *[BIAS] * network.n_bias])
        if number == 1:
            sources = network.repeated(sources)
        table = pd.DataFrame(
            {
                "layer": number,
                "line": np.repeat(np.arange(lines), neurons),
                "source": np.repeat(sources, neurons),
                "neuron": np.tile(np.arange(neurons), lines),
                "weight": layer.weight.ravel(),
            }
        )
        if layer.codes is not None:
            table["code"] = layer.codes.code.ravel()
        if layer.delays is not None:
            lines_late = network.repeated(layer.delays) if number == 1 else layer.delays
            table["delay"] = np.repeat(lines_late * convention.unit, neurons)
        tables.append(table)
    return tables


def _neurons(network: PortableNetwork, convention: Convention) -> pd.DataFrame:
    tables = []
    for number, layer in enumerate(network.layers, 1):
        table = pd.DataFrame(_parameters(layer, convention))
        table.insert(0, "layer", number)
        table.insert(1, "neuron", np.arange(len(table)))
        tables.append(table.assign(lsb=np.nan if layer.codes is None else layer.codes.lsb))
    if network.output_delays is not None:
        tables[-1]["output_delay"] = network.output_delays * convention.unit
    table = pd.concat(tables, ignore_index=True).dropna(axis="columns", how="all")
    times = {"bias_time": network.bias_time, "t_max": network.t_max}
    known = {key: time * convention.unit for key, time in times.items() if time is not None}
    return table.assign(unit_of_time=convention.unit, **known)


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()
