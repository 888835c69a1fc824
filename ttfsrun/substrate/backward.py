"""What the backward pass sees of a layer on a substrate.

Each rule takes what the layer does there (`emulated`), what nominal neurons would do (`nominal`), the times that
arrive there and what the backward pass knows of them (`seen`). It returns the spike times that come out, and the same
as the backward pass knows them: a tensor whose derivatives are followed.

The error always is that of the spikes that came out. The rules differ in the derivatives that carry it back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor


class Nominal(Protocol):
    """A layer of nominal weights and neurons, at given input times."""

    def __call__(self, times: Tensor, observed: Tensor | None = None) -> Tensor:
        """Its first spikes, or observed ones with the derivatives that it has there."""


Emulated = Callable[[Tensor], Tensor]
Rule = Callable[[Emulated, Nominal, Tensor, Tensor], tuple[Tensor, Tensor]]


def observed(emulated: Emulated, nominal: Nominal, arriving: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """The recorded spikes with the nominal parameters: training in the loop with a chip that nobody knows exactly."""
    with torch.no_grad():
        spikes = emulated(arriving)
    recorded = nominal(seen, spikes)
    return recorded, recorded


def ideal(emulated: Emulated, nominal: Nominal, arriving: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """The spikes that the nominal network would have had: training beside a chip, with derivatives of a simulation."""
    with torch.no_grad():
        spikes = emulated(arriving)
    return spikes, nominal(seen)


def same_draw(emulated: Emulated, nominal: Nominal, arriving: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """The exact derivatives of the perturbed network, as a simulation knows them."""
    spikes = emulated(arriving)
    return spikes, spikes


RULES: dict[str, Rule] = {"observed": observed, "ideal": ideal, "same_draw": same_draw}


class Carried(torch.autograd.Function):
    """A value whose gradient goes to another tensor of its shape, as it is."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, carrier: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        return None, gradient


def carried(value: Tensor, carrier: Tensor) -> Tensor:
    """The value itself; where it differs from its carrier, derivatives are those of the carrier."""
    if value is carrier or not torch.is_grad_enabled():
        return value
    result: Tensor = Carried.apply(value, carrier)  # type: ignore[no-untyped-call]
    return result
