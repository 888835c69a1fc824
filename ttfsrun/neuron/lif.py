"""`first_spike`: from input spike times to first spike times, differentiable. `observed_spike`: the same derivatives
at spike times that were measured elsewhere.

The membrane (time in units of tau_syn nominal, capacitance 1, U = V - v_leak)

    dI/dt = -I / tau_syn + sum_i w_i delta(t - t_i)        dU/dt = -U / tau_mem + I

starts at rest; the spike is its first upward crossing of v_th (Goeltz, Kriener et al. 2021, arXiv 1912.11443).
By the implicit function theorem, with k the membrane's response to one input (`reference.psp`),

    dT/dw_i = -k(T - t_i) / V'(T)      dT/dt_i = w_i k'(T - t_i) / V'(T)      dT/dv_th = -dT/dv_leak = 1 / V'(T)
    dT/dtau = -sum_i w_i (dk/dtau)(T - t_i) / V'(T)

for the causal inputs, and 0 for all others and wherever there is no spike. Nothing in these formulas asks why the
neuron spiked at T: at an observed spike they are the derivatives of a neuron whose threshold is what its membrane
has there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ttfsrun.neuron.function import FirstSpike

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
            value = torch.as_tensor(getattr(self, name), dtype=torch.float64).detach().numpy()
            finite = np.isfinite(value)
            if not finite.all():
                raise ValueError(f"{name}={value[~finite][0]}: a neuron's parameters are finite")
            if name.startswith("tau") and not (value > 0).all():
                raise ValueError(f"{name}={value[value <= 0][0]}: a time constant is positive")


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
    return _spikes(times, weight, neuron, gradient_limit)


def observed_spike(
    times: Tensor, weight: Tensor, neuron: Neuron, observed: Tensor, *, gradient_limit: float = math.inf
) -> Tensor:
    """Spike times that were measured elsewhere, with the derivatives that this neuron has there.

    For training in the loop with an analog chip, whose true parameters nobody knows: the chip's times, the
    nominal neuron's derivatives. They are those of a neuron whose threshold is whatever the membrane has at the
    observed time, which is seldom v_th: the latter has a derivative, but its value does not matter.
    observed: [..., B, M], of the type of `times`; inf for no spike, > -inf. The inputs before it are the causal ones.
    Returns `observed` with the leading dimensions of all. There is no derivative by `observed`, nor by anything
    where it is inf, where no input comes before it, and where the membrane does not rise there (V'(T) <= 0; in
    floats, below 1e-31 for float32, 1e-292 for float64).
    The rest is as for `first_spike`. A membrane that hardly rises, with huge derivatives, is more frequent here.
    """
    return _spikes(times, weight, neuron, gradient_limit, observed)


def _spikes(
    times: Tensor, weight: Tensor, neuron: Neuron, gradient_limit: float, observed: Tensor | None = None
) -> Tensor:
    """The first spikes, or the observed ones if they are given."""
    _check(times, weight)
    if observed is not None:
        _check_observed(observed, times, weight)
    if not gradient_limit >= 0:
        raise ValueError(f"gradient_limit={gradient_limit}: it is at least 0")
    theta = _at_least_2d(neuron.v_th - neuron.v_leak)
    constants = [_at_least_2d(neuron.tau_mem), _at_least_2d(neuron.tau_syn)]
    (n_rows, n_inputs), n_neurons = times.shape[-2:], weight.shape[-1]
    for name, tensor, rows in zip(
        ("v_th - v_leak", "tau_mem", "tau_syn"), (theta, *constants), (n_rows, 1, 1), strict=True
    ):
        if tensor.shape[-2] not in (1, rows) or tensor.shape[-1] not in (1, n_neurons):
            reason = "; a time constant is the same for all samples" if name.startswith("tau") else ""
            raise ValueError(f"{name} {list(tensor.shape)} does not broadcast to [..., {rows}, {n_neurons}]{reason}")
    measured = {} if observed is None else {"observed": observed}
    lead = _leading(
        times=times, weight=weight, v_th_and_v_leak=theta, tau_mem=constants[0], tau_syn=constants[1], **measured
    )

    def stacked(tensor: Tensor, *shape: int) -> Tensor:
        """Leading dimensions as one: [P, ...]."""
        return tensor.expand(*lead, *shape).reshape(math.prod(lead), *shape)

    spikes: Tensor = FirstSpike.apply(  # type: ignore[no-untyped-call]
        stacked(times, n_rows, n_inputs),
        stacked(weight, n_inputs, n_neurons),
        stacked(theta, theta.shape[-2], n_neurons),
        *_slow_and_fast(*(stacked(tensor, *tensor.shape[-2:]) for tensor in constants)),
        float(gradient_limit),
        None if observed is None else stacked(observed, n_rows, n_neurons),
    )
    return spikes.reshape(*lead, n_rows, n_neurons)


def _check(times: Tensor, weight: Tensor) -> None:
    if times.dtype not in (torch.float32, torch.float64) or weight.dtype != times.dtype:
        raise TypeError(f"times {times.dtype}, weight {weight.dtype}: both are float32 or both float64")
    if times.ndim < 2 or weight.ndim < 2 or times.shape[-1] != weight.shape[-2]:
        raise ValueError(f"times {list(times.shape)}, weight {list(weight.shape)}: wanted [..., B, N] and [..., N, M]")


def _check_observed(observed: Tensor, times: Tensor, weight: Tensor) -> None:
    if observed.dtype != times.dtype:
        raise TypeError(f"observed {observed.dtype}, times {times.dtype}: both are float32 or both float64")
    if observed.shape[-2:] != (times.shape[-2], weight.shape[-1]):
        raise ValueError(f"observed {list(observed.shape)}: wanted [..., {times.shape[-2]}, {weight.shape[-1]}]")
    valid = observed.detach() > -math.inf
    if not bool(valid.all()):
        raise ValueError(f"observed {_worst(observed.detach(), ~valid)}: a spike time is > -inf; inf means no spike")


def _leading(**tensors: Tensor) -> tuple[int, ...]:
    """The leading dimensions, broadcast: those of the networks."""
    try:
        return np.broadcast_shapes(*(tensor.shape[:-2] for tensor in tensors.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
        raise ValueError(f"the dimensions of the networks do not broadcast: {shapes}") from None


def _worst(value: Tensor, wrong: Tensor) -> float:
    return float(value.reshape(-1)[wrong.reshape(-1)][0])


def _at_least_2d(value: Value) -> Tensor:
    """A parameter as it was given, in float64."""
    tensor = torch.as_tensor(value, dtype=torch.float64)
    return tensor.reshape((1,) * (2 - tensor.ndim) + tensor.shape) if tensor.ndim < 2 else tensor


def _slow_and_fast(tau_mem: Tensor, tau_syn: Tensor) -> tuple[Tensor, Tensor]:
    """The larger and the smaller of the two: the response of a neuron is symmetric in them. [P, 1, M or 1]."""
    return torch.maximum(tau_mem, tau_syn), torch.minimum(tau_mem, tau_syn)
