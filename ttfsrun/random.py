"""Random numbers: one stream per (seed, purpose, layer, step), so that no stream depends on what others draw.

A network only uses its own seeds. Its random numbers depend neither on the other networks of its population, nor on
what else is drawn, nor on the order, nor on the number of threads.

`stream` is for what is drawn once, on the host; `key` for what is drawn in each step, by `ttfsrun.neuron.draws`.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, *, layer: int = 0, step: int = 0) -> np.random.Generator:
    """Return a generator that depends on these four arguments only (counter-based Philox, Salmon et al. 2011)."""
    key = (zlib.crc32(purpose.encode()), layer, step)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def key(seed: int, purpose: str, *, layer: int = 0) -> int:
    """Return the key of the numbers of all steps: 64 bits that depend on these three arguments only.

    They are read as a signed integer, so that a torch.int64 tensor holds them.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(purpose.encode()), layer))
    return int(sequence.generate_state(1, np.uint64).view(np.int64)[0])
