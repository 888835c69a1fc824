"""Cost of training populations of one shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ttfsrun.config.schema import Config
from ttfsrun.substrate.schema import all_perturbations

MIN_NETWORKS = 8  # of a population, where there are as many
MAX_NETWORKS = 32  # of a population: a larger one saves little, and a dead process loses more
MAX_ON_GPU = 1024  # of a population of small networks on a GPU, most of whose threads would else be idle
OVERHEAD = 0.05  # fraction of a population's time that may be spent on what does not depend on its size
WEIGHT_COPIES = 12  # of a float32 weight: weight, moments, gradient, best, last saved state, state being saved
DELAY_BYTES = 16  # of a synapse with a delay of its own, for each weight: these delays, their derivatives and gradients
DRAWN_BYTES = 20  # of a weight, for each perturbation that draws numbers for it: these, and the weight before and after
ACTIVATION_BYTES = 100  # for each sample of a batch and each input line or neuron


@dataclass(frozen=True)
class Cost:
    """Cost of training populations of one shape on one core, or on one GPU."""

    epoch: float  # seconds of an epoch, whatever the size of the population
    network: float  # seconds of an epoch for each network
    point: float  # seconds of evaluating a point under all its conditions
    memory: float  # bytes of a process
    network_memory: float  # bytes for each network
    most: int = MAX_NETWORKS  # networks of a population

    def training(self, networks: int, epochs: int) -> float:
        """Return the seconds that training a population takes."""
        return epochs * (self.epoch + self.network * networks)

    def bytes(self, networks: int) -> float:
        """Return the memory that training a population takes."""
        return self.memory + self.network_memory * networks

    @property
    def worthwhile(self) -> int:
        """Number of networks beyond which a larger population is hardly faster, judged by a short measurement."""
        return min(self.most, max(MIN_NETWORKS, math.ceil(self.epoch / (OVERHEAD * self.network))))


def network_memory(config: Config) -> float:
    """Return the estimated memory of one network in training, in bytes."""
    weights = sum(n * m for n, m in zip(config.layer_inputs, config.layer_sizes[1:], strict=True))
    delays = sum(rows * columns for rows, columns in config.delay_shapes)
    own = "synaptic" in config.network.delay_kinds
    lines = sum(config.layer_inputs) + sum(config.layer_sizes[1:])
    acting = [perturbation for perturbation in all_perturbations(config.substrate) if not perturbation.off]
    drawn = sum(perturbation.where == "weight" and perturbation.draw is not None for perturbation in acting)
    bytes_per_weight = 4.0 * WEIGHT_COPIES + DRAWN_BYTES * drawn + DELAY_BYTES * own
    return (
        bytes_per_weight * weights
        + 4.0 * WEIGHT_COPIES * delays
        + ACTIVATION_BYTES * config.training.batch_size * lines
    )
