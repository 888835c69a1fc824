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

from ttfsrun.neuron.kernels.events import TILE, Batch, Inputs, Layer, Spikes
from ttfsrun.neuron.kernels.gradient import Incoming, prepare_rows
from ttfsrun.neuron.kernels.gradient_by_constants import backward_constants
from ttfsrun.neuron.kernels.gradient_by_times import backward_time
from ttfsrun.neuron.kernels.gradient_by_weights import AllSums, WeightSums, backward_weight
from ttfsrun.neuron.kernels.lanes import LANES
from ttfsrun.neuron.kernels.observe import observe_rows
from ttfsrun.neuron.kernels.packing import pack, sort_keys, unpack
from ttfsrun.neuron.kernels.walk import Scratch, walk_rows
from ttfsrun.neuron.parallel import for_ranges
from ttfsrun.neuron.parameters import EVENTS_PER_SPIKE, INVALID_TIME, Parameters, sum_to_shape

Floats = NDArray[Any]

TYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}


class VectorPass:
    """A `LayerPass` on the CPU."""

    def __init__(self, times: Tensor, weight: Tensor, parameters: Parameters, observed: Tensor | None = None) -> None:
        n_networks, n_rows, n_inputs = times.shape
        self._n_neurons = weight.shape[-1]
        flat = np.ascontiguousarray(times.numpy()).reshape(n_networks * n_rows, n_inputs)
        inputs = Inputs(flat, np.empty(flat.shape, np.int32), np.empty(len(flat), np.int32))
        batch = Batch(_pack(weight.numpy(), parameters), inputs)
        width = batch.layer.weight.shape[1] * LANES
        found = Spikes(*(_empty((len(flat), width), flat.dtype) for _ in Spikes._fields))
        if observed is not None:
            found.time[:, : self._n_neurons] = observed.numpy().reshape(len(flat), self._n_neurons)
            found.time[:, self._n_neurons :] = np.inf

        def task(low: int, high: int) -> None:
            _sort(inputs, low, high)
            steps = _empty_steps(inputs, np.float64, TILE)
            if observed is None:
                walk_rows(low, high, batch, found, Scratch(steps, _empty((TILE, 2, LANES), np.float64)))
            else:
                observe_rows(low, high, batch, found, steps)

        self._work = len(flat) * self._n_neurons * (n_inputs + EVENTS_PER_SPIKE)  # in synaptic events
        for_ranges(task, len(flat), self._work)
        self._batch, self._found = batch, found
        spikes = found.time[:, : self._n_neurons].reshape(n_networks, n_rows, self._n_neurons)
        self.spikes = torch.from_numpy(spikes)

    def backward(self, gradient: Tensor) -> VectorBackward:
        return VectorBackward(self._batch, self._found, gradient.numpy(), self._work)


class VectorBackward:
    """A `BackwardPass` on the CPU."""

    def __init__(self, batch: Batch, spikes: Spikes, gradient: Floats, work: int) -> None:
        self._lead, self._n_neurons = gradient.shape[:2], gradient.shape[-1]
        padded = _empty(spikes.time.shape, spikes.time.dtype)
        padded[:, self._n_neurons :] = 0
        padded[:, : self._n_neurons] = gradient.reshape(len(padded), self._n_neurons)
        steps = _empty_steps(batch.inputs, padded.dtype, len(padded))
        self._batch, self._incoming, self._work = batch, Incoming(spikes, padded, steps), work
        for_ranges(lambda low, high: prepare_rows(low, high, batch, steps), len(steps), work)

    def by_times(self) -> Tensor:
        out = np.empty_like(self._batch.inputs.times)

        def task(low: int, high: int) -> None:
            backward_time(low, high, self._batch, self._incoming, out, self._empty_sums())

        for_ranges(task, len(out), self._work)
        return torch.from_numpy(out.reshape(*self._lead, out.shape[1]))

    def by_weight(self, limit: float = math.inf) -> Tensor:
        return self._by_weight(limit)

    def by_weight_and_times(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        if self._batch.layer.weight.shape[1] != 1:
            return self.by_weight(limit), self.by_times()
        out = np.empty_like(self._batch.inputs.times)
        return self._by_weight(limit, out), torch.from_numpy(out.reshape(*self._lead, out.shape[1]))

    def _by_weight(self, limit: float, times: Floats | None = None) -> Tensor:
        """Return the gradient by the weights; write that by the times as well if given an array, for one block."""
        out = _empty(self._batch.layer.weight.shape, self._batch.layer.weight.dtype)

        def task(low: int, high: int) -> None:
            sums = out, self._empty_sums()[None, None]
            kept = WeightSums(*sums) if times is None else AllSums(*sums, times, self._empty_sums())
            backward_weight(low, high, self._batch, self._incoming, limit, kept)

        for_ranges(task, out.shape[0] * out.shape[1], self._work)
        by_weight = np.empty((out.shape[0], out.shape[2], self._n_neurons), out.dtype)
        unpack(out, by_weight)
        return torch.from_numpy(by_weight)

    def _empty_sums(self) -> Floats:
        """Return an empty array for a vector of each input, [N, LANES], with N rounded up to a multiple of LANES."""
        return _empty((self._incoming.steps.shape[-1], LANES), self._incoming.gradient.dtype)

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
    n_networks, n_inputs, n_neurons = weight.shape
    n_blocks = -(-n_neurons // LANES)
    width = n_blocks * LANES

    values = np.ascontiguousarray(weight)
    blocks = _empty((n_networks, n_blocks, n_inputs, LANES), values.dtype)
    if not pack(values, blocks):
        raise ValueError(f"weight {values[~np.isfinite(values)][0]}: all weights must be finite")
    theta = _empty((n_networks, parameters.theta.shape[1], width), np.float64)
    theta[..., n_neurons:] = np.inf
    theta[..., :n_neurons] = parameters.theta.numpy()

    def constant(values: Floats) -> Floats:
        if values.shape[-1] == 1:
            return np.ascontiguousarray(values.reshape(n_networks))
        return np.pad(values[:, 0], ((0, 0), (0, width - n_neurons)), constant_values=1)

    slow, fast = np.broadcast_arrays(parameters.slow.numpy(), parameters.fast.numpy())
    shortest = fast.min(axis=(1, 2), initial=np.inf)
    return Layer(blocks, theta, constant(slow), constant(fast), shortest)


def _empty(shape: Sequence[int], dtype: Any) -> Floats:
    """Return an empty array that begins at a multiple of 64 bytes, which numpy's own do not.

    Kernels that read and write vectors of 64 bytes take up to twice as long elsewhere.
    """
    return torch.empty(tuple(shape), dtype=TYPES[np.dtype(dtype)]).numpy()


def _empty_steps(inputs: Inputs, dtype: Any, rows: int) -> Floats:
    """Return an empty array for the steps of so many rows, padded so that whole vectors can be written."""
    return _empty((rows, 4, max(1, -(-inputs.times.shape[1] // LANES)) * LANES), dtype)


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
