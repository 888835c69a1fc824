"""The torch function around the kernels: tensors in and out, packed layers and sorted inputs in between.

Shapes: P networks of B samples (R = P B rows), N inputs, M neurons in K blocks of L, padded to K L.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ttfsrun.neuron.events import TILE, Batch, Inputs, Layer, Spikes
from ttfsrun.neuron.gradient import Passed, backward_constants, backward_time, backward_weight, prepare_rows
from ttfsrun.neuron.observe import observe_rows
from ttfsrun.neuron.packing import pack, sort_keys, unpack
from ttfsrun.neuron.parallel import for_ranges
from ttfsrun.neuron.simd import LANES
from ttfsrun.neuron.walk import walk_rows

EVENTS_PER_SPIKE = 60


class FirstSpike(torch.autograd.Function):
    """times [P, B, N], weight [P, N, M], theta [P, B or 1, M], slow and fast [P, 1, M or 1] -> [P, B, M].

    The latter three are float64 whatever the type of the others, and so are their gradients.
    observed [P, B, M]: spikes to return as they are, with the derivatives that the neurons have there; or None.
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
        find: Callable[..., None] = walk_rows if observed is None else observe_rows

        def task(low: int, high: int) -> None:
            _sort(inputs, low, high)
            find(low, high, batch, spikes, _room_for_steps(inputs, np.float64, TILE))

        for_ranges(task, len(flat), _work(inputs, n_neurons))
        ctx.save_for_backward(times)  # `inputs` may share its memory: torch notices if it is changed
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
        passing_back = _PassingBack(ctx.batch, ctx.spikes, padded)
        if ctx.needs_input_grad[0]:
            results[0] = torch.from_numpy(passing_back.by_times().reshape(times_shape))
        if ctx.needs_input_grad[1]:
            by_weight = np.empty(weight_shape, padded.dtype)
            unpack(passing_back.by_weight(ctx.limit), by_weight)
            results[1] = torch.from_numpy(by_weight)
        each: list[Any] = [None] * 3
        if ctx.needs_input_grad[2]:
            each[0] = passing_back.by_threshold()
        if ctx.needs_input_grad[3] or ctx.needs_input_grad[4]:
            each[1:] = passing_back.by_constants()
        for place, (values, shape) in enumerate(zip(each, parameter_shapes, strict=True), start=2):
            if values is not None:
                whole = values[:, :n_neurons].reshape(*times_shape[:-1], n_neurons)
                results[place] = torch.from_numpy(_collected(whole, shape))
        return tuple(results)


class _PassingBack:
    """One backward pass: gradient [R, K L] by the spike times in, gradients by what the spikes depend on out."""

    def __init__(self, batch: Batch, spikes: Spikes, gradient: Any) -> None:
        steps = _room_for_steps(batch.inputs, gradient.dtype, len(gradient))
        self.batch, self.passed = batch, Passed(spikes, gradient, steps)
        self.work = _work(batch.inputs, gradient.shape[1])
        for_ranges(lambda low, high: prepare_rows(low, high, batch, steps), len(steps), self.work)

    def by_times(self) -> Any:
        """[R, N]."""
        out = np.zeros_like(self.batch.inputs.times)

        def task(low: int, high: int) -> None:
            total = np.empty((out.shape[1], LANES), out.dtype)
            backward_time(low, high, self.batch, self.passed, out, total)

        for_ranges(task, len(out), self.work)
        return out

    def by_weight(self, limit: float) -> Any:
        """Packed as the weights are, [P, K, N, L]."""
        out = np.zeros_like(self.batch.layer.weight)

        def task(low: int, high: int) -> None:
            backward_weight(low, high, self.batch, self.passed, limit, out)

        for_ranges(task, out.shape[0] * out.shape[1], self.work)
        return out

    def by_threshold(self) -> Any:
        """[R, K L]."""
        spikes, gradient = self.passed.spikes, self.passed.gradient
        with np.errstate(over="ignore", invalid="ignore"):
            return np.where(spikes.causal > 0, gradient / spikes.slope, 0)

    def by_constants(self) -> tuple[Any, Any]:
        """By the slower and the faster time constant, [R, K L] both."""
        by_slow, by_fast = np.empty_like(self.passed.gradient), np.empty_like(self.passed.gradient)

        def task(low: int, high: int) -> None:
            backward_constants(low, high, self.batch, self.passed, by_slow, by_fast)

        for_ranges(task, len(by_slow), self.work)
        return by_slow, by_fast


def _collected(values: Any, shape: Sequence[int]) -> Any:
    """values [P, B, M] summed to [P, B or 1, M or 1] in float64: each network alone, so that company has no part."""
    axes = tuple(axis - 1 for axis in (1, 2) if shape[axis] == 1)
    out = np.empty(shape)
    for network, each in zip(out, values, strict=True):
        network[...] = each.sum(axis=axes, dtype=np.float64, keepdims=True)
    return out


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
        if tensor.shape[-1] == 1:
            return np.ascontiguousarray(tensor.numpy().reshape(n_networks))
        return np.pad(tensor.numpy()[:, 0], ((0, 0), (0, width - n_neurons)), constant_values=1)

    slow, fast = torch.broadcast_tensors(slow, fast)
    shortest = fast.numpy().min(axis=(1, 2), initial=np.inf)
    return Layer(blocks, thresholds, constant(slow), constant(fast), shortest)


def _work(inputs: Inputs, n_neurons: int) -> int:
    """Synaptic events, where finding a spike counts as much as some of them."""
    n_rows, n_inputs = map(int, inputs.times.shape)
    return n_rows * n_neurons * (n_inputs + EVENTS_PER_SPIKE)


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
