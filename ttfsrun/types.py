"""Types of settings: numbers with their ranges, and the base class of groups of settings."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

LARGEST = 1e30  # largest magnitude of a setting, so that none is infinite
Positive = Annotated[float, Meta(gt=0, le=LARGEST)]
NonNegative = Annotated[float, Meta(ge=0, le=LARGEST)]
TimeConstant = Annotated[float, Meta(ge=1e-6, le=1e6)]
Spread = Annotated[float, Meta(ge=0, le=10)]  # standard deviation of a log-normal factor
Finite = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
DecayRate = Annotated[float, Meta(ge=0, lt=1)]
Count = Annotated[int, Meta(ge=1)]
SeedNumber = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base class of all groups of settings: immutable, every key is required, unknown keys are refused."""
