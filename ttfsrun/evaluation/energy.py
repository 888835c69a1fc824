"""Modelled energy of one image on a chip, from the activity of the network: named models, never measurements.

Each estimates a different quantity, so they are never added up. `brainscales2_window` is the published energy: 175 mW
over 8 tau_syn of 6 us are 48 us and 8.4 uJ per image (Goeltz, Kriener et al. 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

TAU_SYN_US = 6.0  # on BrainScaleS-2, Goeltz, Kriener et al. 2021
WINDOW = 8.0  # tau_syn per image on the chip, from the same source
POWER_MW = 175.0  # of the whole chip, from the same source


@dataclass(frozen=True)
class Activity:
    """Activity of one network, the mean per image."""

    until_decision: float  # tau_syn; at most WINDOW, also where there is no decision
    synaptic_events: float  # each spike at each of its synapses, including the spikes of the inputs


Model = Callable[[Activity], float]  # energy of one image, in uJ


def brainscales2_window(activity: Activity) -> float:
    """Return the chip's power times the window of one image, whatever the network does."""
    return POWER_MW * WINDOW * TAU_SYN_US / 1000


def brainscales2_decision(activity: Activity) -> float:
    """Return a lower bound: the chip's power times the time to the decision, or times the window without one."""
    return POWER_MW * activity.until_decision * TAU_SYN_US / 1000


def _by_events(picojoules: float) -> Model:
    """Return a model that counts synaptic events only, and not neurons, leakage or the host of a chip."""
    return lambda activity: activity.synaptic_events * picojoules / 1e6


MODELS: dict[str, Model] = {
    "brainscales2_window": brainscales2_window,
    "brainscales2_decision": brainscales2_decision,
    "loihi_events": _by_events(23.6),  # Davies et al. 2018, IEEE Micro 38(1), table 2
    "odin_events": _by_events(12.7),  # Frenkel et al. 2019, IEEE Trans. Biomed. Circuits Syst. 13(1)
}
