"""A block of neurons from one input to the next, compiled: what `walk` and `observe` have in common."""

from __future__ import annotations

from typing import Any, NamedTuple

from ttfsrun.neuron.kernels.compiled import compiled, inlined
from ttfsrun.neuron.kernels.events import weights_from
from ttfsrun.neuron.kernels.simd import cast, fma
from ttfsrun.neuron.kernels.steps import step_after


class Block(NamedTuple):
    """Block k of network p, in one row."""

    row: int
    p: int
    k: int
    tau: Any  # `Constants`


class Charged(NamedTuple):
    """A block of neurons between an input and the next, as vectors."""

    current: Any  # just after the input
    fast_decay: Any
    highest: Any  # no peak before the next input exceeds it
    at_end: Any  # the membrane just before the next input


@compiled
def arriving(j, block, batch, steps):
    """Return the weights of a row's input j, and the step from it to the next one."""
    return weights_from(batch, block.p, block.k, block.row, j), step_after(batch.layer, steps, j, block.tau)


@compiled
def charge(j, current, decay, voltage, block, batch, steps):
    """Return the block as `Charged` by input j, from the membrane at it and the current just after the one before."""
    weight, step = arriving(j, block, batch, steps)
    return charge_by(weight, step, current, decay, voltage)


@inlined
def charge_by(weight, step, current, decay, voltage):
    """Return the block as `Charged` by inputs of these weights, given the `step` to the next ones."""
    current = fma(current, decay, cast(current, weight))
    fast_decay, slow_decay, rise = step
    return Charged(
        current, fast_decay, fma(current, rise, voltage), fma(voltage, slow_decay, current * (rise * slow_decay))
    )
