"""Trainings whose bits must not depend on the device that computes them."""

from __future__ import annotations

from tiny_networks import REMEDIES

CHIP = ("substrate=brainscales2", "network.input_repeats=2")
CASES = {
    "ideal": (),
    "remedies": REMEDIES,
    "no bias, an end of the observation": ("network.bias_time=null", "network.t_max=2.5"),
    "two hidden layers": (
        "network.hidden=[20,9]",
        "network.init={mean:[1.5,0.5,0.5],std:[0.8,0.8,0.8]}",
        "training.bumping.silent_fraction=[0.3,0.3,0.1]",
    ),
    "squared error": ("training/loss=squared_error",),
    **{f"on a chip, {rule}": (*CHIP, f"training.backward={rule}") for rule in ("observed", "ideal", "same_draw")},
    "delays": ("network.delays=[axonal,dendritic]", "training.optimizer.delay_learning_rate=0.02"),
    "synaptic delays": ("network.delays=synaptic", "network/delay_function=clipped", "training.gradient_limit=0.005"),
    "delays on a chip": (*CHIP, "network.delays=[axonal,dendritic]"),
    "own time constants": (*CHIP, "substrate.tau_mem.chip_cv=0.2", "substrate.tau_syn.chip_cv=0.1"),
}
