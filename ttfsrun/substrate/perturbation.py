"""A perturbation: one modification of one quantity. It says where it acts, when it is drawn, and what it does.

Shapes are those of one network: weights [N, M]; times [B, N] or [B, M]; v_th and v_leak [1, M], or [B, M] where
they are drawn for each sample; time constants [1, M]. Values are torch tensors, but this module does not import
torch: it only uses their operators and methods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Where = Literal["input_time", "weight", "v_th", "v_leak", "tau_mem", "tau_syn", "spike_time"]
When = Literal["always", "chip", "write", "batch", "sample"]
Stage = Literal["always", "chip", "write", "stuck", "batch", "sample", "clock"]

STAGES: tuple[Stage, ...] = ("always", "chip", "write", "stuck", "batch", "sample", "clock")
Shape = tuple[int, ...]
Apply = Callable[[Any, Any, Any], Any]  # (value, drawn, unit) -> value


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """One step of an imperfection: where it acts, when it is drawn, and what it does.

    name: key of its random stream, and of its arrays in a saved chip.
    where: the perturbed quantity. Times are in tau_syn, voltages and weights in the network's own units.
    when: `always` (the same for all chips, nothing is drawn), or drawn once per `chip` (the fixed pattern), `write`
        (of weights to the chip: after each training step, once per evaluation), `batch` or `sample`.
    apply: (value, drawn, unit) -> value. `unit` is the unit of strengths: v_th - v_leak for v_th and v_leak, the
        largest weight for weights, 1 for all others.
    draw: (random, shape) -> numpy array; None if nothing is drawn (`drawn` is then None).
    off: whether its strengths are zero, so that it does nothing.
    stage: its position in `STAGES`, the order in which the perturbations of one quantity are applied; by default that
        of `when`. `stuck` comes after all that is written to a synapse, `clock` after all noise.
    stream: perturbations with the same stream draw the same numbers; by default `name`.
    age: (random, drawn) -> drawn one epoch later, for a chip that drifts.
    straight_through: whether the backward pass takes its derivative to be one (for steps, whose derivative is 0).
    projects: whether training also applies it to the stored weights after each step.
    silences: whether it removes spikes: `drawn` is true for each spike that is lost.
    """

    name: str
    where: Where
    when: When
    apply: Apply
    draw: Callable[[np.random.Generator, Shape], NDArray[Any]] | None = None
    off: bool = False
    stage: Stage | None = None
    stream: str | None = None
    age: Callable[[np.random.Generator, NDArray[Any]], NDArray[Any]] | None = None
    straight_through: bool = False
    projects: bool = False
    silences: bool = False

    @property
    def order(self) -> int:
        """Position among the perturbations of a quantity."""
        return STAGES.index(self.stage or self.when)
