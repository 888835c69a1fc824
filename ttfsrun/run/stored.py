"""The checked configuration and the weights that are stored in the folder of a run."""

from __future__ import annotations

import os

from torch import Tensor

from ttfsrun.config.compose import revise
from ttfsrun.config.schema import Config
from ttfsrun.errors import UserError
from ttfsrun.network import build
from ttfsrun.neuron import use_threads
from ttfsrun.run.folder import RunFolder
from ttfsrun.run.inputs import stored_settings
from ttfsrun.training import checkpoint


def read_config(run: RunFolder) -> Config:
    """Return the checked configuration of a run. Raises UserError where it is missing, damaged or not allowed."""
    return revise(stored_settings(run), [])


def read_weights(run: RunFolder, config: Config) -> list[Tensor]:
    """Return the stored weights [1, N, M] of each layer. Raises UserError where they do not fit the network."""
    weights = [weight[None] for weight in checkpoint.load_network(run.network, config.training.keep)]
    if [weight.shape for weight in weights] != [weight.shape for weight in build([config]).weights]:
        raise UserError(f"{run.network}: the stored weights do not fit the network of {run.config}")
    return weights


def use_configured_threads(config: Config) -> None:
    """Compute on as many threads as the configuration sets, else on all cores that this process may use."""
    use_threads(config.cluster.threads or len(os.sched_getaffinity(0)))
