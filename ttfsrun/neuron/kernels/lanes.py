"""The number of lanes of a vector, which follows from the types of a kernel's arguments.

A kernel reads vectors of 16 lanes from a numpy array, and of one lane from a `OneLane` view of it. So one source is
compiled for processors whose registers hold several numbers, and for those where each thread computes one neuron.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.core.datamodel.models import ArrayModel
from numba.extending import overload, register_model, typeof_impl

LANES = 16  # of a vector from a numpy array; also the number of partial sums over the neurons of a layer


class OneLane(np.ndarray):
    """View of an array for kernels that compute one neuron at a time: `array.view(OneLane)`."""

    __numba_array_subtype_dispatch__ = True  # numba asks `typeof_impl` for the type of subclasses that have this


class LaneArray(types.Array):  # type: ignore[misc]
    """Numba type of a `OneLane` array. It differs from that of a numpy array in its name only."""

    lanes = 1

    def __init__(self, dtype: Any, ndim: int, layout: str, readonly: bool = False, aligned: bool = True) -> None:
        access = "readonly, " if readonly else ""
        alignment = "" if aligned else ", unaligned"
        name = f"LaneArray({access}{dtype}, {ndim}d, {layout}{alignment})"
        super().__init__(dtype, ndim, layout, readonly=readonly, name=name, aligned=aligned)

    def __repr__(self) -> str:
        return str(self.name)

    def copy(
        self, dtype: Any = None, ndim: int | None = None, layout: str | None = None, readonly: bool | None = None
    ) -> LaneArray:
        """Return the type of a view of an array of this type."""
        plain = super().copy(dtype, ndim, layout, readonly)
        return LaneArray(plain.dtype, plain.ndim, plain.layout, not plain.mutable, plain.aligned)


register_model(LaneArray)(ArrayModel)


@typeof_impl.register(OneLane)
def _typeof_one_lane(array: OneLane, context: Any) -> LaneArray:
    plain = typeof_impl(array.view(np.ndarray), context)
    return LaneArray(plain.dtype, plain.ndim, plain.layout, not plain.mutable, plain.aligned)


def lane_count(kind: types.Type) -> int:
    """Return the number of lanes of a numba type: a vector or mask, an array, or a tuple of those; 0 for any other."""
    if isinstance(kind, types.BaseTuple):
        return next(filter(None, map(lane_count, kind)), 0)
    return int(getattr(kind, "lanes", LANES if isinstance(kind, types.Array) else 0))


def lanes(values: Any) -> int:  # type: ignore[empty-body]
    """Return the number of lanes of the vectors that `values` is or contains; a constant for the compiler."""


@overload(lanes)
def _lanes(values):  # type: ignore[no-untyped-def]
    count = lane_count(values)
    return lambda values: count
