"""`first_spike`: from input spike times to first spike times, differentiable.

The membrane (time in units of tau_syn nominal, capacitance 1, U = V - v_leak)

    dI/dt = -I / tau_syn + sum_i w_i delta(t - t_i)        dU/dt = -U / tau_mem + I

starts at rest; the spike is its first upward crossing of v_th (Goeltz, Kriener et al. 2021, arXiv 1912.11443).
By the implicit function theorem, with k the membrane's response to one input (`reference.psp`),

    dT/dw_i = -k(T - t_i) / V'(T)      dT/dt_i = w_i k'(T - t_i) / V'(T)      dT/dv_th = -dT/dv_leak = 1 / V'(T)

for the causal inputs, and 0 for all others and wherever there is no spike.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ttfsrun.neuron.events import TILE, Inputs, Layer, Spikes, sort_keys
from ttfsrun.neuron.gradient import backward_constants, backward_time, backward_weight, prepare_rows
from ttfsrun.neuron.parallel import for_ranges
from ttfsrun.neuron.simd import LANES
from ttfsrun.neuron.walk import forward

Value = float | Tensor


@dataclass(frozen=True)
class Neuron:
    """Parameters of leaky integrate-and-fire neurons; each a number or a tensor.

    tau_mem, tau_syn: time constants of membrane and synapse, > 0; tensors broadcast to [..., 1, M].
    v_th, v_leak: threshold and leak potential; tensors broadcast to [..., B, M]. A neuron with
        v_leak >= v_th fires by itself, at time 0, when the observation begins.
    """

    tau_mem: Value = 1.0
    tau_syn: Value = 1.0
    v_th: Value = 1.0
    v_leak: Value = 0.0

    def __post_init__(self) -> None:
        for name in ("tau_mem", "tau_syn", "v_th", "v_leak"):
            value = torch.as_tensor(getattr(self, name)).detach()
            if not bool(torch.isfinite(value).all()):
                raise ValueError(f"{name}={_worst(value, ~torch.isfinite(value))}: a neuron's parameters are finite")
            if name.startswith("tau") and not bool((value > 0).all()):
                raise ValueError(f"{name}={_worst(value, value <= 0)}: a time constant is positive")


def first_spike(times: Tensor, weight: Tensor, neuron: Neuron, *, gradient_limit: float = math.inf) -> Tensor:
    """Time of each neuron's first spike; inf where there is none.

    times: [..., B, N] input spike times in any order, inf for no spike; > -inf.
    weight: [..., N, M], finite; float32 or float64, the same as `times`.
    neuron: parameters that broadcast as `Neuron` says.
    gradient_limit: in the backward pass, the gradient by the weights that one sample brings to one neuron is
        dropped if its largest entry exceeds this (a neuron that barely reached its threshold has V'(T) near 0).
    Returns [..., B, M]. Differentiable by times, weight and all four parameters. Memory O(B (N + M) + N M) per network.
    The leading dimensions are networks; none affects another's bits, nor does the number of threads
    (`set_threads`). Raises ValueError for NaN or -inf times, weights that are not finite and shapes that do
    not fit, TypeError for other types.
    """
    _check(times, weight, neuron)
    theta = _at_least_2d(neuron.v_th - neuron.v_leak, times.dtype)
    constants = [_at_least_2d(getattr(neuron, name), times.dtype) for name in ("tau_mem", "tau_syn")]
    lead = np.broadcast_shapes(*(tensor.shape[:-2] for tensor in (times, weight, theta, *constants)))
    (n_rows, n_inputs), n_neurons = times.shape[-2:], weight.shape[-1]
    for name, tensor in zip(("v_th - v_leak", "tau_mem", "tau_syn"), (theta, *constants), strict=True):
        if tensor.shape[-2] not in (1, n_rows) or tensor.shape[-1] not in (1, n_neurons):
            raise ValueError(f"{name} {list(tensor.shape)} does not broadcast to [..., {n_rows}, {n_neurons}]")

    def stacked(tensor: Tensor, *shape: int) -> Tensor:
        """Leading dimensions as one: [P, ...]."""
        return tensor.expand(*lead, *shape).reshape(math.prod(lead), *shape)

    spikes: Tensor = _FirstSpike.apply(  # type: ignore[no-untyped-call]
        stacked(times, n_rows, n_inputs),
        stacked(weight, n_inputs, n_neurons),
        stacked(theta, theta.shape[-2], n_neurons),
        *_slow_and_fast(*(stacked(tensor, *tensor.shape[-2:]) for tensor in constants)),
        gradient_limit,
    )
    return spikes.reshape(*lead, n_rows, n_neurons)


def _check(times: Tensor, weight: Tensor, neuron: Neuron) -> None:
    if times.dtype not in (torch.float32, torch.float64) or weight.dtype != times.dtype:
        raise TypeError(f"times {times.dtype}, weight {weight.dtype}: both are float32 or both float64")
    if times.ndim < 2 or weight.ndim < 2 or times.shape[-1] != weight.shape[-2]:
        raise ValueError(f"times {list(times.shape)}, weight {list(weight.shape)}: wanted [..., B, N] and [..., N, M]")
    if not bool(torch.isfinite(weight.detach()).all()):
        raise ValueError(f"weight {_worst(weight.detach(), ~torch.isfinite(weight.detach()))}: all weights are finite")
    for name in ("tau_mem", "tau_syn"):
        value = getattr(neuron, name)
        if isinstance(value, Tensor) and value.ndim >= 2 and value.shape[-2] != 1:
            raise ValueError(f"{name} {list(value.shape)}: a time constant is the same for all samples, [..., 1, M]")


def _worst(value: Tensor, wrong: Tensor) -> float:
    return float(value.reshape(-1)[wrong.reshape(-1)][0])


def _at_least_2d(value: Value, dtype: torch.dtype) -> Tensor:
    tensor = torch.as_tensor(value, dtype=dtype)
    return tensor.reshape((1,) * (2 - tensor.ndim) + tensor.shape) if tensor.ndim < 2 else tensor


def _slow_and_fast(tau_mem: Tensor, tau_syn: Tensor) -> tuple[Tensor, Tensor]:
    """The larger and the smaller of the two: the response of a neuron is symmetric in them. [P, 1, M or 1]."""
    return torch.maximum(tau_mem, tau_syn), torch.minimum(tau_mem, tau_syn)


class _FirstSpike(torch.autograd.Function):
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
            results[1] = torch.from_numpy(_unpack(backward.by_weight(ctx.limit), n_neurons))
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

    padded = np.zeros((n_networks, n_inputs, width), weight.numpy().dtype)
    padded[..., :n_neurons] = weight.numpy()
    blocks = np.ascontiguousarray(padded.reshape(n_networks, n_inputs, n_blocks, LANES).swapaxes(1, 2))
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


def _unpack(blocks: Any, n_neurons: int) -> Any:
    """[P, K, N, L] -> [P, N, M]."""
    n_networks, n_blocks, n_inputs, lanes = blocks.shape
    return np.ascontiguousarray(blocks.swapaxes(1, 2).reshape(n_networks, n_inputs, n_blocks * lanes)[..., :n_neurons])


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
