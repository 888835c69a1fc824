"""What the backward pass uses of a layer on a substrate.

Each rule takes the layer on its substrate (`emulated`), the nominal layer (`nominal`), the times that arrive there,
and the same times as the backward pass uses them (`seen`). It returns the layer's spike times, and the same as the
backward pass uses them: a tensor through which derivatives flow.

The loss is always that of the spikes that the substrate emitted. The rules differ in the derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor


class Nominal(Protocol):
    """A layer with nominal weights and neurons, as a function of its input times."""

    def __call__(self, times: Tensor, observed: Tensor | None = None) -> Tensor:
        """Return the layer's first spikes, or the observed ones with the nominal derivatives at those times."""


Emulated = Callable[[Tensor], Tensor]
Rule = Callable[[Emulated, Nominal, Tensor, Tensor], tuple[Tensor, Tensor]]


def observed(emulated: Emulated, nominal: Nominal, arriving: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Use the recorded spikes with nominal parameters: training in the loop with a chip that is not known exactly."""
    with torch.no_grad():
        spikes = emulated(arriving)
    recorded = nominal(seen, spikes)
    return recorded, recorded


def ideal(emulated: Emulated, nominal: Nominal, arriving: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Use the spikes of the nominal network: training with the chip's loss and the derivatives of a simulation."""
    with torch.no_grad():
        spikes = emulated(arriving)
    return spikes, nominal(seen)


def same_draw(emulated: Emulated, nominal: Nominal, arriving: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Use the exact derivatives of the perturbed network: a simulation that knows all that was drawn."""
    spikes = emulated(arriving)
    return spikes, spikes


RULES: dict[str, Rule] = {"observed": observed, "ideal": ideal, "same_draw": same_draw}


class Carried(torch.autograd.Function):
    """Identity of `value` in the forward pass; the backward pass sends the gradient to `carrier` instead."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, carrier: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, gradient


def carried(value: Tensor, carrier: Tensor) -> Tensor:
    """Return `value` with the derivatives of `carrier`, a tensor of the same shape."""
    if value is carrier or not torch.is_grad_enabled():
        return value
    result: Tensor = Carried.apply(value, carrier)  # type: ignore[no-untyped-call]
    return result
