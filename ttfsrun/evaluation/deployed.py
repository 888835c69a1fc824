"""Trained networks on the substrates of their evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from ttfsrun.config.schema import Config
from ttfsrun.data.samples import Samples
from ttfsrun.network import Learned, emulate, placement, with_configured_neurons
from ttfsrun.substrate.emulation import Operation
from ttfsrun.training.responses import Responses, collect_responses


class DeployedNetworks:
    """P trained networks on the substrates, and at the age, of their evaluation.

    They have in common what all networks of a training have, and `shared_by_trials`.
    """

    def __init__(self, configs: Sequence[Config], learned: Learned, device: torch.device | str = "cpu") -> None:
        """device: that computes. Raises UserError where a chip file does not fit."""
        self.configs = list(configs)
        self.network = with_configured_neurons(configs, learned).to(device)
        self.substrates = emulate(configs, [config.evaluation.perturbed for config in configs], device)

    def during(self, phase: str, step: int = 0) -> Operation:
        """Return the state of the substrates during one batch of a phase."""
        return self.substrates.during(phase, step, age=age_of(self.configs[0]))

    def run_trial(self, split: str, samples: Samples, number: int = 0) -> list[Responses]:
        """Return the responses of each network to a split, with the noise of one trial."""
        training, operation = self.configs[0].training, partial(self.during, f"{split} {number}")
        batch_size = training.batch_size if self.substrates.noisy else None
        return collect_responses(self.network, samples, training.loss, operation, batch_size)

    def run_trials(self, split: str, samples: Samples) -> list[list[Responses]]:
        """Return the responses of each network in each trial; in a single one where no substrate is noisy."""
        n_trials = self.configs[0].evaluation.trials if self.substrates.noisy else 1
        trials = [self.run_trial(split, samples, number) for number in range(n_trials)]
        return [list(of_network) for of_network in zip(*trials, strict=True)]


def age_of(config: Config) -> int:
    """Return the age of the chip in an evaluation, in epochs."""
    return config.training.epochs if config.evaluation.age is None else config.evaluation.age


def shared_by_trials(config: Config) -> tuple[int | None, int | None]:
    """Return what the trials of deployed networks have in common: the age of the chips, and the number of trials.

    None: of ideal substrates, and of one trial of substrates without noise, whose samples are in batches of any size.
    """
    if not config.evaluation.perturbed:
        return None, None
    return age_of(config), config.evaluation.trials if placement(config, perturbed=True).noisy else None
