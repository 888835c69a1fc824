"""The delays of a population: the kind of each layer, and the function of theta that they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ttfsrun.config.delays import ClippedDelay, SigmoidDelay
from ttfsrun.config.schema import Config
from ttfsrun.network.delays.clipped import CLIPPED
from ttfsrun.network.delays.function import DelayFunction
from ttfsrun.network.delays.input_lines import InputLines
from ttfsrun.network.delays.kinds import KINDS, LayerDelays
from ttfsrun.network.delays.sigmoid import SIGMOID

FUNCTIONS: Mapping[type, DelayFunction] = {SigmoidDelay: SIGMOID, ClippedDelay: CLIPPED}


@dataclass(frozen=True)
class DelayModel:
    """The delays of P networks, apart from their theta.

    kinds: of each layer, "none" or a key of `KINDS`. settings: of the function, [P, K], float64.
    """

    kinds: tuple[str, ...]
    function: DelayFunction
    settings: Tensor

    @classmethod
    def of(cls, configs: Sequence[Config]) -> DelayModel:
        """Return the delays of networks whose configurations have kinds and function in common."""
        network = configs[0].network
        function = FUNCTIONS[type(network.delay_function)]
        values = [[getattr(c.network.delay_function, name) for name in function.settings] for c in configs]
        numbers = [[math.inf if value is None else value for value in row] for row in values]
        return cls(tuple(network.delay_kinds), function, torch.tensor(numbers, dtype=torch.float64))

    def of_layer(self, number: int, theta: Tensor, lines: InputLines) -> LayerDelays:
        """Return the delays of a layer that has some."""
        return KINDS[self.kinds[number]](*self.function.evaluate(theta, self.settings), lines)

    def constrain(self, theta: Tensor) -> None:
        """Change theta [P, S or 1, M or 1], in place, to what the function allows."""
        self.function.constrain(theta, self.settings)

    def only(self, chosen: Sequence[int]) -> DelayModel:
        """Return those of some of the networks, by their indices."""
        return replace(self, settings=self.settings[chosen])

    def to(self, device: torch.device | str) -> DelayModel:
        """Return the same with all tensors on a device."""
        return replace(self, settings=self.settings.to(device))
