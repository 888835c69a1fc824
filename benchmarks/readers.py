"""A trained network in the simulators that read NIR, each in a Python environment of its own.

    python benchmarks/readers.py RUN [--jaxsnn PYTHON] [--norse PYTHON] [--snntorch PYTHON] [--rockpool PYTHON]

RUN is a run on yin-yang data. Each PYTHON is the interpreter of an environment that has the reader and
nir. Prints, for each, the decisions on the test samples that are those of the exact solver. The output that is
published is results/reference/exchange/readers.txt.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

SECONDS_PER_UNIT = 0.025  # so that the fixed step of snnTorch, 1e-4 s, is 1/250 of the time constants
STEP = 1e-4
UNITS = 4.0  # simulated, in units of time


def prepare(run: Path, folder: Path) -> None:
    """Write the network, for an event-based and for step-based readers, the inputs, and what our solver decides."""
    from ttfsrun.exchange.convention import Convention
    from ttfsrun.exchange.network import decisions
    from ttfsrun.exchange.nir_export import write_graph
    from ttfsrun.exchange.simulation import exact_spikes
    from ttfsrun.run.export import portable
    from ttfsrun.run.folder import RunFolder
    from ttfsrun.run.inputs import stored_samples
    from ttfsrun.run.stored import read_config, read_learned

    stored = RunFolder(run)
    config = read_config(stored)
    network = portable(config, read_learned(stored, config), "nominal").network
    write_graph(folder / "events.nir", network, Convention.of(6.0, None, "ms"))
    write_graph(folder / "steps.nir", network, Convention.of(1e6 * SECONDS_PER_UNIT, 1e6 * STEP, "s"))
    samples = stored_samples(stored, config)[0]["test"]
    times = samples.times.astype(np.float64)
    outputs = exact_spikes(network, times)[-1]
    np.savez(
        folder / "data.npz",
        times=network.with_bias(times),
        outputs=outputs,
        decisions=decisions(outputs),
        labels=samples.labels,
    )
    accuracy = float((decisions(outputs) == samples.labels).mean())
    print(f"exact solver: {len(times)} test samples, accuracy {accuracy:.2%}")


def in_steps(times):
    """Return spike trains [steps, B, N] of input times in units of time."""
    import torch

    trains = torch.zeros((round(UNITS * SECONDS_PER_UNIT / STEP), *times.shape))
    step = torch.from_numpy(np.floor(times * SECONDS_PER_UNIT / STEP + 1e-6)).long()
    return trains.scatter_(0, step[None], 1.0)


def only_first(modules) -> None:
    """Let the modules of neurons, which have no such setting, send each neuron's first spike only."""
    import torch

    for module in modules:
        seen = {}

        def keep_first(module, arguments, output, seen=seen):
            spikes = output[0] if isinstance(output, tuple) else output
            first = spikes * (1 - seen.get("before", torch.zeros_like(spikes)))
            seen["before"] = torch.maximum(seen.get("before", torch.zeros_like(spikes)), spikes)
            return (first, *output[1:]) if isinstance(output, tuple) else first

        module.register_forward_hook(keep_first)


def first_steps(outputs):
    """Return the first spike times [B, M] of trains [steps, B, M], in units of time."""
    fired = outputs > 0
    found = fired.float().argmax(0).double() * STEP / SECONDS_PER_UNIT
    return found.masked_fill(~fired.any(0), float("inf")).numpy()


def norse(folder: Path, times, single: bool):
    import nir
    import norse.torch as norse_torch
    import torch

    net = norse_torch.from_nir(nir.read(folder / "steps.nir"), dt=STEP)
    if single:
        only_first(module for module in net.modules() if type(module).__name__ == "CubaLIF")
    state, outputs = None, []
    for now in in_steps(times):
        spikes, state = net(now, state)
        outputs.append(spikes.detach())
    return first_steps(torch.stack(outputs))


def snntorch(folder: Path, times, single: bool):
    import nir
    import snntorch as snn
    import torch
    from snntorch.import_nir import import_from_nir

    net = import_from_nir(nir.read(folder / "steps.nir"))
    neurons = [module for module in net.modules() if isinstance(module, snn.Synaptic)]
    for module in neurons:
        module.reset_hidden() if hasattr(module, "reset_hidden") else module.reset_mem()
    if single:
        only_first(neurons)
    outputs, state = [], None
    for now in in_steps(times):
        found = net(now) if state is None else net(now, state)
        spikes, state = found if isinstance(found, tuple) else (found, None)
        outputs.append((spikes[0] if isinstance(spikes, tuple) else spikes).detach())
    return first_steps(torch.stack(outputs))


def rockpool(folder: Path, times, single: bool):
    from rockpool.nn.modules.torch.nir import from_nir

    net = from_nir(folder / "steps.nir")
    if single:

        def keep_first(module, arguments, spikes):  # [B, steps, M]
            return ((spikes > 0) & (spikes.cumsum(1) - spikes == 0)).to(spikes)

        for module in net.modules():
            if type(module).__name__ == "LIFTorch":
                module.register_forward_hook(keep_first)
    found = net(in_steps(times).transpose(0, 1))
    spikes = found[0] if isinstance(found, tuple) else found
    return first_steps(spikes.detach().transpose(0, 1))


def jaxsnn(folder: Path, times, transposed: bool):
    import jax
    import jax.numpy as jnp
    import nir
    from jaxsnn.event import ConversionConfig, from_nir
    from jaxsnn.event.types import Spike

    jax.config.update("jax_enable_x64", True)
    graph = nir.read(folder / "events.nir")
    hidden = graph.nodes["neurons_1"].tau_mem.size
    n_inputs, unit = times.shape[1], 6e-6
    steps = {"neurons_1": n_inputs + hidden, "neurons_2": hidden + 3 + 1}  # 1: the bias
    topology = from_nir(graph, ConversionConfig(t_max=UNITS * unit, n_steps=steps))
    init, apply = topology.done()
    parameters = init(jax.random.PRNGKey(0))
    parameters = (
        parameters
        if not transposed
        else {
            name: value.T if name in ("weight_1", "weight_2") and value is not None else value
            for name, value in parameters.items()
        }
    )
    order = np.argsort(times, axis=1)
    events = Spike(
        time=jnp.asarray(np.take_along_axis(times, order, axis=1) * unit),
        idx=jnp.asarray(order),
        current=jnp.zeros(times.shape),
        layer_idx=jnp.zeros(times.shape, dtype=int),
        internal=jnp.ones(times.shape, dtype=bool),
    )
    spikes = apply({"input": events}, parameters)["neurons_2"]
    found = np.full((len(times), 3), np.inf)
    at, idx, own = (np.asarray(getattr(spikes, name)) for name in ("time", "idx", "internal"))
    for neuron in range(3):
        found[:, neuron] = np.where((idx == neuron) & own & np.isfinite(at), at / unit, np.inf).min(axis=1)
    return found


READERS = {"jaxsnn": jaxsnn, "norse": norse, "snntorch": snntorch, "rockpool": rockpool}


def simulate(name: str, folder: Path) -> None:
    """Print how one reader agrees, as it is, and with what its users have to change."""
    data = np.load(folder / "data.npz")
    if name != "jaxsnn":
        import torch

        torch.set_grad_enabled(False)
    version = importlib.metadata.version(name)
    changed = "weights transposed" if name == "jaxsnn" else "first spikes only"
    for change in (False, True):
        title = f"{name} {version}{f', {changed}' if change else ''}"
        try:
            found = READERS[name](folder, data["times"], change)
        except (AssertionError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            print(f"{title}: {type(error).__name__}: {str(error).splitlines()[0]}")
            continue
        decided = np.where(np.isfinite(found).any(axis=1), found.argmin(axis=1), -1)
        both = np.isfinite(found) & np.isfinite(data["outputs"])
        difference = np.abs(found[both] - data["outputs"][both])
        print(
            f"{title}: {(decided == data['decisions']).mean():.2%} of the decisions, accuracy "
            f"{(decided == data['labels']).mean():.2%}; differences of spike times, in units of time: "
            f"median {np.median(difference) if both.any() else np.nan:.1e}, largest "
            f"{difference.max() if both.any() else np.nan:.1e}"
        )


def main() -> None:
    """Read the command line."""
    if sys.argv[1:2] == ["simulate"]:
        simulate(sys.argv[2], Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    for name in READERS:
        parser.add_argument(f"--{name}")
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        prepare(args.run, Path(folder))
        for name in READERS:
            python = getattr(args, name)
            if python is None:
                continue
            done = subprocess.run(
                [python, __file__, "simulate", name, folder], capture_output=True, text=True, check=False
            )
            lines = [line for line in done.stdout.splitlines() if line.startswith(name)]
            last = done.stderr.strip().splitlines()[-1:] if done.returncode else []
            print(*lines, *(f"{name}: fails: {line}" for line in last), sep="\n", flush=True)


if __name__ == "__main__":
    main()
