"""Exact first spikes of leaky integrate-and-fire neurons, and their exact derivatives."""

from ttfsrun.neuron.lif import Neuron, first_spike
from ttfsrun.neuron.parallel import get_threads, set_threads

__all__ = ["Neuron", "first_spike", "get_threads", "set_threads"]
