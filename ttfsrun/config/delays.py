"""Settings of learned delays: their kinds, what they are a function of, and how they begin."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from ttfsrun.types import Finite, NonNegative, Settings

DelayKind = Literal["none", "axonal", "dendritic", "synaptic"]


class SigmoidDelay(Settings, tag_field="name", tag="sigmoid"):
    """The delay shift + scale / (1 + exp(-theta)) (Goeltz et al. 2025)."""

    shift: Annotated[NonNegative, Meta(description="shortest delay, in tau_syn")]
    scale: Annotated[NonNegative, Meta(description="longest minus shortest delay, in tau_syn")]


class ClippedDelay(Settings, tag_field="name", tag="clipped"):
    """The delay theta itself, clipped after each step."""

    smallest: Annotated[NonNegative, Meta(description="shortest delay, in tau_syn")]
    largest: Annotated[NonNegative | None, Meta(description="longest delay, in tau_syn; null: any")]

    def __post_init__(self) -> None:
        if self.largest is not None and self.largest < self.smallest:
            raise ValueError(f"largest={self.largest} must not be below smallest={self.smallest}")


class DelayInit(Settings):
    """Normal distribution of the initial theta, of which delays are a function; without unit for sigmoid delays."""

    mean: Finite
    std: NonNegative


def delay_shape(kind: DelayKind, sources: int, neurons: int) -> tuple[int, int]:
    """Return the shape of a layer's delays: rows for its sources, columns for its neurons; (0, 0) where it has none."""
    if kind == "none":
        return 0, 0
    return (1 if kind == "dendritic" else sources, 1 if kind == "axonal" else neurons)
