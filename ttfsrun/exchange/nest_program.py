"""A network of first-spike neurons in NEST, all samples at once: `python nest_program.py NETWORK.npz SPIKES.npz`.

A program of its own (`nest_process.py` starts it) that nothing imports: NEST changes the process that imports it
(flags of the dynamic loader, a second libgomp), and ResetKernel was seen to crash in a process that runs torch with
two threads.

NEST's units are ms, mV, pA and pF. With C_m = 1 pF, one unit of time is 1 ms, one of voltage 1 mV, and a weight is
a current in pA: every number of the network goes to NEST as it is. The error of a spike time in ms is the error in
units of the nominal tau_syn.
"""

from __future__ import annotations

import sys

import nest
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ids = NDArray[np.int64]

#: Resolution and shortest delay, in ms. A power of two, as is the tic: multiples of it carry no rounding, and a
#: spike time is one of them minus an offset. NEST tests the threshold only where an input arrives or a step ends,
#: and so misses a peak that rises above it and falls again in between. Of 149,149 spikes of such a network, it missed
#: 100 with a step of 2^-3, 30 with 2^-4, 4 with 2^-5 and none with 2^-6: fewer with the square of the step.
STEP = 2.0**-7
TICS_PER_MS = 2**10
#: Refractory time, in ms: a neuron spikes at most once.
FOREVER = 1e6


def simulate(inputs: Array, layers: list[dict[str, Array]], duration: float) -> list[Array]:
    """Return the spike times of each layer [B, M] in ms, inf for no spike.

    inputs [B, N]: spike times in ms, > 0, or inf; the last is the bias, which goes into every layer.
    layers: weight [N, M] in pA, the bias last; tau_mem, tau_syn [M] in ms; v_th, v_leak [M] in mV; delays [N, M], if
        there are any, in ms, multiples of STEP.
    """
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.set(tics_per_ms=TICS_PER_MS, resolution=STEP, local_num_threads=1)
    sources = create_inputs(inputs)
    bias, recorders = sources[:, -1:], []
    for depth, layer in enumerate(layers, 1):
        neurons = create_neurons(len(inputs), layer)
        # What enters a layer is late by one step for every synapse on its way; the bias waits for the others.
        delay = np.full(sources.shape[1], STEP)
        delay[-1] = depth * STEP
        connect(sources, neurons, layer["weight"], delay[:, None] + layer.get("delays", 0.0))
        recorder = nest.Create("spike_recorder")
        nest.Connect(nest.NodeCollection(neurons.ravel()), recorder)
        recorders.append((recorder, neurons))
        sources = np.hstack([neurons, bias])
    nest.Simulate(duration)
    return [spikes_of(*recorded) - depth * STEP for depth, recorded in enumerate(recorders, 1)]


def create_inputs(times: Array) -> Ids:
    """Return a generator for each input spike, [B, N]."""
    generators = nest.Create("spike_generator", times.size, {"precise_times": True})
    generators.set([{"spike_times": [time] if time < np.inf else []} for time in times.ravel()])
    return np.reshape(generators.tolist(), times.shape)


def create_neurons(n_samples: int, layer: dict[str, Array]) -> Ids:
    """Return every neuron of a layer once for each sample, [B, M]. After its first spike, it is refractory forever."""
    resting = layer["v_leak"]  # V_m is set: if only E_L were, NEST would keep its default of -70 mV
    parameters = {
        "C_m": np.ones_like(resting),
        "tau_m": layer["tau_mem"],
        "tau_syn_ex": layer["tau_syn"],
        "tau_syn_in": layer["tau_syn"],
        "V_th": layer["v_th"],
        "E_L": resting,
        "V_m": resting,
        "V_reset": resting,
        "t_ref": np.full_like(resting, FOREVER),
    }
    n_neurons = len(resting)
    neurons = nest.Create(
        "iaf_psc_exp_ps",
        n_samples * n_neurons,
        {name: np.tile(values, n_samples).tolist() for name, values in parameters.items()},
    )
    return np.reshape(neurons.tolist(), (n_samples, n_neurons))


def connect(sources: Ids, targets: Ids, weight: Array, delay: Array) -> None:
    """Connect all sources [B, N] of a sample to all its targets [B, M], with weight [N, M] and delay [N, M or 1]."""
    shape = (*sources.shape, targets.shape[1])
    columns = (sources[:, :, None], targets[:, None, :], weight, delay)
    before, after, weights, delays = (np.broadcast_to(column, shape).ravel() for column in columns)
    nest.Connect(before, after, "one_to_one", {"weight": weights, "delay": delays})


def spikes_of(recorder: nest.NodeCollection, neurons: Ids) -> Array:
    """Return the recorded times [B, M] in ms, inf where there is none."""
    events = recorder.events
    if len(np.unique(events["senders"])) != len(events["senders"]):
        raise RuntimeError("a neuron has spiked twice")
    times = np.full(neurons.size, np.inf)
    times[events["senders"] - neurons.min()] = events["times"]
    return times.reshape(neurons.shape)


def main(source: str, destination: str) -> None:
    """Simulate the arrays `inputs`, `duration`, and `LAYER.PARAMETER`, with layers from 0; write the spikes `LAYER`."""
    with np.load(source) as file:
        arrays = dict(file)
    inputs, duration = arrays.pop("inputs"), float(arrays.pop("duration"))
    layers: dict[int, dict[str, Array]] = {}
    for key, array in arrays.items():
        number, name = key.split(".")
        layers.setdefault(int(number), {})[name] = array
    spikes = simulate(inputs, [layers[number] for number in sorted(layers)], duration)
    np.savez(destination, allow_pickle=False, **{str(number): times for number, times in enumerate(spikes)})


if __name__ == "__main__":
    main(*sys.argv[1:])
