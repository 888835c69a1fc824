"""A feed-forward network as files hold it: plain arrays, a set of parameters for each neuron.

Times are in units of the nominal tau_syn, as everywhere in the package. Shapes: N inputs and M neurons of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PARAMETERS = ("tau_mem", "tau_syn", "v_th", "v_leak")  # of a neuron


@dataclass(frozen=True)
class Codes:
    """Weights as integers: weight = lsb * code.

    code: [N, M].
    """

    code: NDArray[np.int64]
    lsb: float


@dataclass(frozen=True)
class PortableLayer:
    """The synapses and the neurons of one layer.

    weight: [N, M]; rows as in `network.Network.weights`, the bias last. All others: [M].
    delays: of what each source sends, [S]: the neurons before, or the inputs, then the bias; None for none.
    codes: of quantised weights. node: its name in a file.
    """

    weight: Array
    tau_mem: Array
    tau_syn: Array
    v_th: Array
    v_leak: Array
    delays: Array | None = None
    codes: Codes | None = None
    node: str | None = None


@dataclass(frozen=True)
class PortableNetwork:
    """A network with the events that reach it from outside.

    bias_time: of one more spike into each layer; None: no bias.
    t_max: end of the observation, after which spikes do not count; None: no end.
    input_repeats: lines that carry each external event into the first layer, bias included.
    output_delays: of the spikes of the label neurons [M]; None for none.
    """

    layers: tuple[PortableLayer, ...]
    bias_time: float | None = None
    t_max: float | None = None
    input_repeats: int = 1
    output_delays: Array | None = None

    @property
    def has_delays(self) -> bool:
        """Tell whether any spike is delayed."""
        return self.output_delays is not None or any(layer.delays is not None for layer in self.layers)

    @property
    def n_inputs(self) -> int:
        """Number of inputs, without bias and repetitions."""
        return len(self.layers[0].weight) // self.input_repeats - self.n_bias

    @property
    def n_bias(self) -> int:
        """1 with a bias, else 0."""
        return int(self.bias_time is not None)

    @property
    def sizes(self) -> list[int]:
        """Number of neurons of each layer."""
        return [layer.weight.shape[1] for layer in self.layers]

    def repeated(self, external: Array) -> Array:
        """Return what reaches the lines of the first layer [..., lines], from what is sent on [..., inputs and bias].

        The lines carry all inputs, then all of them again, and so on; then the bias, as often.
        """
        inputs, bias = external[..., : self.n_inputs], external[..., self.n_inputs :]
        return np.concatenate([inputs] * self.input_repeats + [bias] * self.input_repeats, axis=-1)

    def arriving(self, number: int, sent: Array, external: Array) -> Array:
        """Return what reaches the lines of a layer, counted from 0, [B, lines].

        sent: spike times of the layer before, which the first layer has not. external: of inputs and bias.
        """
        sources = external if number == 0 else np.concatenate([sent, external[:, self.n_inputs :]], axis=1)
        delays = self.layers[number].delays
        late = sources if delays is None else sources + delays
        return self.repeated(late) if number == 0 else late

    def leaving(self, number: int, crossings: Array) -> Array:
        """Return the spikes of a layer, counted from 0, whose membranes cross their thresholds at these times."""
        is_last = number == len(self.layers) - 1
        spikes = crossings + self.output_delays if is_last and self.output_delays is not None else crossings
        return spikes if self.t_max is None else np.where(spikes > self.t_max, np.inf, spikes)

    def with_bias(self, times: Array) -> Array:
        """Return input spike times [B, inputs] with those of the bias, if any, as a last column."""
        if self.bias_time is None:
            return times
        return np.column_stack([times, np.full(len(times), self.bias_time)])


def decisions(outputs: Array) -> NDArray[Any]:
    """Return the label neuron that spikes first in each sample, from spike times [B, M]; -1 where none spikes."""
    return np.where(np.isfinite(outputs).any(axis=1), outputs.argmin(axis=1), -1)


@dataclass(frozen=True)
class Agreement:
    """How two simulations of the same samples agree.

    spikes: per layer [B, M], by the one and by the other.
    """

    one: Sequence[Array]
    other: Sequence[Array]

    @property
    def decisions(self) -> float:
        """Share of the samples in which both decide for the same class, or both for none."""
        return float((decisions(self.one[-1]) == decisions(self.other[-1])).mean())

    @property
    def silent(self) -> float:
        """Share of neurons and samples that spike in both, or in neither."""
        pairs = zip(self.one, self.other, strict=True)
        same = [(np.isinf(one) == np.isinf(other)).ravel() for one, other in pairs]
        return float(np.concatenate(same).mean())

    @property
    def largest_difference(self) -> float:
        """Largest difference of two spike times; 0 where no neuron spikes in both."""
        differences = [
            np.abs(one[both] - other[both])
            for one, other in zip(self.one, self.other, strict=True)
            for both in [np.isfinite(one) & np.isfinite(other)]
        ]
        return max((float(each.max()) for each in differences if each.size), default=0.0)
