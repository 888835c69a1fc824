"""Random numbers: one stream per (seed, purpose, layer, step), so that no draw shifts another's.

A network draws from its own seeds alone. Its numbers depend neither on the other networks of its
population nor on what else is drawn, in which order, or on how many threads.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, *, layer: int = 0, step: int = 0) -> np.random.Generator:
    """A generator that only these four numbers determine (counter-based Philox, Salmon et al. 2011)."""
    key = (zlib.crc32(purpose.encode()), layer, step)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))
