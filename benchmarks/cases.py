"""The workloads of benchmarks/solver.py, their exact spikes, and the comparison of an answer with them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ttfsrun.neuron import Neuron, first_spike
from ttfsrun.neuron.reference import first_spike_of_one, psp

TOLERANCE = 1e-4  # a spike whose error is larger than this, times max(1, T), is off
GRAZING = 1e-5  # relative change of the threshold that a sound spike survives
REFERENCE_TOLERANCE = 1e-12
REFERENCE_NEURONS = 300  # of each workload, compared one by one with the plain reference ...
REFERENCE_EVENTS = 60_000_000  # ... or fewer, as its time grows with the square of the inputs


@dataclass(frozen=True)
class Workload:
    """Shapes B, N, M; the share of inputs that spike, at times uniform in [0.15, 2]; normal weights for tau ratio 1."""

    rows: int
    inputs: int
    neurons: int
    spiking: float
    mean: float
    std: float


WORKLOADS = {
    "a": Workload(150, 5, 120, 1.0, 1.0, 0.8),
    "b": Workload(50, 256, 128, 0.35, 0.08, 0.4),
    "c": Workload(80, 784, 350, 1.0, 0.01, 0.2),
    "d": Workload(1000, 256, 246, 0.35, 0.08, 0.4),
}


@dataclass(frozen=True)
class Case:
    """times [B, N], weight [N, M] in float32; the neurons, in numbers or in tensors [1, M]; delays as `first_spike`."""

    name: str
    times: Tensor
    weight: Tensor
    neuron: Neuron
    delays: Tensor | None = None

    @cached_property
    def exact_delays(self) -> Tensor | None:
        """The delays in float64."""
        return None if self.delays is None else self.delays.double()

    @cached_property
    def truth(self) -> Tensor:
        """Spike times [B, M] in float64."""
        return first_spike(self.times.double(), self.weight.double(), self.neuron, self.exact_delays)

    @cached_property
    def fires(self) -> Tensor:
        return self.truth.isfinite()

    @cached_property
    def grazing(self) -> Tensor:
        """Mask of spikes that a threshold changed by GRAZING makes, unmakes, or moves by more than TOLERANCE."""
        low, high = (
            first_spike(self.times.double(), self.weight.double(), neuron, self.exact_delays)
            for neuron in (
                replace(self.neuron, v_th=self.neuron.v_th * factor) for factor in (1 - GRAZING, 1 + GRAZING)
            )
        )
        moved = (high - low > TOLERANCE * low.clamp(min=1)) & high.isfinite()
        return (low.isfinite() != high.isfinite()) | moved

    @cached_property
    def window(self) -> float:
        """A little more than the latest exact spike: the shortest time that a simulation on a grid must cover."""
        return 1.02 * float(self.truth[self.fires].max())

    @cached_property
    def gradient(self) -> Tensor:
        """Gradient with respect to the spike times [B, M] of the sum of the finite ones divided by B."""
        return self.fires.float() / len(self.times)

    @cached_property
    def weight_gradient(self) -> Tensor:
        """Exact gradient with respect to the weights [N, M], in float64."""
        weight = self.weight.double().requires_grad_()
        spikes = first_spike(self.times.double(), weight, self.neuron, self.exact_delays)
        return torch.autograd.grad(spikes, weight, self.gradient.double())[0]


def build(name: str, tau_syn: float = 1.0) -> Case:
    """Return a workload with tau_mem = v_th = 1, v_leak = 0, the same numbers in every process.

    For another tau_syn, the weights let an input raise the membrane as high as for tau_syn = 1.
    """
    workload = WORKLOADS[name]
    random = torch.Generator().manual_seed(ord(name))
    times = 0.15 + 1.85 * torch.rand(workload.rows, workload.inputs, generator=random)
    times[torch.rand(times.shape, generator=random) >= workload.spiking] = math.inf
    weight = workload.mean + workload.std * torch.randn(workload.inputs, workload.neurons, generator=random)
    return Case(name, times, weight * (_peak(1.0) / _peak(tau_syn)), Neuron(tau_syn=tau_syn))


def heterogeneous(case: Case) -> Case:
    """Return the case with different time constants (log-normal, mean 1, cv 0.2), v_th and v_leak for each neuron."""
    random = torch.Generator().manual_seed(0)
    sigma = math.sqrt(math.log(1 + 0.2**2))
    tau_mem, tau_syn, v_th, v_leak = torch.randn(4, 1, case.weight.shape[1], generator=random)
    tau_mem, tau_syn = (torch.exp(sigma * tau - sigma**2 / 2) for tau in (tau_mem, tau_syn))
    return replace(case, neuron=Neuron(tau_mem, tau_syn, 1 + 0.05 * v_th, 0.05 * v_leak))


def delayed(case: Case) -> dict[str, Case]:
    """Return the case with axonal and with synaptic delays, uniform in [0, 1]."""
    random = torch.Generator().manual_seed(0)
    synaptic = torch.rand(case.weight.shape, generator=random)
    return {"axonal": replace(case, delays=synaptic[:, :1]), "synaptic": replace(case, delays=synaptic)}


def _peak(tau_syn: float) -> float:
    """Return the highest membrane potential after one input of unit weight, tau_mem = 1."""
    delay = 1.0 if tau_syn == 1 else tau_syn / (1 - tau_syn) * -math.log(tau_syn)
    return psp(delay, 1.0, tau_syn)


@dataclass(frozen=True)
class Verdict:
    """Counts of spikes that are missed, invented, or off by more than TOLERANCE; grazing: how many of these graze.

    largest: |dT| over all spikes that both have. gradient_error: distance from the true gradient by the weights,
    relative to its length; nan if any entry is.
    """

    missed: int
    invented: int
    off: int
    grazing: int
    largest: float
    gradient_error: float


def judge(case: Case, spikes: Tensor, weight_gradient: Tensor) -> Verdict:
    """spikes [B, M], inf for none; weight_gradient [N, M]."""
    fired = spikes.isfinite()
    missed, invented = case.fires & ~fired, ~case.fires & fired
    both = case.fires & fired
    distance = (spikes.double() - case.truth).abs().where(both, 0)
    off = both & (distance > TOLERANCE * case.truth.clamp(min=1))
    wrong = missed | invented | off
    error = (weight_gradient.double() - case.weight_gradient).norm() / case.weight_gradient.norm()
    counts = (int(mask.sum()) for mask in (missed, invented, off, wrong & case.grazing))
    return Verdict(*counts, largest=float(distance.max()), gradient_error=float(error))


def check_truth(case: Case) -> tuple[int, float]:
    """Compare the truth with `ttfsrun.neuron.reference` on random neurons; return their number, and the largest |dT|.

    The judge is one of the accused; the reference shares nothing with it but the equations of the model.
    """
    neuron = case.neuron
    parameters = (neuron.tau_mem, neuron.tau_syn, torch.as_tensor(neuron.v_th - neuron.v_leak))
    constants = torch.stack([torch.as_tensor(each).double().expand(1, case.weight.shape[1])[0] for each in parameters])
    count = min(REFERENCE_NEURONS, REFERENCE_EVENTS // int(case.times.isfinite().sum(1).max()) ** 2)
    chosen = torch.randperm(case.truth.numel(), generator=torch.Generator().manual_seed(0))[:count]
    largest = 0.0
    for index in chosen.tolist():
        row, column = divmod(index, case.truth.shape[1])
        times, weights = case.times[row].double().tolist(), case.weight[:, column].double().tolist()
        expected = first_spike_of_one(times, weights, *constants[:, column].tolist())
        found = float(case.truth[row, column])
        distance = 0.0 if found == expected else abs(found - expected)
        if not distance <= REFERENCE_TOLERANCE:
            raise AssertionError(f"({case.name}) row {row}, neuron {column}: {found!r}, the reference has {expected!r}")
        largest = max(largest, distance)
    return count, largest
