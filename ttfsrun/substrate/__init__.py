"""The substrate: an emulated analog chip, and what its imperfections do to a network.

An imperfection is a physical fault of a chip: one group of settings below `substrate`. It consists of perturbations,
each of which says where it acts, when it is drawn, and what it does.

    imperfections/   the imperfections, one file per group of settings
    perturbation.py  `Perturbation`: where, when, what, with its derivatives
    kinds.py         the kinds of perturbation that imperfections are made of
    schema.py        the settings of a substrate, collected from the imperfections
    chip.py          the fixed pattern of one chip: draw, save, load, summarise
    backward.py      what the backward pass uses of a layer on a substrate
    member.py        the substrate of one network
    pipeline.py      the perturbations of one quantity, for all networks that have them at once
    perturbed.py     a perturbed quantity, and the way back to the derivatives by its nominal values
    emulation.py     the substrates of a population at work

Only `pipeline`, `perturbed` and `emulation` import torch.
"""
