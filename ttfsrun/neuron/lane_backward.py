"""The backward pass of a layer on a device whose threads compute one neuron each.

Shapes: P networks of B samples (R = P B rows), N inputs, M neurons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ttfsrun.neuron.device import device_of
from ttfsrun.neuron.kernels.arrivals import DelayedBatch
from ttfsrun.neuron.kernels.events import Batch, Spikes
from ttfsrun.neuron.kernels.gradient import Incoming
from ttfsrun.neuron.kernels.gradient_by_constants import backward_constants
from ttfsrun.neuron.kernels.gradient_by_times import backward_time_parts, backward_time_sums, partial_sums
from ttfsrun.neuron.kernels.gradient_by_weights import GROUP, backward_weight_groups, backward_weight_sums
from ttfsrun.neuron.kernels.gradient_delayed import DelayedIncoming
from ttfsrun.neuron.kernels.gradient_entries import (
    Entries,
    Order,
    backward_entries,
    sum_time_entries,
    sum_weight_entries,
)
from ttfsrun.neuron.kernels.steps import prepare_inputs
from ttfsrun.neuron.parameters import sum_to_shape

ENTRIES = 1 << 26  # entries that are written at once, 4 bytes each: enough to keep a large GPU busy


class Solved(NamedTuple):
    """A layer whose spikes are known; work: of its solution, in synaptic events."""

    batch: Batch | DelayedBatch
    spikes: Spikes  # arrays of the device
    slope: Tensor  # [R, M]: that of `spikes`
    causal: Tensor  # [R, M]: likewise
    ranks: Tensor  # [R, N]: place of each input in the order of time
    work: int


class LaneBackward:
    """What the backward passes with and without delays have in common. gradient [P, B, M]: by the spikes."""

    incoming: Incoming | DelayedIncoming

    def __init__(self, solved: Solved, gradient: Tensor) -> None:
        self.solved, self.gradient = solved, gradient
        self.device = device_of(gradient)
        self.size, self.n_rows, self.n_neurons = gradient.shape
        self.n_inputs = solved.ranks.shape[1]
        self.rows = self.size * self.n_rows
        self.n_groups = -(-self.n_rows // GROUP)
        self.by_spikes = self.device.array(gradient.view(self.rows, self.n_neurons))

    def sum_groups(self, groups: Tensor) -> Tensor:
        """Return the sums over groups [P, G, N or 2 N, M]."""
        out = groups.new_empty((self.size, *groups.shape[2:]))
        array = self.device.array
        self.device.launch(backward_weight_sums, out.numel(), groups.numel(), array(groups), array(out))
        return out

    def by_threshold(self, shape: Sequence[int]) -> Tensor:
        slope, causal = (each.view(self.gradient.shape) for each in (self.solved.slope, self.solved.causal))
        return sum_to_shape((self.gradient / slope).masked_fill(causal == 0, 0), shape)

    def by_constants(self, slow: Sequence[int], fast: Sequence[int]) -> tuple[Tensor, Tensor]:
        by_slow, by_fast = torch.empty_like(self.gradient), torch.empty_like(self.gradient)
        arrays = [self.device.array(each.view(self.rows, -1)) for each in (by_slow, by_fast)]
        items = by_slow.numel()
        self.device.launch(backward_constants, items, self.solved.work, self.solved.batch, self.incoming, *arrays)
        return sum_to_shape(by_slow, slow), sum_to_shape(by_fast, fast)


class PlainBackward(LaneBackward):
    """A `BackwardPass` without delays."""

    def __init__(self, solved: Solved, gradient: Tensor) -> None:
        super().__init__(solved, gradient)
        steps = self.device.array(gradient.new_empty((self.rows, 4, self.n_inputs)))
        self.incoming = Incoming(solved.spikes, self.by_spikes, steps)
        n_entries = self.rows * self.n_inputs
        self.device.launch(prepare_inputs, n_entries, n_entries, solved.batch, steps)

    def by_times(self) -> Tensor:
        times = self._empty_times()
        self._add_up(None, math.inf, times)
        return times

    def by_weight(self, limit: float = math.inf) -> Tensor:
        groups = self._empty_groups()
        self._add_up(groups, limit, None)
        return self.sum_groups(groups)

    def by_weight_and_times(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        groups, times = self._empty_groups(), self._empty_times()
        self._add_up(groups, limit, times)
        return self.sum_groups(groups), times

    def by_delays(self, limit: float = math.inf) -> Tensor:
        raise ValueError("this layer has no delays")

    def by_weight_and_delays(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        raise ValueError("this layer has no delays")

    def _empty_times(self) -> Tensor:
        # Without neurons, no kernel fills it.
        make = self.gradient.new_empty if self.n_neurons else self.gradient.new_zeros
        return make((self.size, self.n_rows, self.n_inputs))

    def _empty_groups(self) -> Tensor:
        return self.gradient.new_empty((self.size, self.n_groups, self.n_inputs, self.n_neurons))

    def _add_up(self, groups: Tensor | None, limit: float, times: Tensor | None) -> None:
        """Fill in the sums of each group by weights, and the gradient by times, as far as they are asked for."""
        batch, launch, array = self.solved.batch, self.device.launch, self.device.array
        of_row, total = self.n_inputs * self.n_neurons, self.size * self.n_groups
        together = max(1, min(total, ENTRIES // max(1, GROUP * of_row)))
        shape = (together * GROUP, self.n_inputs, self.n_neurons)
        wanted = (each is not None for each in (groups, times))
        entries = Entries(*(array(self.gradient.new_empty(shape if each else (0, 0, 0))) for each in wanted))
        order = Order(array(self.solved.ranks), array(self.solved.causal))
        for first in range(0, total, together):
            count = min(together, total - first)
            work = count * GROUP * of_row
            items = count * GROUP * self.n_neurons
            launch(backward_entries, items, work, first, batch, self.incoming, limit, entries)
            if groups is not None:
                items = count * of_row
                launch(sum_weight_entries, items, work, first, batch, order, entries, array(groups))
            if times is not None:
                items = count * GROUP * self.n_inputs if self.n_neurons else 0
                out = array(times.view(self.rows, self.n_inputs))
                launch(sum_time_entries, items, work, first, batch, order, entries, out)


class DelayedBackward(LaneBackward):
    """A `BackwardPass` with delays."""

    def __init__(self, solved: Solved, gradient: Tensor) -> None:
        super().__init__(solved, gradient)
        self.incoming = DelayedIncoming(solved.spikes, self.by_spikes)

    def by_times(self) -> Tensor:
        out = self.gradient.new_empty((self.size, self.n_rows, self.n_inputs))
        width = partial_sums(self.n_neurons)
        totals = self.gradient.new_empty((self.rows, self.n_inputs, width))
        launch, array, work = self.device.launch, self.device.array, self.solved.work
        launch(backward_time_parts, self.rows * width, work, self.solved.batch, self.incoming, array(totals))
        launch(backward_time_sums, out.numel(), out.numel(), array(totals), array(out.view(self.rows, -1)))
        return out

    def by_weight(self, limit: float = math.inf) -> Tensor:
        return self.by_weight_and_delays(limit)[0]

    def by_weight_and_times(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        return self.by_weight(limit), self.by_times()

    def by_delays(self, limit: float = math.inf) -> Tensor:
        return self.by_weight_and_delays(limit)[1]

    def by_weight_and_delays(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        groups = self.gradient.new_empty((self.size, self.n_groups, 2 * self.n_inputs, self.n_neurons))
        items = self.size * self.n_groups * self.n_neurons
        arguments = self.solved.batch, self.incoming, limit, self.device.array(groups)
        self.device.launch(backward_weight_groups, items, self.solved.work, *arguments)
        both = self.sum_groups(groups)
        return both[:, : self.n_inputs], both[:, self.n_inputs :]
