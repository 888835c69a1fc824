"""Networks of neurons that each spike at most once: train, perturb and compare them.

`ttfsrun` builds networks of leaky integrate-and-fire neurons, trains them with exact derivatives of
their spike times, perturbs them the way an analog neuromorphic chip does, and runs grids of such
experiments. Start with `ttfsrun --help`; from Python, import the submodule that you need.
"""

__version__ = "0.1.0"
