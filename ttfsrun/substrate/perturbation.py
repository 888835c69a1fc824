"""A perturbation: one change of one quantity. Where it acts, when it is drawn anew, what it does.

Shapes are those of one network: weights [N, M]; times [B, N] or [B, M]; v_th and v_leak [1, M], or [B, M] where
they are drawn for each sample; time constants [1, M]. Values are torch tensors, but nothing here needs torch:
their operators and methods do.
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
Stage = Literal["always", "chip", "write", "held", "batch", "sample", "clock"]

STAGES: tuple[Stage, ...] = ("always", "chip", "write", "held", "batch", "sample", "clock")
Shape = tuple[int, ...]
Change = Callable[[Any, Any, Any], Any]  # (value, drawn, unit) -> value


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """One imperfection of one quantity.

    name: of what is drawn, for its random stream and in a saved chip.
    where: the quantity that is changed. Times are in tau_syn, voltages and weights in the network's own units.
    when: `always` (the same for all chips, nothing drawn) or drawn anew for each `chip` (its fixed pattern),
        `write` (of weights to the chip: each training step, or once for an evaluation), `batch` or `sample`.
    change: (value, drawn, unit) -> value; unit is that of strengths: v_th - v_leak for both of them, the largest
        weight for weights, 1 elsewhere.
    draw: (random, shape) -> numpy array; without it, `drawn` is None.
    off: strengths are such that nothing is changed.
    stage: changes of one quantity are made in the order of `STAGES`; by default that of `when`. A synapse that is
        `held` takes nothing that is written; the `clock` comes after all noise.
    stream: perturbations of one stream draw the same numbers; by default the name.
    age: (random, drawn) -> drawn one epoch later, for a chip that changes.
    straight_through: the derivative is taken to be one (of steps, which have none that is of use).
    projects: training keeps the weights where this change would bring them.
    silences: what is drawn tells which spikes are taken away.
    """

    name: str
    where: Where
    when: When
    change: Change
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
        """Of its turn among the changes of a quantity."""
        return STAGES.index(self.stage or self.when)
