"""Requests of sweeps, and the values of their points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ttfsrun.config.compose import Composer, conf_dir
from ttfsrun.sweep.grid.request import SweepRequest

COMPOSER = Composer(conf_dir())
RATE = "training.optimizer.learning_rate"
BITS = "substrate.weight.bits"
JITTER = "substrate.spike_time.jitter"

Ask = Callable[..., SweepRequest]


def values(request: SweepRequest, *keys: str) -> list[tuple[Any, ...]]:
    """Return the values of the points at these keys."""
    return [tuple(point_values(words)[key] for key in keys) for words in request.points]


def point_values(words: tuple[str, ...]) -> dict[str, Any]:
    return {override.key_or_group: override.value() for override in map(COMPOSER.files.parse, words)}
