"""Random numbers: one stream per (seed, purpose, layer, step), so that no stream depends on what others draw.

A network only uses its own seeds. Its random numbers depend neither on the other networks of its population, nor on
what else is drawn, nor on the order, nor on the number of threads.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, *, layer: int = 0, step: int = 0) -> np.random.Generator:
    """Return a generator that depends on these four arguments only (counter-based Philox, Salmon et al. 2011)."""
    key = (zlib.crc32(purpose.encode()), layer, step)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))
