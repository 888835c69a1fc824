"""The verb `export`: a trained network in a file for other simulators and for chips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from torch import Tensor

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.errors import UserError
from ttfsrun.evaluation.deployed import age_of
from ttfsrun.exchange.arrays import write_csv, write_npz
from ttfsrun.exchange.convention import Convention
from ttfsrun.exchange.nest_process import has_nest, simulated_in_nest
from ttfsrun.exchange.network import PARAMETERS, Agreement, Array, Codes, PortableLayer, PortableNetwork
from ttfsrun.exchange.simulation import exact_spikes
from ttfsrun.network import Learned, Network, placement, with_configured_neurons
from ttfsrun.network.delays.kinds import Axonal, Dendritic, LayerDelays
from ttfsrun.run.folder import PopulationFolder, RunFolder
from ttfsrun.run.inputs import require_stored_chips, stored_samples
from ttfsrun.run.stored import read_config, read_learned
from ttfsrun.substrate.emulation import Emulation, Operation
from ttfsrun.substrate.member import Member
from ttfsrun.substrate.perturbation import When

Format = Literal["nir", "csv", "npz"]
Kind = Literal["nominal", "quantised", "chip"]

#: The perturbations that each kind of network has.
ACTING: Mapping[Kind, tuple[When, ...]] = {"nominal": (), "quantised": ("always",), "chip": ("always", "chip")}
WRITTEN = ("weight", "delay")  # to the chip: what is on its levels in a quantised network
PHASE = "export"  # names the random streams, of which none is used
CHECKED_SAMPLES = 100  # of the test split: NEST takes seconds for each hundred


@dataclass(frozen=True)
class ExportOptions:
    """What is written, and how.

    network: best or last, None: the one that the run reports. kind: of the network, see `portable`. check: read the
    file back and simulate it.
    """

    out: Path | None
    format: Format
    network: Literal["best", "last"] | None
    kind: Kind
    convention: Convention
    check: bool


@dataclass(frozen=True)
class Exported:
    """A network as it is exported, and the names of the perturbations that the file lacks."""

    network: PortableNetwork
    lacks: list[str]


def export_run(path: Path, options: ExportOptions) -> Iterator[str]:
    """Write the network of a run to a file, and yield the lines that say what was done.

    Raises UserError where the folder is not one of a single run or its network cannot be exported, CannotWrite.
    """
    run = _only_run(path)
    config = read_config(run)
    if options.network is not None:
        training = msgspec.structs.replace(config.training, keep=options.network)
        config = msgspec.structs.replace(config, training=training)
    require_stored_chips(run, config)
    exported = portable(config, read_learned(run, config), options.kind)
    network, out = exported.network, options.out or run.path / f"network.{options.format}"
    files = _write(out, network, options)
    sizes = "-".join(map(str, [network.n_inputs, *network.sizes]))
    yield f"{options.kind} weights of the {config.training.keep} network, {sizes}"
    if exported.lacks:
        yield f"not in the file: {', '.join(exported.lacks)}"
    yield from (f"written: {file}" for file in files)
    if options.check:
        yield from _check(out, network, stored_samples(run, config)[0]["test"])


def _only_run(path: Path) -> RunFolder:
    folder = PopulationFolder(path)
    names = folder.names()
    if len(names) > 1:
        raise UserError(f"{path} holds {len(names)} networks: name one of them, such as {path / names[0]}")
    return folder.run(names[0])


def _write(out: Path, network: PortableNetwork, options: ExportOptions) -> list[Path]:
    if options.format == "npz":
        return write_npz(out, network, options.convention)
    if options.format == "csv":
        return write_csv(out, network, options.convention)
    from ttfsrun.exchange.nir_export import write_graph

    return write_graph(out, network, options.convention)


def portable(config: Config, learned: Learned, kind: Kind) -> Exported:
    """Return the network of a run.

    learned: as a population of one.

    kind: `nominal`, as it was trained; `quantised`, with the weights that are written to the chip; `chip`, also with
    the fixed pattern of the run's chip, at the age of its evaluation. Raises UserError where weights are not on
    levels, or drawn anew whenever they are written, or synapses have delays.
    """
    if kind == "quantised" and _step(config, largest=1.0) is None:
        raise UserError(
            "no levels of weights (substrate.weight.bits, or lsb) in this run: export with --weights nominal"
        )
    if "synaptic" in config.network.delay_kinds:
        raise UserError(
            "network.delays=synaptic: in NIR, a spike is late for all neurons alike; train with axonal or "
            "dendritic delays"
        )
    member = Member(placement(config, perturbed=kind != "nominal"))
    rounding = [p.name for p in member.acting.get("weight", ()) if p.when == "write" and p.stage == "always"]
    if rounding:
        raise UserError(f"{rounding[0]} is drawn whenever weights are written: export with --weights nominal")
    kept = Member(member.placement, ACTING[kind])
    if kind == "quantised":
        kept.acting = {where: acting for where, acting in kept.acting.items() if where in WRITTEN}
    operation = Emulation((kept,), torch.device("cpu")).during(PHASE, age=age_of(config))
    network = with_configured_neurons([config], learned)
    layers: list[PortableLayer] = []
    late: Array | None = None  # the spikes of the layer before
    for number, weight in enumerate(learned.weights):
        on_chip = operation.weight(number, weight).value
        neuron = operation.neuron(number, network.neuron, (1, weight.shape[-1]))
        parameters: dict[str, Any] = {
            name: np.broadcast_to(torch.as_tensor(getattr(neuron, name)).numpy().ravel(), weight.shape[-1:])
            for name in PARAMETERS
        }
        step = _step(config, float(weight.abs().amax())) if kind == "quantised" else None
        codes = None if step is None else _codes(on_chip, step)
        delays, later = _delays(network, number, operation, late)
        layers.append(PortableLayer(on_chip[0].numpy().astype(np.float64), **parameters, delays=delays, codes=codes))
        late = later
    settings = config.network
    whole = PortableNetwork(tuple(layers), settings.bias_time, settings.t_max, settings.input_repeats, late)
    in_file = {p.name for where, acting in kept.acting.items() if not where.endswith("_time") for p in acting}
    every = [p.name for acting in member.acting.values() for p in acting]
    return Exported(whole, [name for name in dict.fromkeys(every) if name not in in_file])


def _delays(
    network: Network, number: int, operation: Operation, late: Array | None
) -> tuple[Array | None, Array | None]:
    """Return the delays of the sources of a layer, and of its spikes; None for none.

    late: of the spikes of the layer before, which are added to those of its axons.
    """
    delays = network.delays_on(number, operation, n_samples=1)
    own = delays.acting.numpy().astype(np.float64).ravel() if isinstance(delays, LayerDelays) else None
    dendritic = own if isinstance(delays, Dendritic) else None
    axonal = own if isinstance(delays, Axonal) else None
    if late is None:
        return axonal, dendritic
    bias = np.zeros(int(network.bias_time is not None))
    return np.append(late, bias) + (0.0 if axonal is None else axonal), dendritic


def _step(config: Config, largest: float) -> float | None:
    """Return the difference between two levels of the weights; None: no levels. largest: magnitude of the weights."""
    settings = config.substrate.weight
    return None if settings is None else settings.step(largest) or None


def _codes(on_chip: Tensor, step: float) -> Codes:
    """Return quantised weights as integers."""
    return Codes(np.rint(on_chip[0].numpy().astype(np.float64) / step).astype(np.int64), step)


def _check(file: Path, network: PortableNetwork, samples: Samples) -> Iterator[str]:
    """Yield how the spikes of a file in NEST agree with those of the network that was written."""
    if not has_nest():
        raise UserError("--check needs NEST: pip install nest-simulator")
    from ttfsrun.exchange.nir_import import from_graph, read_graph

    times = samples.first(CHECKED_SAMPLES).times.astype(np.float64)
    agreement = Agreement(exact_spikes(network, times), simulated_in_nest(from_graph(read_graph(file)), times))
    yield (
        f"in NEST, {len(times)} test samples: decisions {agreement.decisions:.2%} the same, silent neurons "
        f"{agreement.silent:.2%}, largest difference of spike times {agreement.largest_difference:.1e} tau_syn"
    )
