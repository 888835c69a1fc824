"""A perturbation: one modification of one quantity. It says where it acts, when it is drawn, and what it does.

It acts on all networks of a population at once that have it in the same form, each with its own strengths. Shapes, for
G networks: weights [G, N, M]; delays [G, 1, S] or [G, B, S] of sources, [G, 1, M] or [G, B, M] of neurons, [G, S, M] of
synapses; times [G, B, N] or [G, B, M]; v_th and v_leak [G, 1, M], or [G, B, M] where they are
drawn for each sample; time constants [G, 1, M]. Values are torch tensors, but this module does not import torch: it
only uses their operators and methods.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Where = Literal["input_time", "delay", "weight", "v_th", "v_leak", "tau_mem", "tau_syn", "spike_time"]
When = Literal["always", "chip", "write", "batch", "sample"]
Stage = Literal["always", "chip", "write", "stuck", "batch", "sample", "clock"]

STAGES: tuple[Stage, ...] = ("always", "chip", "write", "stuck", "batch", "sample", "clock")
Shape = tuple[int, ...]


class Random(Protocol):
    """A source of random numbers: a numpy generator for one network, or one for a population (`Draws`)."""

    def standard_normal(self, size: Shape) -> Any: ...

    def random(self, size: Shape) -> Any: ...


@dataclass(frozen=True)
class Change:
    """What a perturbation does to a value: a pure function, and its derivatives for the backward pass.

    Each function has the arguments (value, drawn, unit, *strengths). `drawn` and `unit` are of the value's type, unless
    `drawn` is a mask; strengths are float64, [G, 1, 1]. It uses operators that round alike on every device: + - * /,
    comparisons, minimum, maximum, round, floor, where, masked_fill.

    function: returns the new value.
    by_value: returns its derivative by the value; None: 1 (of a step, whose derivative is 0: straight-through).
    by_unit: returns its derivative by the unit; None: 0, or not wanted.
    relative: whether `drawn` is a fraction of the value.
    """

    function: Callable[..., Any]
    by_value: Callable[..., Any] | None = None
    by_unit: Callable[..., Any] | None = None
    relative: bool = False

    def __call__(self, value: Any, drawn: Any, unit: Any, *strengths: Any) -> Any:
        return self.function(value, drawn, unit, *strengths)


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """One step of an imperfection: where it acts, when it is drawn, and what it does.

    name: key of its random stream, and of its arrays in a saved chip.
    where: the perturbed quantity. Times are in tau_syn, voltages and weights in the network's own units.
    when: `always` (the same for all chips, nothing is drawn), or drawn once per `chip` (the fixed pattern), `write`
        (of weights to the chip: after each training step, once per evaluation), `batch` or `sample`.
    change: (value, drawn, unit, *strengths) -> value. `unit` is the unit of strengths: v_th - v_leak for v_th and
        v_leak, the largest weight for weights, 1 for all others.
    draw: (random, shape, *strengths) -> array; None if nothing is drawn (`drawn` is then None). A chip is drawn with
        numpy, for one network; all else for G networks at once: torch tensors [G, *shape], strengths [G, 1, 1].
    strengths: the numbers that may differ between networks that are computed at once. A function that depends on other
        settings is correct, but computed for one network at a time.
    off: whether its strengths are zero, so that it does nothing.
    stage: its position in `STAGES`, the order in which the perturbations of one quantity are applied; by default that
        of `when`. `stuck` comes after all that is written to a synapse, `clock` after all noise.
    stream: perturbations with the same stream draw the same numbers; by default `name`.
    age: (random, drawn) -> drawn one epoch later, for a chip that drifts.
    projects: whether training also applies it to the stored weights after each step.
    silences: whether it removes spikes: `drawn` is true for each spike that is lost.
    """

    name: str
    where: Where
    when: When
    change: Change
    draw: Callable[..., Any] | None = None
    strengths: tuple[float, ...] = ()
    off: bool = False
    stage: Stage | None = None
    stream: str | None = None
    age: Callable[..., Any] | None = None
    projects: bool = False
    silences: bool = False

    @property
    def order(self) -> int:
        """Position among the perturbations of a quantity."""
        return STAGES.index(self.stage or self.when)

    @property
    def form(self) -> Hashable:
        """All that networks must have in common for this perturbation to act on them at once."""
        drawn = (self.name, self.when, self.stream, self.draw, len(self.strengths))
        return (*drawn, self.change, self.order, self.projects, self.silences)
