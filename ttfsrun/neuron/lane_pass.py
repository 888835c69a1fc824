"""The kernels for one neuron at a time: a layer on a device whose threads compute one neuron each.

Shapes: P networks of B samples (R = P B rows), N inputs, M neurons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ttfsrun.neuron.device import device_of
from ttfsrun.neuron.kernels.arrivals import DelayedBatch, Delays, padded_count
from ttfsrun.neuron.kernels.events import Batch, Inputs, Layer, Spikes, prepare_inputs
from ttfsrun.neuron.kernels.gradient import Incoming
from ttfsrun.neuron.kernels.gradient_by_constants import backward_constants
from ttfsrun.neuron.kernels.gradient_by_times import backward_time_parts, backward_time_sums, partial_sums
from ttfsrun.neuron.kernels.gradient_by_weights import GROUP, backward_weight_groups, backward_weight_sums
from ttfsrun.neuron.kernels.gradient_delayed import DelayedIncoming
from ttfsrun.neuron.kernels.observe import observe_blocks
from ttfsrun.neuron.kernels.packing import rank_inputs
from ttfsrun.neuron.kernels.walk import walk_blocks
from ttfsrun.neuron.kernels.walk_arrivals import observe_arrival_blocks, walk_arrival_blocks
from ttfsrun.neuron.mixed_backward import MixedBackward, has_delay
from ttfsrun.neuron.parameters import EVENTS_PER_SPIKE, Parameters, sum_to_shape

SCRATCH = 1 << 26  # synapses whose arrivals are sorted at once, 4 bytes each


class LanePass:
    """A `LayerPass` on such a device."""

    def __init__(
        self,
        times: Tensor,
        weight: Tensor,
        parameters: Parameters,
        observed: Tensor | None = None,
        delays: Tensor | None = None,
    ) -> None:
        device = self._device = device_of(times)
        self._lead, n_inputs, n_neurons = times.shape[:2], times.shape[2], weight.shape[2]
        n_rows = math.prod(self._lead)
        rows = times.reshape(n_rows, n_inputs).contiguous()
        order = rows.new_empty(rows.shape, dtype=torch.int32)
        finite = rows.new_zeros(n_rows, dtype=torch.int32)
        self._work = n_rows * n_neurons * (n_inputs + EVENTS_PER_SPIKE)  # in synaptic events
        self._inputs = Inputs(device.array(rows), device.array(order), device.array(finite))
        arranged = parameters.arranged(n_neurons, _contiguous)
        self._layer = Layer(*map(device.array, (weight.contiguous(), *arranged)))
        self._batch: Batch | DelayedBatch = Batch(self._layer, self._inputs)
        device.launch(rank_inputs, rows.numel(), n_rows * n_inputs**2, self._inputs)
        steps = device.array(rows.new_empty((n_rows, 4, n_inputs), dtype=torch.float64))
        device.launch(prepare_inputs, rows.numel(), rows.numel(), self._batch, steps)

        spikes = [rows.new_empty(n_rows, n_neurons) for _ in Spikes._fields]
        if observed is not None:
            spikes[0].copy_(observed.reshape(n_rows, n_neurons))
        self._found = Spikes(*map(device.array, spikes))
        self._kept = [rows, order, finite, *spikes]  # the memory of the arrays
        self._used = None if delays is None else has_delay(delays)
        if delays is None:
            kernel = walk_blocks if observed is None else observe_blocks
            device.launch(kernel, n_rows * n_neurons, self._work, self._batch, self._found, steps)
        else:
            self._solve_delayed(delays.contiguous(), observed is not None)
        self._slope, self._causal = (spikes[Spikes._fields.index(name)] for name in ("slope", "causal"))
        self.spikes = spikes[0].reshape(*self._lead, n_neurons)

    def _solve_delayed(self, delays: Tensor, is_observed: bool) -> None:
        """Fill in the spikes, some rows at once: each row takes scratch space for all of its synapses."""
        size, n_inputs, n_neurons = delays.shape
        n_rows = math.prod(self._lead)
        last = delays.new_empty((n_rows, n_neurons), dtype=torch.int32)
        longest = delays.double().amax((1, 2)) if delays.numel() else delays.new_zeros(size, dtype=torch.float64)
        self._kept += [delays, longest, last]
        array = self._device.array
        batch = self._batch = DelayedBatch(
            self._layer, self._inputs, Delays(array(delays), array(longest), array(last))
        )
        kernel = observe_arrival_blocks if is_observed else walk_arrival_blocks
        together = max(1, min(n_rows, SCRATCH // max(1, padded_count(n_inputs) * n_neurons)))
        keys = array(delays.new_empty((together, padded_count(n_inputs), n_neurons), dtype=torch.int32))
        for first in range(0, n_rows, together):
            items = min(together, n_rows - first) * n_neurons
            self._device.launch(kernel, items, self._work * items // n_rows, first, batch, self._found, keys)

    def backward(self, gradient: Tensor) -> LaneBackward | MixedBackward:
        gradient = gradient.contiguous()
        backward = LaneBackward(self, self._batch, self._found, gradient)
        if self._used is None:
            return backward
        # Whether there are such networks is known to the device only.
        rows = self._used.repeat_interleave(gradient.shape[1])[:, None]
        causal = self._causal.masked_fill(rows, 0)
        self._kept.append(causal)
        found = self._found._replace(causal=self._device.array(causal))
        plain = LaneBackward(self, Batch(self._layer, self._inputs), found, gradient)
        return MixedBackward(plain, backward, self._used)


class LaneBackward:
    """A `BackwardPass` on such a device."""

    def __init__(self, solved: LanePass, batch: Batch | DelayedBatch, found: Spikes, gradient: Tensor) -> None:
        self._solved, self._batch, self._gradient = solved, batch, gradient
        self._device, self._work = solved._device, solved._work
        rows = math.prod(gradient.shape[:2])
        self._shape = rows, solved._inputs.times.shape[1], gradient.shape[2]
        incoming = self._device.array(gradient.reshape(rows, self._shape[2]))
        self._incoming: Incoming | DelayedIncoming
        if isinstance(batch, DelayedBatch):
            self._incoming = DelayedIncoming(found, incoming)
            return
        steps = self._device.array(gradient.new_empty((rows, 4, self._shape[1])))
        self._incoming = Incoming(found, incoming, steps)
        n_inputs = rows * self._shape[1]
        self._device.launch(prepare_inputs, n_inputs, n_inputs, batch, steps)

    def by_times(self) -> Tensor:
        rows, n_inputs, n_neurons = self._shape
        out = self._gradient.new_empty((*self._gradient.shape[:2], n_inputs))
        width = partial_sums(n_neurons)
        totals = self._gradient.new_empty((rows, n_inputs, width))
        launch, array = self._device.launch, self._device.array
        launch(backward_time_parts, rows * width, self._work, self._batch, self._incoming, array(totals))
        launch(backward_time_sums, rows * n_inputs, out.numel(), array(totals), array(out.view(rows, -1)))
        return out

    def by_weight(self, limit: float = math.inf) -> Tensor:
        return self._by_weight(limit)[:, : self._shape[1]]

    def by_weight_and_times(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        return self.by_weight(limit), self.by_times()

    def by_delays(self, limit: float = math.inf) -> Tensor:
        return self.by_weight_and_delays(limit)[1]

    def by_weight_and_delays(self, limit: float = math.inf) -> tuple[Tensor, Tensor]:
        both, n_inputs = self._by_weight(limit), self._shape[1]
        return both[:, :n_inputs], both[:, n_inputs:]

    def _by_weight(self, limit: float) -> Tensor:
        """Return the gradient by the weights, [P, N, M], and after it that by delays if there are any, [P, 2 N, M]."""
        _, n_inputs, n_neurons = self._shape
        size, n_rows = self._gradient.shape[:2]
        n_entries = 2 * n_inputs if isinstance(self._batch, DelayedBatch) else n_inputs
        groups = self._gradient.new_empty((size, -(-n_rows // GROUP), n_entries, n_neurons))
        out = self._gradient.new_empty((size, n_entries, n_neurons))
        launch, array = self._device.launch, self._device.array
        items = groups.shape[0] * groups.shape[1] * n_neurons
        arguments = self._batch, self._incoming, limit, array(groups)
        launch(backward_weight_groups, items, self._work, *arguments)
        launch(backward_weight_sums, out.numel(), groups.numel(), array(groups), array(out))
        return out

    def by_threshold(self, shape: Sequence[int]) -> Tensor:
        slope, causal = (each.view(self._gradient.shape) for each in (self._solved._slope, self._solved._causal))
        return sum_to_shape((self._gradient / slope).masked_fill(causal == 0, 0), shape)

    def by_constants(self, slow: Sequence[int], fast: Sequence[int]) -> tuple[Tensor, Tensor]:
        by_slow, by_fast = torch.empty_like(self._gradient), torch.empty_like(self._gradient)
        arrays = [self._device.array(each.view(self._shape[0], -1)) for each in (by_slow, by_fast)]
        items = by_slow.numel()
        self._device.launch(backward_constants, items, self._work, self._batch, self._incoming, *arrays)
        return sum_to_shape(by_slow, slow), sum_to_shape(by_fast, fast)


def _contiguous(parameters: Parameters, n_neurons: int) -> tuple[Tensor, ...]:
    """Return theta, slow, fast and shortest of a `Layer`."""
    size = len(parameters.theta)
    theta = parameters.theta.expand(size, parameters.theta.shape[1], n_neurons).contiguous()
    slow, fast = torch.broadcast_tensors(parameters.slow, parameters.fast)
    shortest = fast.amin(dim=(1, 2)) if n_neurons else fast.new_full((size,), np.inf)
    shape = (size,) if slow.shape[2] == 1 else (size, n_neurons)
    return theta, slow.reshape(shape).contiguous(), fast.reshape(shape).contiguous(), shortest
