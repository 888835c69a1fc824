"""Exact first spikes of leaky integrate-and-fire neurons, and their exact derivatives."""

from ttfsrun.neuron.lif import Neuron, first_spike, observed_spike
from ttfsrun.neuron.memory import keep_freed_memory
from ttfsrun.neuron.parallel import get_threads, set_threads, use_threads

__all__ = ["Neuron", "first_spike", "get_threads", "keep_freed_memory", "observed_spike", "set_threads", "use_threads"]
