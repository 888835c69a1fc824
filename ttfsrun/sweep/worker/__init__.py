"""Computation of a task's points: the leader, which does not import torch, and its workers."""
