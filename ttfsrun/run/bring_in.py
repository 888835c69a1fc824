"""The verb `import`: a network from elsewhere becomes a run, as if it had been trained here for no epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ttfsrun.config.compose import compose, expand
from ttfsrun.config.delays import DelayKind
from ttfsrun.config.schema import Config
from ttfsrun.errors import UserError
from ttfsrun.exchange.network import PARAMETERS, Array, PortableLayer, PortableNetwork
from ttfsrun.exchange.nir_import import ReadOptions, from_graph, read_graph
from ttfsrun.network import Learned
from ttfsrun.run.train import train_points
from ttfsrun.training.checkpoint import save_network

BIAS_TIME = "network.bias_time="


def import_network(
    file: Path, experiment: str, overrides: Sequence[str], options: ReadOptions, out: Path, overwrite: bool
) -> Iterator[str]:
    """Make a run of the network in a file, evaluated on the data of an experiment; yield the lines that summarise it.

    The weights are also written beside the folder, as training.start reads them. Raises UserError where the network
    cannot be kept, and what `train_points` raises.
    """
    like = compose([f"experiment={experiment}"])
    given = [override.removeprefix(BIAS_TIME) for override in overrides if override.startswith(BIAS_TIME)]
    if given:
        options = replace(options, bias_time=_number(given[-1]))
    network = from_graph(read_graph(file), options)
    _require_fitting_data(file, network, like)
    layers, neuron = _of_one_neuron(network.layers)
    start = out.with_name(f"{out.name}.safetensors")
    thetas = {n: _tensor(delays) for n, (_, delays) in enumerate(_delays(network)) if delays is not None}
    learned = Learned(tuple(_tensor(layer.weight) for layer in layers), thetas)
    if start.exists() and not overwrite:
        raise UserError(f"{start} exists: choose another folder with --out, or replace it with --overwrite")
    points = expand([f"experiment={experiment}", *_settings(network, layers, neuron, like), *overrides])
    if len(points) > 1:
        raise UserError(f"{len(points)} points: a file holds one network; do not sweep")
    points = expand([*points[0].overrides, f"training.start={_quoted(start)}", "training.epochs=0"])
    save_network(start, {"best": learned, "last": learned.map(torch.clone)})
    try:
        _, lines = train_points(points, out=out, overwrite=overwrite)
    except BaseException:
        start.unlink(missing_ok=True)  # a run that was stopped has a copy
        raise
    yield from lines
    yield f"train it further: ttfsrun train experiment={experiment} training.start={start} ..."


def _tensor(values: Array) -> torch.Tensor:
    """Return what one network learned as that of a population."""
    return torch.from_numpy(values.astype(np.float32))[None]


def _delays(network: PortableNetwork) -> list[tuple[DelayKind, Array | None]]:
    """Return the kind of the delays of each layer, and the delays [S or 1, M or 1].

    A layer has one kind: where its spikes are late, the layer before must send the delayed spikes that reach it.
    Raises UserError where that is not the same.
    """
    found: list[tuple[DelayKind, Array | None]] = []
    late = network.output_delays
    for number, layer in reversed([*enumerate(network.layers)]):
        if late is None:
            found.insert(0, ("none", None) if layer.delays is None else ("axonal", layer.delays[:, None]))
            continue
        found.insert(0, ("dendritic", late[None]))
        late = None
        if layer.delays is not None:
            n_before = network.sizes[number - 1]
            if number == 0 or np.any(layer.delays[n_before:]):
                source = "the inputs" if number == 0 else "the bias"
                raise UserError(
                    f"node {layer.node}: both {source} and its own spikes are late; a layer has one kind of delays"
                )
            late = layer.delays[:n_before]
    return found


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{BIAS_TIME}{text}: must be a number") from None


def _require_fitting_data(file: Path, network: PortableNetwork, like: Config) -> None:
    """Raise UserError where a network does not have the inputs and the label neurons of the data."""
    found, wanted = (network.n_inputs, network.sizes[-1]), (like.data.n_inputs, like.data.n_classes)
    if found == wanted:
        return
    hint = ""
    if network.bias_time is None and found[0] == wanted[0] + 1:
        hint = "; if its last input is a bias, set network.bias_time to the time of its spike"
    raise UserError(
        f"{file}: has {found[0]} inputs and {found[1]} label neurons, the data have {wanted[0]} and {wanted[1]}{hint}"
    )


def _of_one_neuron(layers: Sequence[PortableLayer]) -> tuple[list[PortableLayer], dict[str, float]]:
    """Return the layers with equal neurons, and their parameters. Raises UserError where time constants differ.

    Where thresholds or leak potentials differ, the unit of each neuron's voltage becomes v_th - v_leak.
    """
    values = {name: np.concatenate([getattr(layer, name) for layer in layers]) for name in PARAMETERS}
    for name in ("tau_mem", "tau_syn"):
        first = values[name][0]
        for layer in layers:
            own: Array = getattr(layer, name)
            if (own != first).any():
                raise UserError(
                    f"node {layer.node}: {name} of one neuron is {own[own != first][0] / first:g} times that of "
                    "another; a run has one for all"
                )
    if all(np.ptp(values[name]) == 0 for name in ("v_th", "v_leak")):
        return [*layers], {name: float(values[name][0]) for name in PARAMETERS}
    scaled = []
    for layer in layers:
        theta = layer.v_th - layer.v_leak
        if not (theta > 0).all():
            raise UserError(f"node {layer.node}: v_leak is at or above v_threshold in a neuron, and not in all")
        ones = np.ones_like(theta)
        scaled.append(replace(layer, weight=layer.weight / theta, v_th=ones, v_leak=0 * ones))
    constants = {name: float(values[name][0]) for name in ("tau_mem", "tau_syn")}
    return scaled, constants | {"v_th": 1.0, "v_leak": 0.0}


def _settings(
    network: PortableNetwork, layers: Sequence[PortableLayer], neuron: dict[str, float], like: Config
) -> list[str]:
    """Return overrides that describe a network; initial weights would be of the same mean and spread."""
    mean, std = ([float(getattr(layer.weight, what)()) for layer in layers] for what in ("mean", "std"))
    allowed = like.training.bumping.silent_fraction
    fractions = [*[allowed[0]] * (len(layers) - 1), allowed[-1]]
    return [
        f"network.hidden={network.sizes[:-1]}",
        f"network.bias_time={'null' if network.bias_time is None else network.bias_time}",
        f"network.t_max={'null' if network.t_max is None else network.t_max}",
        "network.input_repeats=1",
        f"network.delays=[{','.join(kind for kind, _ in _delays(network))}]",
        "network/delay_function=clipped",
        f"network.init={{mean: {mean}, std: {std}}}",
        *(f"network.neuron.{name}={value!r}" for name, value in neuron.items()),
        f"training.bumping.silent_fraction={fractions}",
    ]


def _quoted(path: Path) -> str:
    """Return a path as a value of an override."""
    return "'" + str(path.absolute()).replace("\\", "\\\\").replace("'", "\\'") + "'"
