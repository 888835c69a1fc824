"""The solvers that benchmarks/solver.py runs side by side, each set up to compute exactly the same neurons.

ttfsrun          `first_spike`
dense, scipy     `dense.py`: all causal sets at once, Lambert W from scipy.special
dense, Halley    the same with Lambert W as a vectorised iteration in torch
exact-snn-nn     `exact_snn.event.ExactEventLinear`. It has no closed form for tau_mem = tau_syn and falls back
                 to the library's grid of 2001 points, refined by bisection and Newton's iteration. It needs a window,
                 scales its response to one input to 1 (e instead of 1 at its peak for equal constants), takes inf for
                 a silent input, and adds a bias spike at time 0, whose weight is 0 here. It cannot give each neuron
                 its own constants. The largest workload is computed in slices of samples, as its grid would take
                 more than 10 GB at once.
exact-snn-nn, event        its closed form between events, which needs unequal time constants: tau_syn = tau_mem / 2,
                           compared with the row of ttfsrun for the same neuron
snntorch         `snntorch.Synaptic` with 100 time steps over the shortest window that holds all true spikes.
                 alpha = beta = exp(-dt) and inputs scaled by dt exp(-dt) make the membrane after step n the exact
                 one at (n + 1) dt for inputs on the grid; inputs go to the nearest step, and the spike to the middle of
                 its step. All steps' inputs come from one matrix product. No reset, as only the first spike counts.
                 Surrogate gradient (arctan), and the library's own first spike of a neuron,
                 `functional.loss.SpikeTime.FirstSpike`, with -1 as its derivative. No gradient by the input times.
snntorch, vectorised       the same with our own first spike, as the library's loops over samples and neurons in Python
matmul           torch.matmul of the same shape: the floor, not a solver
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from cases import Case
from dense import Branch, DenseFirstSpike, branch_by_halley, branch_by_scipy
from torch import Tensor

from ttfsrun.neuron import first_spike, set_threads

STEPS = 100
GRID = 2001  # points of exact-snn-nn's grid
GRID_AT_ONCE = 1 << 27  # entries of one of its tensors [N, B, GRID]


def identity(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Prepared:
    """A solver with its inputs in the layout that it needs: `run` and its gradient with respect to `leaves` are timed.

    leaves: the weights, and the input times where the solver has that gradient.
    spikes, weight_gradient: from the solver's layout and units to [B, M] and [N, M]; entry: the inverse.
    """

    run: Callable[[], Tensor]
    leaves: tuple[Tensor, ...]
    spikes: Callable[[Tensor], Tensor] = identity
    entry: Callable[[Tensor], Tensor] = identity
    weight_gradient: Callable[[Tensor], Tensor] = identity


@dataclass(frozen=True)
class Method:
    """prepare(case, with gradient?); package: the module that must be importable, and the package that has it."""

    prepare: Callable[[Case, bool], Prepared]
    tau_syn: float = 1.0
    package: tuple[str, str] | None = None
    by_times: bool = True
    is_peer: bool = True
    backward: bool = True
    torch_threads: bool = True

    @property
    def installed(self) -> bool:
        return self.package is None or find_spec(self.package[0]) is not None

    def use_threads(self, threads: int) -> None:
        """The solver's own number of threads; torch has 1 while ttfsrun runs, as its waiting threads take cores."""
        torch.set_num_threads(threads if self.torch_threads else 1)
        set_threads(1 if self.torch_threads else threads)


def leaves_of(case: Case, gradient: bool) -> tuple[Tensor, Tensor]:
    return case.weight.clone().requires_grad_(gradient), case.times.clone().requires_grad_(gradient)


def ttfsrun(case: Case, gradient: bool) -> Prepared:
    weight, times = leaves_of(case, gradient)
    neuron, delays = case.neuron, case.delays
    if delays is None:
        return Prepared(lambda: first_spike(times, weight, neuron), (weight, times))
    delays = delays.clone().requires_grad_(gradient)
    return Prepared(lambda: first_spike(times, weight, neuron, delays), (weight, times, delays))


def dense(branch: Branch) -> Callable[[Case, bool], Prepared]:
    def prepare(case: Case, gradient: bool) -> Prepared:
        weight, times = leaves_of(case, gradient)
        return Prepared(lambda: DenseFirstSpike.apply(times, weight, 1.0, branch), (weight, times))

    return prepare


def matmul(case: Case, gradient: bool) -> Prepared:
    weight, times = leaves_of(case, gradient)
    return Prepared(lambda: torch.matmul(times, weight), (weight, times))


def exact_snn(case: Case, gradient: bool) -> Prepared:
    from exact_snn.event import ExactEventLinear

    rows, inputs = case.times.shape
    tau_syn = case.neuron.tau_syn
    layer = ExactEventLinear(inputs, case.weight.shape[1], tm=1.0, ts=tau_syn, t_max=case.window)
    unit = 1 / math.e if tau_syn == 1 else tau_syn * layer.k_peak
    with torch.no_grad():
        layer.weight[:, :-1] = case.weight.T * unit
        layer.weight[:, -1] = 0
    layer.weight.requires_grad_(gradient)
    times = case.times.T.contiguous().requires_grad_(gradient)
    at_once = min(rows, GRID_AT_ONCE // (GRID * inputs))

    def run() -> Tensor:
        if at_once == rows:
            return layer(times)
        return torch.cat([layer(part) for part in times.split(at_once, 1)], 1)

    transposed = torch.t
    return Prepared(run, (layer.weight, times), transposed, transposed, lambda found: found[:, :-1].T * unit)


class FirstStep(torch.autograd.Function):
    """Spikes [steps, B, M], 0 or 1 -> first step with a spike, inf if there is none; its gradient is -1 there."""

    @staticmethod
    def forward(ctx: Any, spikes: Tensor) -> Tensor:
        highest, step = spikes.max(0)
        ctx.save_for_backward(step)
        ctx.shape = spikes.shape
        return step.float().masked_fill_(highest == 0, math.inf)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (step,) = ctx.saved_tensors
        return gradient.new_zeros(ctx.shape).scatter_(0, step[None], -gradient[None])


def library_first_step(spikes: Tensor) -> Tensor:
    """The same by snntorch, which takes the last step for no spike."""
    from snntorch.functional.loss import SpikeTime

    step: Tensor = SpikeTime.FirstSpike.apply(spikes, "cpu")
    return step.masked_fill(~spikes.any(0), math.inf)


def snntorch(first_step: Callable[[Tensor], Tensor]) -> Callable[[Case, bool], Prepared]:
    def prepare(case: Case, gradient: bool) -> Prepared:
        weight = case.weight.clone().requires_grad_(gradient)
        return Prepared(lambda: simulate(case, weight, first_step), (weight,))

    return prepare


def simulate(case: Case, weight: Tensor, first_step: Callable[[Tensor], Tensor]) -> Tensor:
    """Spike times [B, M] of snntorch's neurons."""
    from snntorch import Synaptic

    times = case.times
    width = case.window / STEPS
    decay = math.exp(-width)
    neuron = Synaptic(alpha=decay, beta=decay, threshold=1.0, reset_mechanism="none")
    nearest = (times / width).round()
    raster = times.new_zeros(STEPS + 1, *times.shape)  # the last plane takes the times beyond the window
    raster.scatter_(0, nearest.clamp(max=STEPS).long()[None], width * decay)
    drive = raster[:STEPS] @ weight
    synapse = membrane = torch.zeros_like(drive[0])
    spikes = []
    for step in drive.unbind(0):
        spike, synapse, membrane = neuron(step, synapse, membrane)
        spikes.append(spike)
    return (first_step(torch.stack(spikes)) + 0.5) * width


EXACT_SNN, SNNTORCH = ("exact_snn", "exact-snn-nn"), ("snntorch", "snntorch")
OURS, OURS_HALF = "ttfsrun", "ttfsrun, tau_syn 1/2"

METHODS = {
    OURS: Method(ttfsrun, is_peer=False, torch_threads=False),
    "dense, Halley": Method(dense(branch_by_halley)),
    "dense, scipy": Method(dense(branch_by_scipy), package=("scipy", "scipy")),
    "snntorch": Method(snntorch(library_first_step), package=SNNTORCH, by_times=False),
    "snntorch, vectorised": Method(snntorch(FirstStep.apply), package=SNNTORCH, by_times=False),
    "exact-snn-nn": Method(exact_snn, package=EXACT_SNN),
    "matmul": Method(matmul, is_peer=False, backward=False),
    OURS_HALF: Method(ttfsrun, tau_syn=0.5, is_peer=False, torch_threads=False),
    "exact-snn-nn, event, tau_syn 1/2": Method(exact_snn, tau_syn=0.5, package=EXACT_SNN),
}


def rival_of(name: str) -> str:
    """The row of ttfsrun for the same neuron."""
    return OURS if METHODS[name].tau_syn == 1 else OURS_HALF
