"""The kernels for vectors of neurons: a layer on the CPU. For what its classes offer, see `layer_pass`.

Shapes: P networks of B samples (R = P B rows), N inputs, M neurons in K blocks of L, padded to K L.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ttfsrun.neuron.kernels.arrivals import DelayedBatch, Delays, padded_count
from ttfsrun.neuron.kernels.events import TILE, Batch, Inputs, Layer, Spikes
from ttfsrun.neuron.kernels.gradient import Incoming, prepare_rows
from ttfsrun.neuron.kernels.gradient_by_constants import backward_constants
from ttfsrun.neuron.kernels.gradient_by_times import backward_time
from ttfsrun.neuron.kernels.gradient_by_weights import AllSums, WeightSums, backward_weight
from ttfsrun.neuron.kernels.gradient_delayed import DelayedIncoming
from ttfsrun.neuron.kernels.lanes import LANES
from ttfsrun.neuron.kernels.observe import observe_rows
from ttfsrun.neuron.kernels.packing import pack, sort_keys, unpack
from ttfsrun.neuron.kernels.walk import Scratch, walk_rows
from ttfsrun.neuron.kernels.walk_arrivals import ArrivalScratch, observe_arrival_rows, walk_arrival_rows
from ttfsrun.neuron.mixed_backward import MixedBackward, has_delay
from ttfsrun.neuron.parallel import for_ranges
from ttfsrun.neuron.parameters import EVENTS_PER_SPIKE, INVALID_TIME, Parameters, sum_to_shape

Floats = NDArray[Any]

TYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64, np.dtype(np.int32): torch.int32}


class VectorPass:
    """A `LayerPass` on the CPU."""

    def __init__(
        self,
        times: Tensor,
        weight: Tensor,
        parameters: Parameters,
        observed: Tensor | None = None,
        delays: Tensor | None = None,
    ) -> None:
        n_networks, n_rows, n_inputs = times.shape
        self._n_neurons = weight.shape[-1]
        flat = np.ascontiguousarray(times.numpy()).reshape(n_networks * n_rows, n_inputs)
        inputs = Inputs(flat, np.empty(flat.shape, np.int32), np.empty(len(flat), np.int32))
        batch: Batch | DelayedBatch = Batch(_pack(weight.numpy(), parameters), inputs)
        width = batch.layer.weight.shape[1] * LANES
        if delays is not None:
            last = _empty((len(flat), width), np.int32)
            longest = delays.double().amax((1, 2)) if delays.numel() else torch.zeros(n_networks)
            waits = Delays(_blocks(delays.numpy(), "delay"), longest.double().numpy(), last)
            batch = DelayedBatch(batch.layer, batch.inputs, waits)
        found = Spikes(*_empty((len(Spikes._fields), len(flat), width), flat.dtype))
        if observed is not None:
            found.time[:, : self._n_neurons] = observed.numpy().reshape(len(flat), self._n_neurons)
            found.time[:, self._n_neurons :] = np.inf

        def task(low: int, high: int) -> None:
            _sort(inputs, low, high)
            if delays is not None:
                kernel = walk_arrival_rows if observed is None else observe_arrival_rows
                kernel(low, high, batch, found, _arrival_scratch(inputs))
                return
            steps = _empty_steps(inputs, np.float64, TILE)
            if observed is None:
                walk_rows(low, high, batch, found, Scratch(steps, _empty((TILE, 2, LANES), np.float64)))
            else:
                observe_rows(low, high, batch, found, steps)

        self._work = len(flat) * self._n_neurons * (n_inputs + EVENTS_PER_SPIKE)  # in synaptic events
        for_ranges(task, len(flat), self._work)
        self._batch, self._found, self._delays = batch, found, delays
        spikes = found.time[:, : self._n_neurons].reshape(n_networks, n_rows, self._n_neurons)
        self.spikes = torch.from_numpy(spikes)

    def backward(self, gradient: Tensor) -> VectorBackward | MixedBackward:
        entries = gradient.numpy()
        backward = VectorBackward(self._batch, self._found, entries, self._work)
        if self._delays is None:
            return backward
        used = has_delay(self._delays)
        if bool(used.all()):
            return backward
        rows = used.numpy().repeat(gradient.shape[1])[:, None]
        found = self._found._replace(causal=np.where(rows, 0, self._found.causal).astype(self._found.causal.dtype))
        return MixedBackward(VectorBackward(Batch(*self._batch[:2]), found, entries, self._work), backward, used)


class VectorBackward:
    """A `BackwardPass` on the CPU."""

    def __init__(self, batch: Batch | DelayedBatch, spikes: Spikes, gradient: Floats, work: int) -> None:
        self._lead, self._n_neurons = gradient.shape[:2], gradient.shape[-1]
        padded = _empty(spikes.time.shape, spikes.time.dtype)
        padded[:, self._n_neurons :] = 0
        padded[:, : self._n_neurons] = gradient.reshape(len(padded), self._n_neurons)
        self._batch, self._work = batch, work
        self._incoming: Incoming | DelayedIncoming
        if isinstance(batch, DelayedBatch):
            self._incoming = DelayedIncoming(spikes, padded)
            return
        steps = _empty_steps(batch.inputs, padded.dtype, len(padded))
        self._incoming = Incoming(spikes, padded, steps)
        for_ranges(lambda low, high: prepare_rows(low, high, batch, steps), len(steps), work)

    def by_times(self) -> Tensor:
        out = np.empty_like(self._batch.inputs.times)

        def task(low: int, high: int) -> None:
            backward_time(low, high, self._batch, self._incoming, out, self._empty_sums())

        for_ranges(task, len(out), self._work)
        return torch.from_numpy(out.reshape(*self._lead, out.shape[1]))

    def by_weight(self, limit: float = math.inf) -> Tensor:
        return self._by_weight(limit)[:, : self._batch.inputs.times.shape[1]]

    def by_weight_and_times(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        if self._batch.layer.weight.shape[1] != 1 or isinstance(self._batch, DelayedBatch):
            return self.by_weight(limit), self.by_times()
        out = np.empty_like(self._batch.inputs.times)
        return self._by_weight(limit, out), torch.from_numpy(out.reshape(*self._lead, out.shape[1]))

    def by_delays(self, limit: float = math.inf) -> Tensor:
        return self.by_weight_and_delays(limit)[1]

    def by_weight_and_delays(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        both, n_inputs = self._by_weight(limit), self._batch.inputs.times.shape[1]
        return both[:, :n_inputs], both[:, n_inputs:]

    def _by_weight(self, limit: float, times: Floats | None = None) -> Tensor:
        """Return the gradient by the weights, [P, N, M], and after it that by delays if there are any, [P, 2 N, M].

        Write that by the times as well if given an array, for one block without delays.
        """
        n_networks, n_blocks, n_inputs, _ = self._batch.layer.weight.shape
        n_entries = 2 * n_inputs if isinstance(self._batch, DelayedBatch) else n_inputs
        out = _empty((n_networks, n_blocks, n_entries, LANES), self._incoming.gradient.dtype)

        def task(low: int, high: int) -> None:
            sums = out, _empty((1, 1, n_entries, LANES), out.dtype)
            kept = WeightSums(*sums) if times is None else AllSums(*sums, times, self._empty_sums())
            backward_weight(low, high, self._batch, self._incoming, limit, kept)

        for_ranges(task, n_networks * n_blocks, self._work)
        by_weight = np.empty((n_networks, n_entries, self._n_neurons), out.dtype)
        unpack(out, by_weight)
        return torch.from_numpy(by_weight)

    def _empty_sums(self) -> Floats:
        """Return an empty array for a vector of each input, [N, LANES], with N rounded up to a multiple of LANES."""
        n_inputs = self._batch.inputs.times.shape[1]
        return _empty((max(1, -(-n_inputs // LANES)) * LANES, LANES), self._incoming.gradient.dtype)

    def by_threshold(self, shape: Sequence[int]) -> Tensor:
        spikes, gradient = self._incoming.spikes, self._incoming.gradient
        with np.errstate(over="ignore", invalid="ignore"):
            return self._summed(np.where(spikes.causal > 0, gradient / spikes.slope, 0), shape)

    def by_constants(self, slow: Sequence[int], fast: Sequence[int]) -> tuple[Tensor, Tensor]:
        gradient = self._incoming.gradient
        by_slow, by_fast = (_empty(gradient.shape, gradient.dtype) for _ in range(2))

        def task(low: int, high: int) -> None:
            backward_constants(low, high, self._batch, self._incoming, by_slow, by_fast)

        for_ranges(task, by_slow.size // LANES, self._work)
        return self._summed(by_slow, slow), self._summed(by_fast, fast)

    def _summed(self, values: Floats, shape: Sequence[int]) -> Tensor:
        """Return values [R, K L] summed to [P, B or 1, M or 1] in float64."""
        unpadded = values[:, : self._n_neurons].reshape(*self._lead, self._n_neurons)
        return sum_to_shape(torch.from_numpy(unpadded), shape)


def _pack(weight: Floats, parameters: Parameters) -> Layer:
    """Return the layer in blocks of LANES neurons, with the weights of each block contiguous.

    Raises ValueError for weights that are not finite.
    """
    return Layer(_blocks(weight), *parameters.arranged(weight.shape[-1], _padded))


def _padded(parameters: Parameters, n_neurons: int) -> tuple[Floats, ...]:
    """Return theta, slow, fast and shortest of a `Layer`."""
    n_networks, width = len(parameters.theta), -(-n_neurons // LANES) * LANES
    theta = _empty((n_networks, parameters.theta.shape[1], width), np.float64)
    theta[..., n_neurons:] = np.inf
    theta[..., :n_neurons] = parameters.theta.numpy()

    def constant(values: Floats) -> Floats:
        if values.shape[-1] == 1:
            return np.ascontiguousarray(values.reshape(n_networks))
        return np.pad(values[:, 0], ((0, 0), (0, width - n_neurons)), constant_values=1)

    slow, fast = np.broadcast_arrays(parameters.slow.numpy(), parameters.fast.numpy())
    return theta, constant(slow), constant(fast), fast.min(axis=(1, 2), initial=np.inf)


def _blocks(values: Floats, name: str = "weight") -> Floats:
    """Return values [P, N, M] in blocks of LANES neurons, [P, K, N, L]. Raises ValueError if one is not finite."""
    n_networks, n_inputs, n_neurons = values.shape
    values = np.ascontiguousarray(values)
    blocks = _empty((n_networks, -(-n_neurons // LANES), n_inputs, LANES), values.dtype)
    if not pack(values, blocks):
        raise ValueError(f"{name} {values[~np.isfinite(values)][0]}: all {name}s must be finite")
    return blocks


def _empty(shape: Sequence[int], dtype: Any) -> Floats:
    """Return an empty array that begins at a multiple of 64 bytes, which numpy's own do not.

    Kernels that read and write vectors of 64 bytes take up to twice as long elsewhere.
    """
    return torch.empty(tuple(shape), dtype=TYPES[np.dtype(dtype)]).numpy()


def _empty_steps(inputs: Inputs, dtype: Any, rows: int) -> Floats:
    """Return an empty array for the steps of so many rows, padded so that whole vectors can be written."""
    return _empty((rows, 4, max(1, -(-inputs.times.shape[1] // LANES)) * LANES), dtype)


def _arrival_scratch(inputs: Inputs) -> ArrivalScratch:
    """Return the scratch space of one thread for the arrivals of a row at a block of neurons."""
    shape = padded_count(inputs.times.shape[1]), LANES
    return ArrivalScratch(
        _empty(shape, np.int32),
        _empty(shape, np.float64),
        _empty(shape, inputs.times.dtype),
        _empty((TILE, 4, LANES), np.float64),
    )


def _sort(inputs: Inputs, low: int, high: int) -> None:
    """Fill in the stable order of the times of rows low to high. Raises ValueError for a time that is NaN or -inf."""
    rows = inputs.times[low:high]
    if rows.dtype == np.float32:
        keys = np.empty(rows.shape, np.uint64)
        valid = sort_keys(rows, keys)
        keys.sort(axis=1)
        inputs.order[low:high] = keys  # the low half of a key is the index
    else:
        valid = bool((rows > -np.inf).all())
        inputs.order[low:high] = np.argsort(rows, axis=1, kind="stable")
    if not valid:
        raise ValueError(INVALID_TIME)
