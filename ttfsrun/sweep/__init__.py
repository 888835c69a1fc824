"""Grids of points: asked for, planned, dispatched (here), computed (`work`), watched (`watch`).

Only `work.execute` and the processes that run it (`work.child`, `work.calibrate`) import torch.
"""
