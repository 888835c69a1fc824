"""The kernels for one neuron at a time: a layer on a device whose threads compute one neuron each.

Shapes: P networks of B samples (R = P B rows), N inputs, M neurons.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ttfsrun.neuron.backward_pass import BackwardPass
from ttfsrun.neuron.device import device_of
from ttfsrun.neuron.kernels.arrivals import DelayedBatch, Delays, padded_count
from ttfsrun.neuron.kernels.events import Batch, Inputs, Layer, Spikes
from ttfsrun.neuron.kernels.observe import observe_blocks
from ttfsrun.neuron.kernels.packing import INPUTS_AT_ONCE, rank_inputs
from ttfsrun.neuron.kernels.steps import prepare_inputs
from ttfsrun.neuron.kernels.walk import walk_blocks
from ttfsrun.neuron.kernels.walk_arrivals import observe_arrival_blocks, walk_arrival_blocks
from ttfsrun.neuron.lane_backward import DelayedBackward, PlainBackward, Solved
from ttfsrun.neuron.mixed_backward import MixedBackward, has_delay
from ttfsrun.neuron.parameters import EVENTS_PER_SPIKE, Parameters

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
        ranks = torch.empty_like(order)
        items = n_rows * -(-n_inputs // INPUTS_AT_ONCE)
        device.launch(rank_inputs, items, n_rows * n_inputs**2, self._inputs, device.array(ranks))
        steps = device.array(rows.new_empty((n_rows, 4, n_inputs), dtype=torch.float64))
        device.launch(prepare_inputs, rows.numel(), rows.numel(), self._batch, steps)

        spikes = [rows.new_empty(n_rows, n_neurons) for _ in Spikes._fields]
        if observed is not None:
            spikes[0].copy_(observed.reshape(n_rows, n_neurons))
        self._found = Spikes(*map(device.array, spikes))
        self._used = None if delays is None else has_delay(delays)
        if delays is None:
            kernel = walk_blocks if observed is None else observe_blocks
            device.launch(kernel, n_rows * n_neurons, self._work, self._batch, self._found, steps)
        else:
            self._solve_delayed(delays.contiguous(), observed is not None)
        slope, causal = (spikes[Spikes._fields.index(name)] for name in ("slope", "causal"))
        self._solved = Solved(self._batch, self._found, slope, causal, ranks, self._work)
        self.spikes = spikes[0].reshape(*self._lead, n_neurons)

    def _solve_delayed(self, delays: Tensor, is_observed: bool) -> None:
        """Fill in the spikes, some rows at once: each row takes scratch space for all of its synapses."""
        size, n_inputs, n_neurons = delays.shape
        n_rows = math.prod(self._lead)
        last = delays.new_empty((n_rows, n_neurons), dtype=torch.int32)
        longest = delays.double().amax((1, 2)) if delays.numel() else delays.new_zeros(size, dtype=torch.float64)
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

    def backward(self, gradient: Tensor) -> BackwardPass:
        gradient, solved = gradient.contiguous(), self._solved
        if self._used is None:
            return PlainBackward(solved, gradient)
        # Whether there are such networks is known to the device only.
        rows = self._used.repeat_interleave(gradient.shape[1])[:, None]
        causal = solved.causal.masked_fill(rows, 0)
        found = solved.spikes._replace(causal=self._device.array(causal))
        plain = solved._replace(batch=Batch(self._layer, self._inputs), spikes=found, causal=causal)
        return MixedBackward(PlainBackward(plain, gradient), DelayedBackward(solved, gradient), self._used)


def _contiguous(parameters: Parameters, n_neurons: int) -> tuple[Tensor, ...]:
    """Return theta, slow, fast and shortest of a `Layer`."""
    size = len(parameters.theta)
    theta = parameters.theta.expand(size, parameters.theta.shape[1], n_neurons).contiguous()
    slow, fast = torch.broadcast_tensors(parameters.slow, parameters.fast)
    shortest = fast.amin(dim=(1, 2)) if n_neurons else fast.new_full((size,), np.inf)
    shape = (size,) if slow.shape[2] == 1 else (size, n_neurons)
    return theta, slow.reshape(shape).contiguous(), fast.reshape(shape).contiguous(), shortest
