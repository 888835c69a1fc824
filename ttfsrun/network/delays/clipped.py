"""Delays that are theta itself, clipped to an interval after each step."""

from __future__ import annotations

import torch
from torch import Tensor

from ttfsrun.network.delays.function import DelayFunction, Evaluated


def _clipped(theta: Tensor, settings: Tensor) -> Tensor:
    smallest, largest = settings.to(theta.dtype)[:, :, None, None].unbind(1)
    return theta.clamp(smallest, largest)


def _evaluate(theta: Tensor, settings: Tensor) -> Evaluated:
    return Evaluated(_clipped(theta, settings), torch.ones_like(theta))


def _constrain(theta: Tensor, settings: Tensor) -> None:
    theta.copy_(_clipped(theta, settings))


CLIPPED = DelayFunction(("smallest", "largest"), _evaluate, _constrain)
