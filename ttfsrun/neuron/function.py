"""The torch function around the kernels: tensors in and out, packed layers and sorted inputs in between.

Shapes: P networks of B samples (R = P B rows), N inputs, M neurons in K blocks of L, padded to K L.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ttfsrun.neuron.events import TILE, Inputs, Layer, Spikes
from ttfsrun.neuron.gradient import backward_constants, backward_time, backward_weight, prepare_rows
from ttfsrun.neuron.packing import pack, sort_keys, unpack
from ttfsrun.neuron.parallel import for_ranges
from ttfsrun.neuron.simd import LANES
from ttfsrun.neuron.walk import forward


class FirstSpike(torch.autograd.Function):
    """times [P, B, N], weight [P, N, M], theta [P, B or 1, M], slow and fast [P, 1, M or 1] -> [P, B, M]."""

    @staticmethod
    def forward(
        ctx: Any, times: Tensor, weight: Tensor, theta: Tensor, slow: Tensor, fast: Tensor, limit: float
    ) -> Tensor:
        n_networks, n_rows, n_inputs = times.shape
        n_neurons = weight.shape[-1]
        layer = _pack(weight.detach(), theta.detach(), slow.detach(), fast.detach())
        width = layer.weight.shape[1] * LANES
        flat = np.ascontiguousarray(times.detach().numpy()).reshape(n_networks * n_rows, n_inputs)
        inputs = Inputs(flat, np.empty(flat.shape, np.int32), np.empty(len(flat), np.int32))
        spikes = Spikes(*(np.empty((len(flat), width), flat.dtype) for _ in Spikes._fields))

        def task(low: int, high: int) -> None:
            _sort(inputs, low, high)
            forward(low, high, layer, inputs, spikes, _room_for_steps(inputs, np.float64, TILE))

        for_ranges(task, len(flat), flat.size * n_neurons)
        ctx.layer, ctx.inputs, ctx.spikes, ctx.limit = layer, inputs, spikes, limit
        ctx.shapes = times.shape, weight.shape, theta.shape, slow.shape, fast.shape
        return torch.from_numpy(spikes.time.reshape(n_networks, n_rows, width)[..., :n_neurons].copy())

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        layer, inputs, spikes = ctx.layer, ctx.inputs, ctx.spikes
        times_shape, weight_shape, *parameter_shapes = ctx.shapes
        n_neurons = weight_shape[-1]
        padded = np.zeros_like(spikes.time)
        padded[:, :n_neurons] = gradient.numpy().reshape(len(padded), n_neurons)
        results: list[Tensor | None] = [None] * 6
        backward = _Backward(layer, inputs, spikes, padded)
        if ctx.needs_input_grad[0]:
            results[0] = torch.from_numpy(backward.by_times().reshape(times_shape))
        if ctx.needs_input_grad[1]:
            by_weight = np.empty(weight_shape, padded.dtype)
            unpack(backward.by_weight(ctx.limit), by_weight)
            results[1] = torch.from_numpy(by_weight)
        each: list[Any] = [None] * 3
        if ctx.needs_input_grad[2]:
            each[0] = np.where(spikes.causal > 0, padded / spikes.slope, 0)
        if ctx.needs_input_grad[3] or ctx.needs_input_grad[4]:
            each[1:] = backward.by_constants()
        for place, (value, shape) in enumerate(zip(each, parameter_shapes, strict=True), start=2):
            if value is not None:
                whole = torch.from_numpy(value[:, :n_neurons].reshape(*times_shape[:-1], n_neurons))
                results[place] = whole.sum_to_size(shape)
        return tuple(results)


class _Backward:
    """One backward pass: gradient [R, K L] by the spike times in, gradients by what the spikes depend on out."""

    def __init__(self, layer: Layer, inputs: Inputs, spikes: Spikes, gradient: Any) -> None:
        self.layer, self.inputs, self.spikes, self.gradient = layer, inputs, spikes, gradient
        self.events = inputs.order.size * gradient.shape[1]
        self.steps = _room_for_steps(inputs, gradient.dtype, len(gradient))
        for_ranges(lambda low, high: prepare_rows(low, high, layer, inputs, self.steps), len(gradient), self.events)

    def run(self, kernel: Callable[..., None], items: int, *arguments: Any) -> None:
        def task(low: int, high: int) -> None:
            kernel(low, high, self.layer, self.inputs, self.spikes, self.gradient, *arguments)

        for_ranges(task, items, self.events)

    def by_times(self) -> Any:
        """[R, N]."""
        out = np.zeros_like(self.inputs.times)

        def task(low: int, high: int) -> None:
            total = np.empty((out.shape[1], LANES), out.dtype)
            backward_time(low, high, self.layer, self.inputs, self.spikes, self.gradient, self.steps, out, total)

        for_ranges(task, len(out), self.events)
        return out

    def by_weight(self, limit: float) -> Any:
        """Packed as the weights are, [P, K, N, L]."""
        out = np.zeros_like(self.layer.weight)
        self.run(backward_weight, out.shape[0] * out.shape[1], limit, self.steps, out)
        return out

    def by_constants(self) -> tuple[Any, Any]:
        """By the slower and the faster time constant, [R, K L] both."""
        by_slow, by_fast = np.empty_like(self.gradient), np.empty_like(self.gradient)
        self.run(backward_constants, len(by_slow), self.steps, by_slow, by_fast)
        return by_slow, by_fast


def _pack(weight: Tensor, theta: Tensor, slow: Tensor, fast: Tensor) -> Layer:
    """The layer in blocks of as many neurons as a SIMD vector has lanes, each block's weights contiguous."""
    n_networks, n_inputs, n_neurons = weight.shape
    n_blocks = -(-n_neurons // LANES)
    width = n_blocks * LANES

    values = np.ascontiguousarray(weight.numpy())
    blocks = np.empty((n_networks, n_blocks, n_inputs, LANES), values.dtype)
    if not pack(values, blocks):
        raise ValueError(f"weight {values[~np.isfinite(values)][0]}: all weights are finite")
    thresholds = np.full((n_networks, theta.shape[1], width), np.inf)
    thresholds[..., :n_neurons] = theta.numpy()

    def constant(tensor: Tensor) -> Any:
        values = tensor.numpy().astype(np.float64)
        if tensor.shape[-1] == 1:
            return np.ascontiguousarray(values.reshape(n_networks))
        return np.pad(values[:, 0], ((0, 0), (0, width - n_neurons)), constant_values=1)

    slow, fast = torch.broadcast_tensors(slow, fast)
    shortest = np.ascontiguousarray(fast.amin((1, 2)).numpy().astype(np.float64))
    return Layer(blocks, thresholds, constant(slow), constant(fast), shortest)


def _room_for_steps(inputs: Inputs, dtype: Any, rows: int) -> Any:
    """Room for the steps between the inputs of so many rows, padded so that whole vectors can be written."""
    return np.empty((rows, 4, max(1, -(-inputs.times.shape[1] // LANES)) * LANES), dtype)


def _sort(inputs: Inputs, low: int, high: int) -> None:
    """Stable order of each row's times; raises ValueError where a time is NaN or -inf."""
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
