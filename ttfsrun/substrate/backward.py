"""What the backward pass uses of a layer on a substrate.

Each rule takes the layer on its substrate (`emulated`), the nominal layer (`nominal`), the times that arrive there,
and the same times as the backward pass uses them (`seen`). It returns the spikes that the substrate emitted, and the
layer whose derivatives the backward pass uses.

The loss is always that of the spikes that the substrate emitted. The rules differ in the derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Nominal(Protocol):
    """A layer with nominal weights and neurons, as a function of its input times."""

    def __call__(self, times: Any, observed: Any = None) -> Any:
        """Return the layer's first spikes, or the observed ones with the nominal derivatives at those times."""


Emulated = Callable[[Any], Any]
Rule = Callable[[Emulated, Nominal, Any, Any], tuple[Any, Any]]


def observed(emulated: Emulated, nominal: Nominal, arriving: Any, seen: Any) -> tuple[Any, Any]:
    """Use the recorded spikes with nominal parameters: training in the loop with a chip that is not known exactly."""
    spikes = emulated(arriving).spikes
    return spikes, nominal(seen, spikes)


def ideal(emulated: Emulated, nominal: Nominal, arriving: Any, seen: Any) -> tuple[Any, Any]:
    """Use the spikes of the nominal network: training with the chip's loss and the derivatives of a simulation."""
    return emulated(arriving).spikes, nominal(seen)


def same_draw(emulated: Emulated, nominal: Nominal, arriving: Any, seen: Any) -> tuple[Any, Any]:
    """Use the exact derivatives of the perturbed network: a simulation that knows all that was drawn."""
    layer = emulated(arriving)
    return layer.spikes, layer


RULES: dict[str, Rule] = {"observed": observed, "ideal": ideal, "same_draw": same_draw}
