"""First spikes from all causal sets at once, in plain torch, as Goeltz, Kriener et al. 2021 (arXiv 1912.11443).

For tau_mem = tau_syn = 1 and v_leak = 0 the membrane after the first k inputs is

    V(t) = (a t - b) exp(-t)        a = sum_{i <= k} w_i exp(t_i)        b = sum_{i <= k} w_i t_i exp(t_i)

so that V(T) = v_th is solved by T = r + x with r = b / a and x = -W_0(-y), that is x exp(-x) = y = v_th exp(r) / a.
Every causal set k = 1 ... N of every sample and neuron is solved; a solution counts if it lies between its set's last
input and the next one, and the first of them is the spike. Memory O(B N M).

Written to be as fast as the algorithm can be made in torch: float32, in place, silent inputs cut off after sorting,
prefix sums as additions of whole [B, M] planes (several times faster than torch.cumsum on a CPU), arguments kept in
the range where exp is fast, and a backward pass in closed form. A crossing that rounding moves over the border
of its interval is not lost: the lower border is checked by the membrane's peak, at r + 1, instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

Branch = Callable[[Tensor], Tensor]

# W_0 around its branch point, in p = sqrt(2 (1 - e y)) (Corless et al. 1996, eq. 4.22), as the Pade approximant
# 1 + W_0 = p (1 + A p + B p^2) / (1 + C p + D p^2) of the same series to p^5.
SERIES = (1.0, -1 / 3, 11 / 72, -43 / 540, 769 / 17280)


def pade(series: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Return A, B, C, D of (1 + A p + B p^2) / (1 + C p + D p^2), equal to the series in p up to p^4."""
    s = torch.tensor(series, dtype=torch.float64)
    c, d = torch.linalg.solve(torch.stack([s[[2, 1]], s[[3, 2]]]), -s[[3, 4]]).tolist()
    return series[1] + c, series[2] + c * series[1] + d, c, d


A, B, C, D = pade(SERIES)


def branch_by_halley(y: Tensor) -> Tensor:
    """Return x in (0, 1] with x exp(-x) = y, for 0 < y <= 1 / e: a step of Halley's method from a guess within 3e-4.

    Some finite number for any other y. With q = 1 - x and g = x - y exp(x), the step is 2 g q / (2 q^2 + g (1 + q));
    at the branch point, where g is only rounding error, its denominator is at least q^2.
    """
    p = torch.mul(y, -2 * math.e).add_(2).clamp_(1e-12, 2).sqrt_()
    q = torch.mul(p, B).add_(A).mul_(p).add_(1).mul_(p)
    q.div_(torch.mul(p, D).add_(C).mul_(p).add_(1))
    x = torch.sub(1, q, out=p)
    g = torch.exp(x).mul_(y).neg_().add_(x)
    square = q * q
    step = torch.add(square, square).add_(g).addcmul_(g, q)
    torch.maximum(step, square, out=step)
    return x.sub_(g.mul_(q).mul_(2).div_(step))


def branch_by_scipy(y: Tensor) -> Tensor:
    """The same from scipy.special.lambertw, which computes in complex double precision; asked only where it is real."""
    from scipy.special import lambertw

    flat = y.numpy()
    real = (flat > 0) & (flat <= 1 / math.e)
    x = torch.ones_like(y)
    x.numpy()[real] = -lambertw(-flat[real]).real
    return x


class DenseFirstSpike(torch.autograd.Function):
    """times [B, N], weight [N, M], v_th, branch -> spike times [B, M], inf where there is none."""

    @staticmethod
    def forward(ctx: Any, times: Tensor, weight: Tensor, v_th: float, branch: Branch) -> Tensor:
        ordered, order = times.sort(1)
        longest = int(torch.isfinite(ordered).any(0).sum())
        ordered, order = ordered[:, :longest].T.contiguous(), order[:, :longest].T.reshape(-1)
        silent = ordered.isinf()
        grown = ordered.exp().masked_fill_(silent, 0)
        a, b = _prefix_sums(weight, order, grown, grown * ordered.masked_fill(silent, 0))
        spikes = _first_crossing(a, b.div_(a), ordered, v_th, branch)
        if any(ctx.needs_input_grad):
            last = torch.searchsorted(ordered.T.contiguous(), spikes).sub_(1).clamp_(min=0)
            drive = a.gather(0, last[None])[0].mul_(torch.exp(-spikes))  # I(T)
            ctx.save_for_backward(weight, ordered, order, grown, spikes, drive.sub_(v_th))
        return spikes

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weight, ordered, order, grown, spikes, slope = ctx.saved_tensors
        fires = spikes.isfinite()
        spikes = spikes.where(fires, 0)
        scale = (gradient * torch.exp(-spikes) / slope).where(fires, 0)
        delay = torch.sub(spikes, ordered[..., None]).clamp_(min=0)  # [N, B, M]
        by_times = by_weight = None
        if ctx.needs_input_grad[0]:
            response = torch.sub(1, delay).mul_(delay > 0).mul_(scale)
            response.mul_(weight.index_select(0, order).view_as(response))
            each = response.sum(2).mul_(grown).T
            by_times = each.new_zeros(each.shape[0], weight.shape[0])
            by_times.scatter_(1, order.view_as(grown).T, each)
        if ctx.needs_input_grad[1]:
            delay.mul_(grown[..., None]).mul_(scale.neg_())
            by_weight = torch.zeros_like(weight).index_add_(0, order, delay.flatten(0, 1))
        return by_times, by_weight, None, None


def _prefix_sums(weight: Tensor, order: Tensor, *factors: Tensor) -> list[Tensor]:
    """For each factor [N, B]: sum over the first k inputs of weight times factor, [N, B, M]."""
    gathered = weight.index_select(0, order).view(*factors[0].shape, -1)
    sums = [gathered * factor[..., None] for factor in factors[1:]]
    sums.insert(0, gathered.mul_(factors[0][..., None]))
    for each in sums:
        for before, plane in pairwise(each.unbind(0)):
            plane.add_(before)
    return sums


def _first_crossing(a: Tensor, r: Tensor, ordered: Tensor, v_th: float, branch: Branch) -> Tensor:
    """a, r = b / a: [N, B, M] for every causal set; ordered [N, B]: its last input. Returns [B, M]; overwrites r."""
    last = ordered[..., None]
    following = torch.cat([ordered[1:], torch.full_like(ordered[:1], math.inf)])[..., None]
    y = torch.clamp(r, -2, 80).exp_().div_(a).mul_(v_th)
    crosses = (y > 0).logical_and_(y <= 1 / math.e)
    crosses.logical_and_(r >= last - 1)  # the peak, at r + 1, is not before the interval
    x = branch(y)
    del y
    solution = torch.maximum(r.add_(x), last, out=r)
    crosses.logical_and_(solution <= following)
    return solution.masked_fill_(crosses.logical_not_(), math.inf).amin(0)
