"""First spikes as a function of torch, differentiable by autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ttfsrun.neuron.layer_pass import solve
from ttfsrun.neuron.parameters import Parameters


class FirstSpike(torch.autograd.Function):
    """First spikes, or the derivatives of neurons at observed ones, of P networks.

    times [P, B, N], weight [P, N, M], theta [P, B or 1, M], slow and fast [P, 1, M or 1] -> [P, B, M]. theta, slow,
    fast and their gradients are float64, whatever the type of the others.
    limit: the `gradient_limit` of `first_spike`.
    observed [P, B, M]: spikes to return unchanged, with the derivatives that the neurons have there; or None.
    delays [P, N, M]: how much later each input reaches each neuron; or None.
    """

    @staticmethod
    def forward(
        ctx: Any,
        times: Tensor,
        weight: Tensor,
        theta: Tensor,
        slow: Tensor,
        fast: Tensor,
        limit: float,
        observed: Tensor | None,
        delays: Tensor | None,
    ) -> Tensor:
        recorded, waits = (None if each is None else each.detach() for each in (observed, delays))
        parameters = Parameters(theta.detach(), slow.detach(), fast.detach())
        layer = solve(times.detach(), weight.detach(), parameters, recorded, waits)
        ctx.save_for_backward(times)  # `layer` may share its memory; so torch detects changes
        ctx.layer, ctx.limit = layer, limit
        ctx.shapes = theta.shape, slow.shape, fast.shape
        return layer.spikes.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors  # raises if the times were changed in place
        theta, slow, fast = ctx.shapes
        backward = ctx.layer.backward(gradient)
        results: list[Any] = [None] * 8
        if ctx.needs_input_grad[7]:
            results[1], results[7] = backward.by_weight_and_delays(ctx.limit)
            if ctx.needs_input_grad[0]:
                results[0] = backward.by_times()
        elif ctx.needs_input_grad[0] and ctx.needs_input_grad[1]:
            results[1], results[0] = backward.by_weight_and_times(ctx.limit)
        elif ctx.needs_input_grad[0]:
            results[0] = backward.by_times()
        elif ctx.needs_input_grad[1]:
            results[1] = backward.by_weight(ctx.limit)
        if ctx.needs_input_grad[2]:
            results[2] = backward.by_threshold(theta)
        if ctx.needs_input_grad[3] or ctx.needs_input_grad[4]:
            results[3:5] = backward.by_constants(slow, fast)
        return tuple(results)
