"""Networks of neurons that each spike at most once: train, perturb and compare them.

`ttfsrun` builds networks of leaky integrate-and-fire neurons, trains them with exact derivatives of
their spike times, perturbs them the way an analog neuromorphic chip does, and runs grids of such
experiments. Start with `ttfsrun --help`. From Python:

    ttfsrun.first_spike, ttfsrun.observed_spike, ttfsrun.Neuron    the differentiable neuron, see `ttfsrun.neuron`
    ttfsrun.compose(["experiment=yin_yang", "seed.init=3"])        a checked configuration
    ttfsrun.train(["experiment=yin_yang"], out="first")            the folder of a trained run
    ttfsrun.load("results/sweeps/bits")                            the table of a sweep

Each is imported when it is first used: `import ttfsrun` alone imports neither torch nor pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ttfsrun.config.compose import compose
    from ttfsrun.neuron import Neuron, first_spike, observed_spike
    from ttfsrun.results import load
    from ttfsrun.run.train import train

__version__ = "0.1.0"
__all__ = ["Neuron", "__version__", "compose", "first_spike", "load", "observed_spike", "train"]

_MODULES = {
    "Neuron": "ttfsrun.neuron",
    "compose": "ttfsrun.config.compose",
    "first_spike": "ttfsrun.neuron",
    "load": "ttfsrun.results",
    "observed_spike": "ttfsrun.neuron",
    "train": "ttfsrun.run.train",
}


def __getattr__(name: str) -> Any:
    """Import one of the names in `__all__`. Raises AttributeError for any other."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
