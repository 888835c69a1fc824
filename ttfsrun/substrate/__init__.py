"""What an analog chip does to a network: perturbations, each a choice of where it acts, when it is drawn, what it does.

    imperfections/   the perturbations that there are, one file for each group of settings below `substrate`
    changes.py       the kinds of change that they are made of
    perturbation.py  where, when, what
    schema.py        the settings of a substrate, collected from the imperfections
    chip.py          the fixed pattern of one chip: drawn, saved, loaded, shown
    emulation.py     a population's substrates at work
    backward.py      what the backward pass sees of them

Only the last two import torch.
"""
