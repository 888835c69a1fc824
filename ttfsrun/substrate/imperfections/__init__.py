"""The imperfections of a chip, one file per group of settings below `substrate`. The file's name is the group's key.

Each file defines `Settings`, the settings with their ranges, and `perturbations(settings)`, what the imperfection
consists of. It may define `mistake(settings, size)`, why a network of that size cannot have the imperfection.
"""
