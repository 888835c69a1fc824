"""Modelled time and energy of one image on a chip, from what the network did: models with a name, never measurements.

Each is an estimate of another quantity, so none is ever added to another. `brainscales2_window` is what the published
network takes: 175 mW over 8 tau_syn of 6 us are 48 us and 8.4 uJ an image (Goeltz, Kriener et al. 2021).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

TAU_SYN_US = 6.0  # of BrainScaleS-2, Goeltz, Kriener et al. 2021
WINDOW = 8.0  # tau_syn that the chip gives an image, as there
POWER_MW = 175.0  # of the whole chip, as there


@dataclass(frozen=True)
class Activity:
    """What one network did, per image on average."""

    until_decision: float  # tau_syn; at most WINDOW, which counts where there is none
    synaptic_events: float  # each spike at each of its synapses, those of the inputs too


Model = Callable[[Activity], float]  # energy of one image, in uJ


def brainscales2_window(activity: Activity) -> float:
    """The chip's power for as long as it is occupied by an image, whatever the network does."""
    return POWER_MW * WINDOW * TAU_SYN_US / 1000


def brainscales2_decision(activity: Activity) -> float:
    """A bound: the chip's power up to the decision, as if the next image came at once; without one, for the window."""
    return POWER_MW * activity.until_decision * TAU_SYN_US / 1000


def _by_events(picojoules: float) -> Model:
    """So much for each synaptic event. What a chip takes besides (neurons, leakage, its host) is not in it."""
    return lambda activity: activity.synaptic_events * picojoules / 1e6


MODELS: dict[str, Model] = {
    "brainscales2_window": brainscales2_window,
    "brainscales2_decision": brainscales2_decision,
    "loihi_events": _by_events(23.6),  # Davies et al. 2018, IEEE Micro 38(1), table 2
    "odin_events": _by_events(12.7),  # Frenkel et al. 2019, IEEE Trans. Biomed. Circuits Syst. 13(1)
}
