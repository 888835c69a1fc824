"""Grids of points: expanded, planned, dispatched, watched. Only `execute` and `child` import torch."""
