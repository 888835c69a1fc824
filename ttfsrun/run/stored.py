"""The checked configuration, the weights and the delays that are stored in the folder of a run."""

from __future__ import annotations

import os

from ttfsrun.config.compose import revise
from ttfsrun.config.schema import Config
from ttfsrun.errors import UserError
from ttfsrun.network import Learned, build
from ttfsrun.neuron import use_threads
from ttfsrun.run.folder import RunFolder
from ttfsrun.run.inputs import stored_settings
from ttfsrun.training import checkpoint


def read_config(run: RunFolder) -> Config:
    """Return the checked configuration of a run. Raises UserError where it is missing, damaged or not allowed."""
    return revise(stored_settings(run), [])


def read_learned(run: RunFolder, config: Config) -> Learned:
    """Return the stored weights and delays, as a population of one. Raises UserError where they do not fit."""
    stored, expected = checkpoint.load_network(run.network, config.training.keep), build([config]).learned
    for what, found, needed in (
        ("weights", stored.weights, expected.weights),
        ("delays", stored.thetas.values(), expected.thetas.values()),
    ):
        if [tensor.shape for tensor in found] != [tensor.shape for tensor in needed]:
            raise UserError(f"{run.network}: the stored {what} do not fit the network of {run.config}")
    return stored


def use_configured_threads(config: Config) -> None:
    """Compute on as many threads as the configuration sets, else on all cores that this process may use."""
    use_threads(config.cluster.threads or len(os.sched_getaffinity(0)))
