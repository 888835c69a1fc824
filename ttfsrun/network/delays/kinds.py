"""Where the delays of a layer act: an event of source i reaches neuron j at t_i + d_ij.

Shapes: P networks, B samples; a layer of M neurons has N input lines from S sources. The lines of one source share
its delays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from torch import Tensor

from ttfsrun.network.delays.input_lines import InputLines
from ttfsrun.neuron.backward_pass import BackwardPass
from ttfsrun.neuron.parameters import sum_in_pairs
from ttfsrun.substrate.emulation import Operation
from ttfsrun.substrate.perturbed import Perturbed


class SolverGradients(NamedTuple):
    """Gradients by the arguments of the solver."""

    weight: Tensor  # [P, N, M]
    times: Tensor | None  # [P, B, N]: by the times that arrive; None where nobody asked
    delays: Tensor | None = None  # [P, N, M]: by the delays that it adds; None without any


class NoDelays:
    """A layer without delays, and what those with delays do as it does."""

    def on_substrate(self, layer: int, operation: Operation, n_samples: int) -> NoDelays:
        """Return the delays as they are on the networks' substrates; layer: its number."""
        return self

    def arriving(self, times: Tensor) -> Tensor:
        """Return the times [P, B, N] of the events at the synapses, apart from delays that the solver adds."""
        return times

    def in_solver(self) -> Tensor | None:
        """Return the delays [P, N, M] that the solver adds; None for none."""
        return None

    def leaving(self, crossings: Tensor) -> Tensor:
        """Return the spikes [P, B, M] of neurons whose membranes cross their thresholds at these times."""
        return crossings

    def crossings(self, spikes: Tensor) -> Tensor:
        """Return when the membranes of neurons with these spikes [P, B, M] crossed their thresholds."""
        return spikes

    def solver_gradients(self, backward: BackwardPass, limit: float, with_times: bool) -> SolverGradients:
        """Return the gradients by the arguments of the solver; limit: the `gradient_limit` of `first_spike`."""
        if not with_times:
            return SolverGradients(backward.by_weight(limit), None)
        return SolverGradients(*backward.by_weight_and_times(limit))

    def gradient(self, by_spikes: Tensor, by_arguments: SolverGradients, limit: float) -> Tensor | None:
        """Return the gradient by theta, shaped like it; None where there are no delays.

        by_spikes [P, B, M]: the gradient by the spikes. limit: see `limited_sum`.
        """
        return None


@dataclass(frozen=True)
class LayerDelays(NoDelays):
    """Delays of a layer: each in tau_syn, and its derivative by theta, [P, S or 1, M or 1].

    on_chip: what the substrate did to `nominal`; None: nothing.
    """

    values: Tensor
    slopes: Tensor
    lines: InputLines
    on_chip: Perturbed | None = None

    @property
    def nominal(self) -> Tensor:
        """The delays without imperfections: [P, 1, S] of sources, [P, 1, M] of neurons or [P, S, M]."""
        return self.values

    @property
    def acting(self) -> Tensor:
        """The delays that act, shaped like `nominal`; or those of each sample, [P, B, S or M]."""
        return self.nominal if self.on_chip is None else self.on_chip.value

    def on_substrate(self, layer: int, operation: Operation, n_samples: int) -> LayerDelays:
        return replace(self, on_chip=operation.delays(layer, self.nominal, self._drawn(n_samples)))

    def _drawn(self, n_samples: int) -> Sequence[int]:
        """Return the shape of one network's delays where each sample has its own."""
        return n_samples, self.nominal.shape[-1]

    def _by_nominal(self, by_acting: Tensor) -> Tensor:
        """Return the gradient by the nominal delays, still with a row for each sample, from that by the acting ones."""
        return by_acting if self.on_chip is None else self.on_chip.backward(by_acting)

    def _by_theta(self, by_delays: Tensor) -> Tensor:
        return (by_delays * self.slopes).contiguous()


class Axonal(LayerDelays):
    """A delay for each source, [P, S, 1]."""

    @property
    def nominal(self) -> Tensor:
        return self.values.mT

    def arriving(self, times: Tensor) -> Tensor:
        return times + self.lines.spread(self.acting.mT).mT

    def solver_gradients(self, backward: BackwardPass, limit: float, with_times: bool) -> SolverGradients:
        return super().solver_gradients(backward, limit, with_times=True)

    def gradient(self, by_spikes: Tensor, by_arguments: SolverGradients, limit: float) -> Tensor:
        assert by_arguments.times is not None
        by_sources = self.lines.gather(by_arguments.times.mT).mT
        return self._by_theta(limited_sum(self._by_nominal(by_sources), limit).mT)


class Dendritic(LayerDelays):
    """A delay for each neuron, [P, 1, M]: where all its inputs are late, its spike is."""

    def leaving(self, crossings: Tensor) -> Tensor:
        return crossings + self.acting

    def crossings(self, spikes: Tensor) -> Tensor:
        return spikes - self.acting

    def gradient(self, by_spikes: Tensor, by_arguments: SolverGradients, limit: float) -> Tensor:
        return self._by_theta(limited_sum(self._by_nominal(by_spikes), limit))


class Synaptic(LayerDelays):
    """A delay for each source and neuron, [P, S, M]."""

    def in_solver(self) -> Tensor:
        return self.lines.spread(self.acting)

    def solver_gradients(self, backward: BackwardPass, limit: float, with_times: bool) -> SolverGradients:
        by_weight, by_delays = backward.by_weight_and_delays(limit)
        return SolverGradients(by_weight, backward.by_times() if with_times else None, by_delays)

    def gradient(self, by_spikes: Tensor, by_arguments: SolverGradients, limit: float) -> Tensor:
        assert by_arguments.delays is not None
        return self._by_theta(self._by_nominal(self.lines.gather(by_arguments.delays)))

    def _drawn(self, n_samples: int) -> Sequence[int]:
        return self.nominal.shape[1:]


KINDS: Mapping[str, type[LayerDelays]] = {"axonal": Axonal, "dendritic": Dendritic, "synaptic": Synaptic}


def limited_sum(values: Tensor, limit: float) -> Tensor:
    """Return the sums [P, 1, K] over the samples of gradients [P, B, K] by delays.

    The limit on the gradients by the weights holds for delays, too: what one sample adds to the gradient by the delay
    of a source or of a neuron is dropped where it is larger. Synaptic delays need no such rule: `first_spike` drops
    what a sample adds to the gradient by them wherever it drops it for the weights of the neuron.
    """
    kept = values.masked_fill(values.abs() > limit, 0)
    return sum_in_pairs(kept.double(), 1).to(values.dtype)
