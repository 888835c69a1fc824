"""The substrate: an emulated analog chip, and what its imperfections do to a network.

An imperfection is a physical fault of a chip: one group of settings below `substrate`. It consists of perturbations,
each of which says where it acts, when it is drawn, and what it does.

    imperfections/   the imperfections, one file per group of settings
    perturbation.py  `Perturbation`: where, when, what
    kinds.py         the kinds of perturbation that imperfections are made of
    schema.py        the settings of a substrate, collected from the imperfections
    chip.py          the fixed pattern of one chip: draw, save, load, summarise
    emulation.py     the substrates of a population at work
    backward.py      what the backward pass uses of a layer on a substrate

Only `emulation` and `backward` import torch.
"""
