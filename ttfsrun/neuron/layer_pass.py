"""One layer of P networks and one batch: the spikes, and their derivatives by whatever they depend on.

`first_spike` makes this a differentiable function for users of torch; the training uses it directly.

Shapes: P networks of B samples, N inputs, M neurons.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ttfsrun.neuron.backward_pass import BackwardPass
from ttfsrun.neuron.device import device_of
from ttfsrun.neuron.lane_pass import LanePass
from ttfsrun.neuron.parameters import Parameters
from ttfsrun.neuron.vector_pass import VectorPass


class LayerPass(Protocol):
    """First spikes of a layer, or spikes that were observed elsewhere, and their derivatives.

    spikes: [P, B, M], inf for no spike.
    """

    spikes: Tensor

    def backward(self, gradient: Tensor) -> BackwardPass:
        """Return the backward pass from a gradient [P, B, M] by the spikes."""


def solve(
    times: Tensor,
    weight: Tensor,
    parameters: Parameters,
    observed: Tensor | None = None,
    delays: Tensor | None = None,
) -> LayerPass:
    """Return the pass of a layer.

    times [P, B, N], weight [P, N, M], both float32 or both float64; observed [P, B, M] of the same type: spikes that
    are taken as they are, with the derivatives that the neurons have there; delays [P, N, M] of the same type, finite
    and >= 0: input i reaches neuron j so much later. All are on one device. Only a pass with delays has gradients by
    them.

    Raises ValueError for times that are NaN or -inf, and for weights that are not finite; on a device other than the
    CPU, such a network has no spikes, or spikes at NaN.
    """
    kind = VectorPass if device_of(times).lanes > 1 else LanePass
    return kind(times, weight, parameters, observed, delays)
