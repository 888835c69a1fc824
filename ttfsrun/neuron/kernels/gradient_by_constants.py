"""The derivatives of first spikes by the time constants, compiled; the theorem is that of `gradient`."""

from __future__ import annotations

from numba.extending import overload

from ttfsrun.neuron.kernels.arrivals import has_delays
from ttfsrun.neuron.kernels.charge import Block
from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.elementary import exp
from ttfsrun.neuron.kernels.events import blocks_of, constants_of, rows_per_network, time_constant_factors, weights_from
from ttfsrun.neuron.kernels.gradient import spike_factor
from ttfsrun.neuron.kernels.gradient_delayed import delayed_constant_sums
from ttfsrun.neuron.kernels.lanes import lanes
from ttfsrun.neuron.kernels.simd import max_lane, select, splat, vload, vstore
from ttfsrun.neuron.kernels.steps import delay_after


def constant_sums(block, batch, incoming):
    """Return the sums, over the causal inputs, of what is proportional to the derivatives by 1 / slow and 1 / fast."""


@overload(constant_sums, jit_options={"forceinline": True})
def _constant_sums(block, batch, incoming):
    def plain(block, batch, incoming):
        row, p, k, tau = block
        steps, at = incoming.steps[row], (row * blocks_of(batch.layer) + k) * lanes(batch)
        _, causal = spike_factor(at, incoming)
        final = vload(incoming.spikes.delay, at)
        delay = slow_sum = fast_sum = zero = splat(final, 0.0)
        for j in range(int(max_lane(causal)) - 1, -1, -1):
            n_causal = splat(final, j + 1)
            delay = select(causal > n_causal, delay + splat(final, delay_after(steps, j)), final)
            share = weights_from(batch, p, k, row, j) * exp(zero - delay * tau.leak) * delay * delay
            share = select(causal >= n_causal, share, zero)
            slow_part, fast_part = time_constant_factors(delay * tau.rate)
            slow_sum = slow_sum + share * slow_part
            fast_sum = fast_sum + share * fast_part
        return slow_sum, fast_sum

    def delayed(block, batch, incoming):
        return delayed_constant_sums(block, batch, incoming)

    return delayed if has_delays(batch) else plain


@compiled
def backward_constants(low, high, batch, incoming, by_slow, by_fast):
    """Write the gradients by the neurons' time constants, [R, K L] both, for blocks low to high of all rows (R K).

    With d = T - t_i and m = (1 - exp(-rate d)) / (rate d), dk/d(1/slow) = -d^2 exp(-d / slow) (1 - m) / (rate d) and
    dk/d(1/fast) = -d^2 exp(-d / slow) (m - exp(-rate d)) / (rate d).
    """
    n_blocks, rows = blocks_of(batch.layer), rows_per_network(batch)
    for block in range(low, high):
        row, k = block // n_blocks, block % n_blocks
        p, at = row // rows, block * lanes(batch)
        tau = constants_of(batch.layer, p, k, incoming.gradient)
        factor, _ = spike_factor(at, incoming)
        slow_sum, fast_sum = constant_sums(Block(row, p, k, tau), batch, incoming)
        inverse = tau.leak + tau.rate
        vstore(by_slow, at, factor * slow_sum * tau.leak * tau.leak)
        vstore(by_fast, at, factor * fast_sum * inverse * inverse)
