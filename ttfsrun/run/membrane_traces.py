"""The membranes in a figure: which neurons, and the course of each in some samples, as plain arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.figures.membrane import ROLES, Trace
from ttfsrun.figures.raster import layer_names
from ttfsrun.network import Network
from ttfsrun.neuron import Neuron, first_spike
from ttfsrun.neuron.membrane import voltage
from ttfsrun.substrate.emulation import Operation

LINE_POINTS = 240  # of a plotted line
MARGIN = 0.15  # plotted after the last spike, as a fraction of the time until then
MAX_PEAK = 16.0  # times the threshold: higher peaks are not distinguished
BISECTIONS = 24  # of the search for a peak's height: to a millionth of the threshold


@dataclass(frozen=True)
class LayerActivity:
    """A layer of one network (P = 1) at S samples as it is on the substrate; N inputs, M neurons.

    arriving [S, N], weight [N, M]; spikes [S, M]: as recorded; neuron: with parameters [1, S or 1, M or 1].
    delays: what a synapse adds to the arriving times, [N, M]; None: nothing.
    t_max: the end of the observation, in tau_syn.
    """

    arriving: Tensor
    weight: Tensor
    neuron: Neuron
    spikes: Tensor
    t_max: float
    delays: Tensor | None = None

    @classmethod
    def all(
        cls, network: Network, times: Tensor, layers: Sequence[Tensor], operation: Operation
    ) -> list[LayerActivity]:
        """Return the activity of each layer.

        times: [S, N] of the inputs; layers: [1, S, M], the spikes that the network returned for them.
        """
        activities = []
        for number, arriving in enumerate(network.arrivals(times[None], layers, operation)):
            weight = operation.weight(number, network.weights[number]).value[0]
            neuron = operation.neuron(number, network.neuron, (len(times), weight.shape[-1]))
            t_max = math.inf if network.t_max is None else network.t_max
            delays = network.delays_on(number, operation, len(times)).in_solver()
            own = None if delays is None else delays[0]
            activities.append(cls(arriving[0], weight, neuron, layers[number][0], t_max, own))
        return activities

    @cached_property
    def crossing(self) -> NDArray[Any]:
        """Times [S, M] at which the membranes cross their thresholds, by the solver; inf where they do not."""
        return self._crossings(self.neuron).numpy()

    @cached_property
    def peaks(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Heights of the membranes' peaks, as multiples of their thresholds, and their times; [S, M] each.

        A height is the largest factor on the threshold at which the neuron still spikes: the solver finds it by
        bisection, without a grid of times.
        """
        low, high = torch.zeros_like(self.spikes), torch.full_like(self.spikes, MAX_PEAK)
        when = torch.zeros_like(self.spikes)
        theta = self.neuron.v_th - self.neuron.v_leak
        for _ in range(BISECTIONS):
            factor = (low + high) / 2
            times = self._crossings(replace(self.neuron, v_th=self.neuron.v_leak + factor * theta))
            spikes = times < math.inf
            low, high, when = factor.where(spikes, low), high.where(spikes, factor), times.where(spikes, when)
        return low.numpy(), when.numpy()

    def trace_values(self, sample: int, neuron: int, time: NDArray[Any]) -> dict[str, Any]:
        """Return what the figure shows of one neuron in one sample; time [G]: at which its voltage is plotted."""
        crossing = float(self.crossing[sample, neuron])
        time = np.union1d(time, crossing) if math.isfinite(crossing) else time
        arriving = self.arriving[sample].double()
        arrivals = (arriving if self.delays is None else arriving + self.delays[:, neuron]).numpy()
        weight = self.weight[:, neuron].double().numpy()
        v_leak = self._parameter("v_leak", sample, neuron)
        tau = self._parameter("tau_mem", sample, neuron), self._parameter("tau_syn", sample, neuron)
        return {
            "arrivals": arrivals,
            "weight": weight,
            "v_th": self._parameter("v_th", sample, neuron),
            "v_leak": v_leak,
            "crossing": crossing,
            "recorded": float(self.spikes[sample, neuron]),
            "time": time,
            "voltage": voltage(time, arrivals, weight, tau, v_leak),
        }

    def _parameter(self, name: str, sample: int, neuron: int) -> float:
        value = torch.as_tensor(getattr(self.neuron, name), dtype=torch.float64)
        return float(value.reshape(value.shape[-2:]).expand(self.spikes.shape)[sample, neuron])

    def _crossings(self, neuron: Neuron) -> Tensor:
        """Return the first spikes [S, M] of such neurons; inf for none, or one after the end of the observation."""
        times = first_spike(self.arriving[None], self.weight[None], neuron, self.delays)[0]
        return times.masked_fill(times > self.t_max, math.inf)


def choose_traces(
    network: Network, times: Tensor, labels: np.ndarray, layers: Sequence[Tensor], operation: Operation
) -> list[Trace]:
    """Return the membranes of up to four neurons in each sample, one for each of `ROLES`.

    The first is the label neuron that decides, or where none spikes the one that came nearest to a spike. The others
    are hidden neurons (label neurons where there are no hidden ones): the one that spikes first, the one with the
    lowest peak of those that cross their threshold, and the one with the highest peak of those that do not, both
    relative to the threshold. No neuron is chosen twice.
    network: P = 1; times: [S, N] of the inputs; layers: [1, S, M], the spikes that it returned in that operation.
    """
    activities = LayerActivity.all(network, times, layers, operation)
    names = layer_names(len(activities) + 1)[1:]
    traces: list[Trace] = []
    for sample, label in enumerate(labels):
        chosen = _choose(activities, sample)
        time = _times(activities, sample, list(chosen.values()))
        for role, (layer, neuron) in chosen.items():
            values = activities[layer].trace_values(sample, neuron, time)
            traces.append(Trace(sample, int(label), role, names[layer], neuron, **values))
    return traces


def _choose(layers: Sequence[LayerActivity], sample: int) -> dict[str, tuple[int, int]]:
    """Return for each role the number of a layer and of a neuron in it; see `choose_traces`."""
    last = len(layers) - 1
    output = layers[last].spikes[sample].numpy()
    nearest = output.argmin() if np.isfinite(output).any() else layers[last].peaks[0][sample].argmax()
    chosen = {ROLES[0]: (last, int(nearest))}
    hidden = range(last) if last else [last]
    positions = [(layer, neuron) for layer in hidden for neuron in range(layers[layer].spikes.shape[1])]
    spikes, crossings, heights = (
        np.concatenate([np.asarray(of_layer[sample]) for of_layer in quantity])
        for quantity in zip(*((layers[k].spikes, layers[k].crossing, layers[k].peaks[0]) for k in hidden), strict=True)
    )
    crosses = np.isfinite(crossings)
    subthreshold = ~crosses & (heights > 0)
    for role, candidates, order in (
        (ROLES[1], np.isfinite(spikes), spikes),
        (ROLES[2], crosses, heights),
        (ROLES[3], subthreshold, -heights),
    ):
        if candidates.any():
            position = positions[int(np.where(candidates, order, np.inf).argmin())]
            if position not in chosen.values():
                chosen[role] = position
    return chosen


def _times(layers: Sequence[LayerActivity], sample: int, chosen: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the times [G] of the lines: from 0, or the first input if that is earlier, until after the last event."""
    arriving = [layers[k].arriving[sample].numpy() for k, _ in chosen]
    start = min(0.0, *(float(times.min(initial=0.0)) for times in arriving))
    crossings = [float(layers[k].crossing[sample, n]) for k, n in chosen]
    silent = [(k, n) for (k, n), time in zip(chosen, crossings, strict=True) if time == math.inf]
    last = [time for time in crossings if time < math.inf]
    last += [float(layers[k].peaks[1][sample, n]) for k, n in silent]
    latest = max([start, *last])
    end = latest + MARGIN * (latest - start) if latest > start else start + 1
    return np.linspace(start, min(end, layers[0].t_max), LINE_POINTS)
