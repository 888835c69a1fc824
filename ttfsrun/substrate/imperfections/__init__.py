"""One file for each group of settings below `substrate`; its name is the key of the group.

A file has `Settings`, the settings and their ranges, and `perturbations(settings)`, what they do.
"""
