"""Delays of spikes, learned together with the weights: where they act (kinds), and what they are a function of."""
