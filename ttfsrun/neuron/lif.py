"""First spike times of a layer of neurons (`first_spike`), and the derivatives at observed ones (`observed_spike`).

The membrane (time in units of tau_syn nominal, capacitance 1, U = V - v_leak)

    dI/dt = -I / tau_syn + sum_i w_i delta(t - t_i)        dU/dt = -U / tau_mem + I

starts at rest; the spike is its first upward crossing of v_th (Goeltz, Kriener et al. 2021, arXiv 1912.11443).
By the implicit function theorem, with k the membrane's response to one input (`reference.psp`),

    dT/dw_i = -k(T - t_i) / V'(T)      dT/dt_i = w_i k'(T - t_i) / V'(T)      dT/dv_th = -dT/dv_leak = 1 / V'(T)
    dT/dtau = -sum_i w_i (dk/dtau)(T - t_i) / V'(T)

for the causal inputs; they are 0 for all others, and where there is no spike. These formulas do not depend on why the
neuron spiked at T: at an observed spike they are the derivatives of a neuron whose threshold is the value that its
membrane has there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ttfsrun.neuron.device import DEVICES, device_of
from ttfsrun.neuron.function import FirstSpike
from ttfsrun.neuron.parameters import INVALID_TIME, Parameters

Value = float | Tensor


@dataclass(frozen=True)
class Neuron:
    """Parameters of leaky integrate-and-fire neurons, each a number or a tensor.

    tau_mem, tau_syn: time constants of membrane and synapse, > 0, in the unit of the spike times; tensors must
        broadcast to [..., 1, M].
    v_th, v_leak: threshold and leak potential; tensors must broadcast to [..., B, M]. A neuron with v_leak >= v_th
        spikes without input, at time 0, the start of the observation.

    Raises ValueError if a parameter is not finite or a time constant is not positive.
    """

    tau_mem: Value = 1.0
    tau_syn: Value = 1.0
    v_th: Value = 1.0
    v_leak: Value = 0.0

    def __post_init__(self) -> None:
        for name in ("tau_mem", "tau_syn", "v_th", "v_leak"):
            value = torch.as_tensor(getattr(self, name), dtype=torch.float64).detach().cpu().numpy()
            finite = np.isfinite(value)
            if not finite.all():
                raise ValueError(f"{name}={value[~finite][0]}: a neuron's parameters must be finite")
            if name.startswith("tau") and not (value > 0).all():
                raise ValueError(f"{name}={value[value <= 0][0]}: a time constant must be positive")

    @classmethod
    def trusted(cls, **parameters: Value) -> Neuron:
        """Return neurons whose parameters are known to be valid: checking those on a GPU would wait for it."""
        neuron = object.__new__(cls)
        for name, value in parameters.items():
            object.__setattr__(neuron, name, value)
        return neuron

    def parameters(self, n_networks: int) -> Parameters:
        """Return the parameters of the neurons of one layer of P networks, as the solver takes them."""
        theta = _at_least_2d(self.v_th - self.v_leak)
        slow, fast = _slow_and_fast(_at_least_2d(self.tau_mem), _at_least_2d(self.tau_syn))
        return Parameters(*(each.expand(n_networks, *each.shape[-2:]) for each in (theta, slow, fast)))


def first_spike(
    times: Tensor, weight: Tensor, neuron: Neuron, delays: Tensor | None = None, *, gradient_limit: float = math.inf
) -> Tensor:
    """Return the time of each neuron's first spike, [..., B, M]; inf for no spike.

    times: input spike times [..., B, N] in any order, inf for no spike; float32 or float64.
    weight: [..., N, M], finite, of the same type as `times`. A unit weight raises the synaptic current by 1.
    neuron: parameters, which must broadcast as described in `Neuron`.
    delays: transmission delays, finite and >= 0, of the same type as `times`: input i reaches neuron j at t_i + d_ij.
        Axonal ones, [..., N, 1], belong to the inputs, dendritic ones, [..., 1, M], to the neurons, synaptic ones,
        [..., N, M], to pairs. Axonal delays are added to the times, and dendritic ones to the spikes, also to those of
        neurons that spike without input. Synaptic ones take a few times as long as none: each neuron has its own order
        of arrival.
    gradient_limit: in the backward pass, the contribution of one sample to the gradient by one neuron's weights is
        dropped if its largest entry exceeds this limit (V'(T) is near 0 where a membrane barely reaches its threshold).
        With it goes that to the gradient by the neuron's synaptic delays, which V'(T) divides too.

    Times and time constants have the same unit (in this package, the nominal tau_syn). The result is differentiable
    with respect to times, weight, delays and all four parameters. Leading dimensions are networks; neither other
    networks nor the number of threads (`set_threads`) change a bit of the result. Memory: O(B (N + M) + N M) per
    network.

    Tensors are on the CPU or on one GPU of NVIDIA, which computes the same bits.

    Raises ValueError for times that are NaN or -inf, weights that are not finite, delays that are not or are negative,
    a negative or NaN gradient_limit, shapes that do not fit, and tensors on several devices; TypeError for other data
    types.
    """
    return _spikes(times, weight, neuron, delays, gradient_limit)


def observed_spike(
    times: Tensor,
    weight: Tensor,
    neuron: Neuron,
    observed: Tensor,
    delays: Tensor | None = None,
    *,
    gradient_limit: float = math.inf,
) -> Tensor:
    """Return spike times that were observed elsewhere, with the derivatives that the given neuron has at those times.

    This is for training in the loop with an analog chip whose true parameters are unknown: the spike times are the
    chip's, the derivatives those of the nominal neuron. They are the derivatives of a neuron whose threshold is the
    value of its membrane at the observed time. The value of v_th does not matter, but it has a derivative.

    observed: spike times [..., B, M] of the same type as `times`, inf for no spike. The inputs before a spike time are
        the causal ones. With dendritic delays, these are the spikes as they leave, after the delay.

    The other arguments are those of `first_spike`. Returns `observed`, broadcast to the leading dimensions of all
    arguments. All derivatives are 0 where `observed` is inf, where no input comes before it, and where the membrane
    does not rise (V'(T) <= 0; in floats, below 1e-31 for float32, 1e-292 for float64). There is no derivative by
    `observed`. A membrane that hardly rises, with huge derivatives, is more frequent than for `first_spike`.

    Raises what `first_spike` raises, and ValueError if `observed` is NaN or -inf or does not fit.
    """
    return _spikes(times, weight, neuron, delays, gradient_limit, observed)


def _spikes(
    times: Tensor,
    weight: Tensor,
    neuron: Neuron,
    delays: Tensor | None,
    gradient_limit: float,
    observed: Tensor | None = None,
) -> Tensor:
    """Return the first spikes, or the observed ones if given."""
    _check(times, weight)
    if observed is not None:
        _check_observed(observed, times, weight)
    if not gradient_limit >= 0:
        raise ValueError(f"gradient_limit={gradient_limit}: it must be at least 0")
    if delays is None:
        return _solved(times, weight, neuron, None, gradient_limit, observed)
    delays = delays.reshape((1,) * (2 - delays.ndim) + delays.shape) if delays.ndim < 2 else delays
    _check_delays(delays, times, weight)
    if delays.shape[-1] == 1:  # axonal
        return _solved(times + delays.mT, weight, neuron, None, gradient_limit, observed)
    if delays.shape[-2] != 1:
        return _solved(times, weight, neuron, delays, gradient_limit, observed)
    before = None if observed is None else observed - delays.detach()
    spikes = _solved(times, weight, neuron, None, gradient_limit, before)
    shifted = spikes + delays
    if observed is not None:
        shifted = shifted + (observed - shifted).detach()  # bit for bit
    return torch.where(spikes.isfinite(), shifted, math.inf)


def _solved(
    times: Tensor,
    weight: Tensor,
    neuron: Neuron,
    delays: Tensor | None,
    gradient_limit: float,
    observed: Tensor | None,
) -> Tensor:
    """Return the spikes, with synaptic delays or none."""
    theta, *constants = (
        _at_least_2d(value).to(times.device) for value in (neuron.v_th - neuron.v_leak, neuron.tau_mem, neuron.tau_syn)
    )
    (n_rows, n_inputs), n_neurons = times.shape[-2:], weight.shape[-1]
    for name, tensor, rows in zip(
        ("v_th - v_leak", "tau_mem", "tau_syn"), (theta, *constants), (n_rows, 1, 1), strict=True
    ):
        if tensor.shape[-2] not in (1, rows) or tensor.shape[-1] not in (1, n_neurons):
            reason = "; a time constant must be the same for all samples" if name.startswith("tau") else ""
            raise ValueError(f"{name} {list(tensor.shape)} does not broadcast to [..., {rows}, {n_neurons}]{reason}")
    optional = {name: tensor for name, tensor in (("observed", observed), ("delays", delays)) if tensor is not None}
    lead = _leading(
        times=times, weight=weight, v_th_and_v_leak=theta, tau_mem=constants[0], tau_syn=constants[1], **optional
    )

    def stacked(tensor: Tensor, *shape: int) -> Tensor:
        """Return the tensor with all leading dimensions as one, [P, ...]."""
        return tensor.expand(*lead, *shape).reshape(math.prod(lead), *shape)

    spikes: Tensor = FirstSpike.apply(  # type: ignore[no-untyped-call]
        stacked(times, n_rows, n_inputs),
        stacked(weight, n_inputs, n_neurons),
        stacked(theta, theta.shape[-2], n_neurons),
        *_slow_and_fast(*(stacked(tensor, *tensor.shape[-2:]) for tensor in constants)),
        float(gradient_limit),
        None if observed is None else stacked(observed, n_rows, n_neurons),
        None if delays is None else stacked(delays, n_inputs, n_neurons),
    )
    return spikes.reshape(*lead, n_rows, n_neurons)


def _check(times: Tensor, weight: Tensor) -> None:
    """Raise TypeError or ValueError for types or shapes that do not fit."""
    if times.dtype not in (torch.float32, torch.float64) or weight.dtype != times.dtype:
        raise TypeError(f"times {times.dtype}, weight {weight.dtype}: both must be float32 or both float64")
    if times.ndim < 2 or weight.ndim < 2 or times.shape[-1] != weight.shape[-2]:
        raise ValueError(
            f"times {list(times.shape)}, weight {list(weight.shape)}: expected [..., B, N] and [..., N, M]"
        )
    if times.device != weight.device or times.device.type not in DEVICES:
        kinds = " or ".join(DEVICES)
        raise ValueError(f"times on {times.device}, weight on {weight.device}: both must be on one device, {kinds}")
    if device_of(times).lanes == 1:  # the kernels for vectors check this by themselves
        finite, valid = weight.detach().isfinite(), times.detach() > -math.inf
        if not bool(finite.all()):
            raise ValueError(f"weight {_first_where(~finite, weight.detach())}: all weights must be finite")
        if not bool(valid.all()):
            raise ValueError(INVALID_TIME)


def _check_observed(observed: Tensor, times: Tensor, weight: Tensor) -> None:
    if observed.dtype != times.dtype:
        raise TypeError(f"observed {observed.dtype}, times {times.dtype}: both must be float32 or both float64")
    if observed.shape[-2:] != (times.shape[-2], weight.shape[-1]):
        raise ValueError(f"observed {list(observed.shape)}: expected [..., {times.shape[-2]}, {weight.shape[-1]}]")
    valid = observed.detach() > -math.inf
    if not bool(valid.all()):
        raise ValueError(
            f"observed {_first_where(~valid, observed.detach())}: a spike time must be > -inf; inf means no spike"
        )


def _check_delays(delays: Tensor, times: Tensor, weight: Tensor) -> None:
    if delays.dtype != times.dtype:
        raise TypeError(f"delays {delays.dtype}, times {times.dtype}: both must be float32 or both float64")
    if delays.device != times.device:
        raise ValueError(f"delays on {delays.device}, times on {times.device}: both must be on one device")
    if any(size not in (1, full) for size, full in zip(delays.shape[-2:], weight.shape[-2:], strict=True)):
        raise ValueError(
            f"delays {list(delays.shape)}: expected axonal ones [..., {weight.shape[-2]}, 1], dendritic ones "
            f"[..., 1, {weight.shape[-1]}], or synaptic ones {[..., *weight.shape[-2:]]}".replace("Ellipsis", "...")
        )
    if delays.numel() == 0:
        return
    smallest, largest = map(float, delays.detach().aminmax())
    if not 0 <= smallest <= largest < math.inf:  # of a NaN, both are
        value = largest if smallest >= 0 else smallest
        raise ValueError(f"delays {value}: a delay must be finite and at least 0; clip it")


def _leading(**tensors: Tensor) -> tuple[int, ...]:
    """Return the leading dimensions, those of the networks, broadcast."""
    try:
        return np.broadcast_shapes(*(tensor.shape[:-2] for tensor in tensors.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
        raise ValueError(f"the dimensions of the networks do not broadcast: {shapes}") from None


def _first_where(mask: Tensor, values: Tensor) -> float:
    return float(values.reshape(-1)[mask.reshape(-1)][0])


def _at_least_2d(value: Value) -> Tensor:
    """Return a parameter in float64, with at least two dimensions."""
    tensor = torch.as_tensor(value, dtype=torch.float64)
    return tensor.reshape((1,) * (2 - tensor.ndim) + tensor.shape) if tensor.ndim < 2 else tensor


def _slow_and_fast(tau_mem: Tensor, tau_syn: Tensor) -> tuple[Tensor, Tensor]:
    """Return the larger and the smaller time constant, [P, 1, M or 1]; a neuron's response is symmetric in them."""
    return torch.maximum(tau_mem, tau_syn), torch.minimum(tau_mem, tau_syn)
