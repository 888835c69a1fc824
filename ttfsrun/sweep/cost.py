"""Measured cost of training populations of one shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_NETWORKS = 8  # of a population, where there are as many
MAX_NETWORKS = 32  # of a population: a larger one saves little, and a dead process loses more
OVERHEAD = 0.05  # fraction of a population's time that may be spent on what does not depend on its size


@dataclass(frozen=True)
class Cost:
    """Cost of training populations of one shape on one core."""

    epoch: float  # seconds of an epoch, whatever the size of the population
    network: float  # seconds of an epoch for each network
    point: float  # seconds of evaluating a point under all its conditions
    memory: float  # bytes of a process
    network_memory: float  # bytes for each network

    def training(self, networks: int, epochs: int) -> float:
        """Return the seconds that training a population takes."""
        return epochs * (self.epoch + self.network * networks)

    def bytes(self, networks: int) -> float:
        """Return the memory that training a population takes."""
        return self.memory + self.network_memory * networks

    @property
    def worthwhile(self) -> int:
        """Number of networks beyond which a larger population is hardly faster, judged by a short measurement."""
        return min(MAX_NETWORKS, max(MIN_NETWORKS, math.ceil(self.epoch / (OVERHEAD * self.network))))
