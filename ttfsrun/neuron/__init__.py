"""Exact first spikes of leaky integrate-and-fire neurons, and their exact derivatives."""

from ttfsrun.neuron.lif import Neuron, first_spike

__all__ = ["Neuron", "first_spike"]
