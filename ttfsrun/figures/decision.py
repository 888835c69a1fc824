"""The decision of a network, read from its output spikes."""

from __future__ import annotations

import numpy as np

NO_SPIKE = "none"  # the name in tables and figures of a decision that was not taken


def first_output(output_times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which label neuron spikes first, and when.

    output_times [..., C]: spike times in tau_syn, inf where silent.
    Returns label [...] (the lower index of two equal times) and time [...]. Where the time is inf, no label neuron
    has spiked, no decision was taken, and the label is meaningless. Raises ValueError where a time is NaN.
    """
    if np.isnan(output_times).any():
        raise ValueError("an output spike time is NaN; a silent neuron must be inf")
    return np.argmin(output_times, axis=-1), np.min(output_times, axis=-1)


def class_names(names: list[str] | None, n_classes: int) -> list[str]:
    """Return the given names, or the numbers of the classes. Raises ValueError where the number of names is wrong."""
    if names is None:
        return [str(label) for label in range(n_classes)]
    if len(names) != n_classes:
        raise ValueError(f"names={names} has {len(names)} names for {n_classes} classes")
    return names
