"""The derivatives of first spikes, compiled: the implicit function theorem at the crossing, summed over a batch.

With the notation of `walk`, the response of a neuron to input i at its spike T is, for an origin o,

    k(T - t_i) = x_i (s(T) - s_i) exp(-(T - o) / slow)

so that the gradient of a layer's weights is a sum over samples of masked products of rank two, and that of its
input times, with k'(T - t_i) = x_i (1 + s_i / slow - s(T) / fast) exp(-(T - o) / slow), a masked product with
the weights. No array of size B N M is made. Each sum has one fixed order.
"""

from __future__ import annotations

import numpy as np

from ttfsrun.neuron.compiled import compiled
from ttfsrun.neuron.events import event, of_block, stretched
from ttfsrun.neuron.simd import any_lane, exp, fabs, item, load, max_lane, maximum, select, splat, store, sum_lanes


@compiled
def spike_gradient(row, p, k, layer, spikes, gradient):
    """(-gradient / V'(T), T, number of causal inputs) of a block of neurons; 0 where none spiked."""
    lanes = layer.weight.shape[3]
    at = (row * layer.weight.shape[1] + k) * lanes
    causal = load(spikes.causal, at)
    zero = splat(causal, 0.0)
    spiked = causal > zero
    factor = select(spiked, zero - load(gradient, at) / load(spikes.slope, at), zero)
    time = select(spiked, load(spikes.time, at), zero)
    return factor, time, causal


@compiled
def response_factors(factor, time, origin, slow, fast):
    """(g, g s(T)) so that factor k(T - t_i) = x_i (g s(T) - g s_i)."""
    delay = time - splat(factor, origin)
    g = factor * exp(splat(factor, 0.0) - delay / slow)
    return g, g * stretched(delay, slow, fast)


@compiled
def exceeds(row, factor, time, causal, slow, fast, layer, inputs, limit):
    """Lanes whose weight gradient has an entry of magnitude above the limit."""
    largest = zero = splat(factor, 0.0)
    n_causal = int(max_lane(causal))
    chunk = 0
    while chunk < n_causal:
        g, gs = response_factors(factor, time, inputs.origin[row, chunk], slow, fast)
        for j in range(chunk, min(n_causal, inputs.chunk_end[row, chunk])):
            x, s = event(layer.fast, inputs, row, j, slow, fast)
            entry = fabs(x * (gs - g * s))
            largest = maximum(largest, select(causal > splat(factor, j), entry, zero))
        chunk = inputs.chunk_end[row, chunk]
    return (largest > splat(factor, limit)) | (fabs(factor) == splat(factor, np.inf))


@compiled
def backward_weight(low, high, layer, inputs, spikes, gradient, limit, out):
    """Gradients by the weights, `out` [P, K, N, L], for the pairs (network, block) low to high."""
    n_networks, n_blocks, n_inputs, lanes = layer.weight.shape
    rows = inputs.finite.size // n_networks
    for pair in range(low, high):
        p, k = pair // n_blocks, pair % n_blocks
        fast, slow = of_block(layer.fast, p, k * lanes), of_block(layer.slow, p, k * lanes)
        zero = splat(fast, 0.0)
        for row in range(p * rows, (p + 1) * rows):
            factor, time, causal = spike_gradient(row, p, k, layer, spikes, gradient)
            # The response to an input never exceeds `fast`, so that this seldom needs the exact largest entry.
            if any_lane(fabs(factor) * fast > splat(fast, limit)):
                drop = exceeds(row, factor, time, causal, slow, fast, layer, inputs, limit)
                factor = select(drop, zero, factor)
            causal = select(factor == zero, zero, causal)
            n_causal = int(max_lane(causal))
            chunk = 0
            while chunk < n_causal:
                g, gs = response_factors(factor, time, inputs.origin[row, chunk], slow, fast)
                for j in range(chunk, min(n_causal, inputs.chunk_end[row, chunk])):
                    x, s = event(layer.fast, inputs, row, j, slow, fast)
                    at = (pair * n_inputs + item(inputs.order, row * n_inputs + j)) * lanes
                    entry = select(causal > splat(fast, j), x * (gs - g * s), zero)
                    store(out, at, load(out, at) + entry)
                chunk = inputs.chunk_end[row, chunk]


@compiled
def backward_time(low, high, layer, inputs, spikes, gradient, out, own):
    """Gradients by the input times, `out` [R, N], for rows low to high.

    own [3, K L] is room for g, g s(T) / fast and the number of causal inputs of each neuron.
    """
    n_networks, n_blocks, n_inputs, lanes = layer.weight.shape
    rows = inputs.finite.size // n_networks
    width = n_blocks * lanes
    for row in range(low, high):
        p = row // rows
        n_causal = 0
        for k in range(n_blocks):
            factor, time, causal = spike_gradient(row, p, k, layer, spikes, gradient)
            n_causal = max(n_causal, int(max_lane(causal)))
        chunk = 0
        while chunk < n_causal:
            for k in range(n_blocks):
                fast, slow = of_block(layer.fast, p, k * lanes), of_block(layer.slow, p, k * lanes)
                factor, time, causal = spike_gradient(row, p, k, layer, spikes, gradient)
                g, gs = response_factors(factor, time, inputs.origin[row, chunk], slow, fast)
                store(own, k * lanes, g)
                store(own, width + k * lanes, gs / fast)
                store(own, 2 * width + k * lanes, causal)
            for j in range(chunk, min(n_causal, inputs.chunk_end[row, chunk])):
                source = item(inputs.order, row * n_inputs + j)
                total = splat(out, 0.0)
                for k in range(n_blocks):
                    fast, slow = of_block(layer.fast, p, k * lanes), of_block(layer.slow, p, k * lanes)
                    x, s = event(layer.fast, inputs, row, j, slow, fast)
                    weight = load(layer.weight, ((p * n_blocks + k) * n_inputs + source) * lanes)
                    g, gs = load(own, k * lanes), load(own, width + k * lanes)
                    # k'(T - t_i) V'-normalised: x_i (1 + s_i / slow - s(T) / fast), with the sign of `factor`
                    entry = weight * x * (gs - g - g * s / slow)
                    causal = load(own, 2 * width + k * lanes) > splat(out, j)
                    total = total + select(causal, entry, splat(out, 0.0))
                out[row, source] = sum_lanes(total)
            chunk = inputs.chunk_end[row, chunk]
