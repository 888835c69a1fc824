"""The torch function that calls the kernels: it packs layers, sorts inputs, and returns tensors.

Shapes: P networks of B samples (R = P B rows), N inputs, M neurons in K blocks of L, padded to K L.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ttfsrun.neuron.kernels.events import TILE, Batch, Inputs, Layer, Spikes
from ttfsrun.neuron.kernels.gradient import Incoming, backward_constants, backward_time, backward_weight, prepare_rows
from ttfsrun.neuron.kernels.lanes import LANES
from ttfsrun.neuron.kernels.observe import observe_rows
from ttfsrun.neuron.kernels.packing import pack, sort_keys, unpack
from ttfsrun.neuron.kernels.walk import walk_rows
from ttfsrun.neuron.parallel import for_ranges

EVENTS_PER_SPIKE = 60  # cost of finding a spike, in synaptic events


class FirstSpike(torch.autograd.Function):
    """First spikes, or the derivatives of neurons at observed ones, of P networks.

    times [P, B, N], weight [P, N, M], theta [P, B or 1, M], slow and fast [P, 1, M or 1] -> [P, B, M]. theta, slow,
    fast and their gradients are float64, whatever the type of the others.
    limit: the `gradient_limit` of `first_spike`.
    observed [P, B, M]: spikes to return unchanged, with the derivatives that the neurons have there; or None.
    """

    @staticmethod
    def forward(
        ctx: Any,
        times: Tensor,
        weight: Tensor,
        theta: Tensor,
        slow: Tensor,
        fast: Tensor,
        limit: float,
        observed: Tensor | None,
    ) -> Tensor:
        n_networks, n_rows, n_inputs = times.shape
        n_neurons = weight.shape[-1]
        flat = np.ascontiguousarray(times.detach().numpy()).reshape(n_networks * n_rows, n_inputs)
        inputs = Inputs(flat, np.empty(flat.shape, np.int32), np.empty(len(flat), np.int32))
        batch = Batch(_pack(weight.detach(), theta.detach(), slow.detach(), fast.detach()), inputs)
        width = batch.layer.weight.shape[1] * LANES
        spikes = Spikes(*(np.empty((len(flat), width), flat.dtype) for _ in Spikes._fields))
        if observed is not None:
            spikes.time[:, :n_neurons] = observed.detach().numpy().reshape(len(flat), n_neurons)
            spikes.time[:, n_neurons:] = np.inf
        kernel: Callable[..., None] = walk_rows if observed is None else observe_rows

        def task(low: int, high: int) -> None:
            _sort(inputs, low, high)
            kernel(low, high, batch, spikes, _empty_steps(inputs, np.float64, TILE))

        for_ranges(task, len(flat), _work(inputs, n_neurons))
        ctx.save_for_backward(times)  # `inputs` may share its memory; so torch detects changes
        ctx.batch, ctx.spikes, ctx.limit = batch, spikes, limit
        ctx.shapes = weight.shape, theta.shape, slow.shape, fast.shape
        return torch.from_numpy(spikes.time.reshape(n_networks, n_rows, width)[..., :n_neurons].copy())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        times_shape = ctx.saved_tensors[0].shape  # raises if the times were changed in place
        weight_shape, *parameter_shapes = ctx.shapes
        n_neurons = weight_shape[-1]
        padded = np.zeros_like(ctx.spikes.time)
        padded[:, :n_neurons] = gradient.numpy().reshape(len(padded), n_neurons)
        results: list[Tensor | None] = [None] * 7
        backward_pass = _BackwardPass(ctx.batch, ctx.spikes, padded)
        if ctx.needs_input_grad[0]:
            results[0] = torch.from_numpy(backward_pass.by_times().reshape(times_shape))
        if ctx.needs_input_grad[1]:
            by_weight = np.empty(weight_shape, padded.dtype)
            unpack(backward_pass.by_weight(ctx.limit), by_weight)
            results[1] = torch.from_numpy(by_weight)
        by_parameter: list[Any] = [None] * 3
        if ctx.needs_input_grad[2]:
            by_parameter[0] = backward_pass.by_threshold()
        if ctx.needs_input_grad[3] or ctx.needs_input_grad[4]:
            by_parameter[1:] = backward_pass.by_constants()
        for position, (values, shape) in enumerate(zip(by_parameter, parameter_shapes, strict=True), start=2):
            if values is not None:
                unpadded = values[:, :n_neurons].reshape(*times_shape[:-1], n_neurons)
                results[position] = torch.from_numpy(_sum_to_shape(unpadded, shape))
        return tuple(results)


class _BackwardPass:
    """One backward pass: from gradients [R, K L] by the spike times to gradients by times, weights and parameters."""

    def __init__(self, batch: Batch, spikes: Spikes, gradient: Any) -> None:
        steps = _empty_steps(batch.inputs, gradient.dtype, len(gradient))
        self.batch, self.incoming = batch, Incoming(spikes, gradient, steps)
        self.work = _work(batch.inputs, gradient.shape[1])
        for_ranges(lambda low, high: prepare_rows(low, high, batch, steps), len(steps), self.work)

    def by_times(self) -> Any:
        """Return the gradient by the input times, [R, N]."""
        out = np.zeros_like(self.batch.inputs.times)

        def task(low: int, high: int) -> None:
            total = np.empty((out.shape[1], LANES), out.dtype)
            backward_time(low, high, self.batch, self.incoming, out, total)

        for_ranges(task, len(out), self.work)
        return out

    def by_weight(self, limit: float) -> Any:
        """Return the gradient by the weights, packed like them, [P, K, N, L]."""
        out = np.zeros_like(self.batch.layer.weight)

        def task(low: int, high: int) -> None:
            backward_weight(low, high, self.batch, self.incoming, limit, out)

        for_ranges(task, out.shape[0] * out.shape[1], self.work)
        return out

    def by_threshold(self) -> Any:
        """Return the gradient by theta, [R, K L]."""
        spikes, gradient = self.incoming.spikes, self.incoming.gradient
        with np.errstate(over="ignore", invalid="ignore"):
            return np.where(spikes.causal > 0, gradient / spikes.slope, 0)

    def by_constants(self) -> tuple[Any, Any]:
        """Return the gradients by the slower and by the faster time constant, [R, K L] both."""
        by_slow, by_fast = np.empty_like(self.incoming.gradient), np.empty_like(self.incoming.gradient)

        def task(low: int, high: int) -> None:
            backward_constants(low, high, self.batch, self.incoming, by_slow, by_fast)

        for_ranges(task, by_slow.size // LANES, self.work)
        return by_slow, by_fast


def _sum_to_shape(values: Any, shape: Sequence[int]) -> Any:
    """Return values [P, B, M] summed to [P, B or 1, M or 1] in float64, separately for each network."""
    axes = tuple(axis - 1 for axis in (1, 2) if shape[axis] == 1)
    out = np.empty(shape)
    for total, network in zip(out, values, strict=True):
        total[...] = network.sum(axis=axes, dtype=np.float64, keepdims=True)
    return out


def _pack(weight: Tensor, theta: Tensor, slow: Tensor, fast: Tensor) -> Layer:
    """Return the layer in blocks of LANES neurons, with the weights of each block contiguous.

    Raises ValueError for weights that are not finite.
    """
    n_networks, n_inputs, n_neurons = weight.shape
    n_blocks = -(-n_neurons // LANES)
    width = n_blocks * LANES

    values = np.ascontiguousarray(weight.numpy())
    blocks = np.empty((n_networks, n_blocks, n_inputs, LANES), values.dtype)
    if not pack(values, blocks):
        raise ValueError(f"weight {values[~np.isfinite(values)][0]}: all weights must be finite")
    thresholds = np.full((n_networks, theta.shape[1], width), np.inf)
    thresholds[..., :n_neurons] = theta.numpy()

    def constant(tensor: Tensor) -> Any:
        if tensor.shape[-1] == 1:
            return np.ascontiguousarray(tensor.numpy().reshape(n_networks))
        return np.pad(tensor.numpy()[:, 0], ((0, 0), (0, width - n_neurons)), constant_values=1)

    slow, fast = torch.broadcast_tensors(slow, fast)
    shortest = fast.numpy().min(axis=(1, 2), initial=np.inf)
    return Layer(blocks, thresholds, constant(slow), constant(fast), shortest)


def _work(inputs: Inputs, n_neurons: int) -> int:
    """Return the amount of work, in synaptic events; finding a spike counts as EVENTS_PER_SPIKE of them."""
    n_rows, n_inputs = map(int, inputs.times.shape)
    return n_rows * n_neurons * (n_inputs + EVENTS_PER_SPIKE)


def _empty_steps(inputs: Inputs, dtype: Any, rows: int) -> Any:
    """Return an empty array for the steps of so many rows, padded so that whole vectors can be written."""
    return np.empty((rows, 4, max(1, -(-inputs.times.shape[1] // LANES)) * LANES), dtype)


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
        raise ValueError("a spike time is NaN or -inf; inf means no spike")
