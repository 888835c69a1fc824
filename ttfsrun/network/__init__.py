"""Feed-forward networks of first-spike neurons, many at once, built from configurations."""

from ttfsrun.network.build import build, emulate, initial_thetas, initial_weights, placement, with_configured_neurons
from ttfsrun.network.learned import Learned
from ttfsrun.network.passes import MixedPass, NetworkPass
from ttfsrun.network.population import Network

__all__ = [
    "Learned",
    "MixedPass",
    "Network",
    "NetworkPass",
    "build",
    "emulate",
    "initial_thetas",
    "initial_weights",
    "placement",
    "with_configured_neurons",
]
