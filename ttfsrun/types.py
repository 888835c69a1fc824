"""What settings are made of: kinds of numbers with their ranges, and the group that holds them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

LARGEST = 1e30  # so that no setting is infinite
Positive = Annotated[float, Meta(gt=0, le=LARGEST)]
NonNegative = Annotated[float, Meta(ge=0, le=LARGEST)]
TimeConstant = Annotated[float, Meta(ge=1e-6, le=1e6)]
Spread = Annotated[float, Meta(ge=0, le=10)]  # of a log-normal factor
Finite = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
DecayRate = Annotated[float, Meta(ge=0, lt=1)]
Count = Annotated[int, Meta(ge=1)]
SeedNumber = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Common to all groups: immutable, every key stated, no unknown ones."""
