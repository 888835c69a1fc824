"""The compiled event walk and its derivatives: what `first_spike` executes.

One formulation serves every ratio of the time constants. With slow = max(tau_mem, tau_syn),
fast = min(tau_mem, tau_syn), r = 1/fast - 1/slow >= 0, an origin o, and the stretched time

    s(t) = (1 - exp(-r (t - o))) / r        (t - o where r = 0)

the membrane above its leak is, between two inputs,

    U(t) = exp(-(t - o) / slow) (a s(t) - b)
    a = sum_i w_i x_i        b = sum_i w_i x_i s(t_i)        x_i = exp((t_i - o) / fast)

because the response to one input is symmetric in the two time constants. An input costs two fused
multiply-adds. A crossing of theta = v_th - v_leak is a root of f(t) = a s(t) - b - theta exp((t - o) / slow),
which is concave where a > 0 (and falls where a <= 0): an interval holds a crossing if f > 0 at its end or at
its interior peak. Both are excluded at once, for most inputs, by a s(t_end) - b <= theta exp((t_start - o) / slow).

The origin moves on when inputs span more than 2 fast (a "chunk"), which bounds rounding and excludes overflow.
A block of neurons walks together, one per SIMD lane; a lane depends on nothing but its own weights.

Shapes: R rows (samples of all networks, `rows` per network), N inputs, K blocks of L neurons, padded to K L.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from ttfsrun.neuron.compiled import compiled
from ttfsrun.neuron.simd import (
    any_lane,
    decay_series,
    exp,
    fabs,
    fma,
    load,
    log,
    max_lane,
    maximum,
    minimum,
    select,
    splat,
    sqrt,
    store,
    sum_lanes,
)

Floats = NDArray[Any]

CHUNK = 2.0  # span of the inputs that share an origin, in units of the faster time constant
FAR = 1e30  # "no further input": a finite stand-in for the end of time
MAX_ITERATIONS = 64  # Newton needs 2 or 3; more only where the peak grazes the threshold
TILE = 16  # rows whose inputs stay in the cache while all blocks of neurons walk over them


class Layer(NamedTuple):
    """A layer of P networks: packed weights, and the four neuron parameters as the walk needs them."""

    weight: Floats  # [P, K, N, L]
    theta: Floats  # [P, rows or 1, K L]: v_th - v_leak; inf in the padding
    fast: Floats  # [P], or [P, K L] where each neuron has its own
    slow: Floats  # the same shape
    shortest: Floats  # [P]: the smallest of `fast`


class Inputs(NamedTuple):
    """The finite input spikes of each row in the order of time; only the first `finite` entries are set."""

    finite: NDArray[np.int32]  # [R]: how many there are
    order: NDArray[np.int32]  # [R, N]: index of the input
    chunk_end: NDArray[np.int32]  # [R, N]: set where a chunk starts
    origin: Floats  # [R, N]: set where a chunk starts
    delay: Floats  # [R, N]: since the chunk's origin
    x: Floats  # [R, N]: exp(delay / fast); this and s only where neurons share their time constants
    s: Floats  # [R, N]: stretched delay


class Spikes(NamedTuple):
    """What the walk finds for each row and neuron."""

    time: Floats  # [R, K L]: inf where there is none
    causal: Floats  # [R, K L]: number of inputs up to the spike; 0 where there is none
    slope: Floats  # [R, K L]: dV/dt at the spike; 1 where there is none


def of_block(array, p, offset):
    """A parameter of the block of neurons at `offset`: one number per network, or one per neuron."""


@overload(of_block)
def _of_block(array, p, offset):
    if array.ndim == 1:
        return lambda array, p, offset: splat(array, array[p])
    return lambda array, p, offset: load(array, p * array.shape[1] + offset)


def event(tau, inputs, row, j, slow, fast):
    """(x, s) of input j of a row as vectors: prepared once for all neurons, or for each neuron's own constants."""


@overload(event)
def _event(tau, inputs, row, j, slow, fast):
    def shared(tau, inputs, row, j, slow, fast):
        return splat(tau, inputs.x[row, j]), splat(tau, inputs.s[row, j])

    def own(tau, inputs, row, j, slow, fast):
        delay = splat(tau, inputs.delay[row, j])
        return exp(delay / fast), stretched(delay, slow, fast)

    return shared if tau.ndim == 1 else own


def interval_start(tau, ahead, j, slow, fast):
    """(exp(start / slow), stretched end) of the interval after input j, as vectors."""


@overload(interval_start)
def _interval_start(tau, ahead, j, slow, fast):
    def shared(tau, ahead, j, slow, fast):
        return splat(tau, ahead[2, j]), splat(tau, ahead[3, j])

    def own(tau, ahead, j, slow, fast):
        return exp(splat(tau, ahead[0, j]) / slow), stretched(splat(tau, ahead[1, j]), slow, fast)

    return shared if tau.ndim == 1 else own


def interval_end(tau, ahead, j, slow, fast):
    """(exp(end / slow), exp(end / fast)) of the interval after input j, as vectors."""


@overload(interval_end)
def _interval_end(tau, ahead, j, slow, fast):
    def shared(tau, ahead, j, slow, fast):
        return splat(tau, ahead[4, j]), splat(tau, ahead[5, j])

    def own(tau, ahead, j, slow, fast):
        end = splat(tau, ahead[1, j])
        return exp(end / slow), exp(end / fast)

    return shared if tau.ndim == 1 else own


def prepare_shared(tau, layer, p, row, inputs, ahead):
    """Fill in what all neurons of a layer share; nothing where each has its own time constants."""


@overload(prepare_shared)
def _prepare_shared(tau, layer, p, row, inputs, ahead):
    def shared(tau, layer, p, row, inputs, ahead):
        lanes = layer.weight.shape[3]
        fast, slow = splat(tau, layer.fast[p]), splat(tau, layer.slow[p])
        for j in range(0, inputs.finite[row], lanes):
            here = row * inputs.x.shape[1] + j
            start, end = load(inputs.delay, here), load(ahead[1], j)
            store(inputs.x, here, exp(start / fast))
            store(inputs.s, here, stretched(start, slow, fast))
            store(ahead[2], j, exp(start / slow))
            store(ahead[3], j, stretched(end, slow, fast))
            store(ahead[4], j, exp(end / slow))
            store(ahead[5], j, exp(end / fast))

    def own(tau, layer, p, row, inputs, ahead):
        pass

    return shared if tau.ndim == 1 else own


@compiled
def stretched(delay, slow, fast):
    """(1 - exp(-r delay)) / r, smooth through r = 0."""
    one = splat(delay, 1.0)
    z = delay * (one / fast - one / slow)
    by_series = delay * decay_series(z)
    large = fabs(z) > splat(delay, 0.5)
    if any_lane(large):
        return select(large, delay * ((one - exp(splat(delay, 0.0) - z)) / z), by_series)
    return by_series


@compiled
def sort_keys(times, keys):
    """Integers that sort like (time, index) of float32 times [R, N]; returns whether no time is NaN or -inf."""
    bits = times.view(np.uint32)
    valid = True
    for row in range(times.shape[0]):
        for i in range(times.shape[1]):
            valid &= times[row, i] > -np.inf
            word = bits[row, i]
            flipped = word ^ (np.uint32(0xFFFFFFFF) if word >> np.uint32(31) else np.uint32(0x80000000))
            keys[row, i] = (np.uint64(flipped) << np.uint64(32)) | np.uint64(i)
    return valid


@compiled
def chunk_inputs(times, row, span, inputs, ahead):
    """Delays of a row's inputs since the origin of their chunk, and of the next input (`ahead`: start, end)."""
    count = 0
    while count < times.shape[1] and times[row, inputs.order[row, count]] < np.inf:
        count += 1
    inputs.finite[row] = count
    start = 0
    while start < count:
        first = times[row, inputs.order[row, start]]
        origin = first + span / 2
        end = start
        while end < count and times[row, inputs.order[row, end]] - first <= span:
            delay = times[row, inputs.order[row, end]] - origin
            inputs.delay[row, end] = delay
            ahead[0, end] = delay
            if end > start:
                ahead[1, end - 1] = delay
            end += 1
        ahead[1, end - 1] = times[row, inputs.order[row, end]] - origin if end < count else FAR
        inputs.origin[row, start] = origin
        inputs.chunk_end[row, start] = end
        start = end


@compiled
def peak_height(current, voltage, theta, slow, fast):
    """f at its peak, scaled, from the state at the start of an interval; finite where current slow > theta > 0."""
    peak = fast * log(current * slow / theta)
    return fma(current, stretched(peak, slow, fast), voltage) - theta * exp(peak / slow)


@compiled
def crossing(hit, current, voltage, theta, slow, fast, length, epsilon):
    """First root h of g(h) = current s(h) + voltage - theta exp(h / slow), known to lie in [0, length] where `hit`.

    g is concave and rises up to its peak. A parabola through the start gives the first guess, Halley's method
    the rest: it stops where the next correction, estimated from the curvature, is below the rounding of h.
    """
    zero, one, half = splat(current, 0.0), splat(current, 1.0), splat(current, 0.5)
    smallest, near, rounding = splat(current, 1e-30), splat(current, 0.1), splat(current, epsilon)
    leak = one / slow
    rate = one / fast - leak
    last = minimum(length, maximum(fast * log(current * slow / theta), zero))
    gap = theta - voltage
    fall = theta * leak
    gradient = current - fall
    bend = fma(current, rate, fall * leak)
    root = sqrt(maximum(gradient * gradient - (bend + bend) * gap, zero))
    h = maximum(minimum((gap + gap) / (gradient + root), last), zero)
    for _ in range(MAX_ITERATIONS):
        decay = current * exp(zero - h * rate)
        growth = theta * exp(h * leak)
        value = fma(current, stretched(h, slow, fast), voltage) - growth
        growth = growth * leak
        steepness = one / maximum(decay - growth, smallest)
        step = value * steepness
        curvature = step * fma(decay, rate, growth * leak) * steepness  # of g, per Newton step
        # A guess at the peak or beyond is thrown far to the left: start again from there.
        step = step / maximum(fma(half, curvature, one), half)
        h = minimum(maximum(h - step, zero), last)
        size = fabs(curvature)
        again = (size > near) | (size * size * fabs(step) > rounding * maximum(h, fast))
        if not any_lane(hit & again):
            break
    return h


@compiled
def walk(row, p, k, layer, inputs, ahead, spikes):
    """First spikes of one block of neurons in one row; `ahead` [6, N] belongs to the row."""
    n_blocks, n_inputs, lanes = layer.weight.shape[1:]
    fast, slow = of_block(layer.fast, p, k * lanes), of_block(layer.slow, p, k * lanes)
    weights = (p * n_blocks + k) * n_inputs * lanes
    sample = (row % (inputs.finite.size // layer.theta.shape[0])) % layer.theta.shape[1]
    theta = load(layer.theta, ((p * layer.theta.shape[1] + sample) * n_blocks + k) * lanes)
    zero, one, never = splat(theta, 0.0), splat(theta, 1.0), splat(theta, np.inf)

    at_rest = zero >= theta  # v_leak at or above v_th: fires by itself when the observation begins
    threshold = select(at_rest, never, theta)  # inf: nothing (more) to wait for
    hit = threshold < zero
    current = voltage = start = length = causal = zero
    a = b = zero
    count = inputs.finite[row]
    chunk = 0
    origin = inputs.origin[row, 0]
    while chunk < count:
        if chunk > 0:
            passed = splat(theta, inputs.origin[row, chunk] - origin)
            b = fma(a, stretched(passed, slow, fast), b) * exp(zero - passed / slow)
            a = a * exp(zero - passed / fast)
        origin = inputs.origin[row, chunk]
        for j in range(chunk, inputs.chunk_end[row, chunk]):
            x, s = event(layer.fast, inputs, row, j, slow, fast)
            charge = load(layer.weight, weights + inputs.order[row, j] * lanes) * x
            a = a + charge
            b = b - charge * s
            q, s_end = interval_start(layer.fast, ahead, j, slow, fast)
            end = fma(a, s_end, b)
            possible = end > threshold * q
            if any_lane(possible):
                q_end, x_end = interval_end(layer.fast, ahead, j, slow, fast)
                new = end > threshold * q_end
                drive = a * slow
                peaked = possible & ~new & (drive > threshold * x) & (threshold * x_end > drive)
                if any_lane(new | peaked):
                    i_now, v_now = a / x, fma(a, s, b) / q
                    if any_lane(peaked):
                        new = new | (peaked & (peak_height(i_now, v_now, threshold, slow, fast) > zero))
                    current, voltage = select(new, i_now, current), select(new, v_now, voltage)
                    start = select(new, splat(theta, origin + inputs.delay[row, j]), start)
                    length = select(new, splat(theta, ahead[1, j] - ahead[0, j]), length)
                    causal = select(new, splat(theta, j + 1), causal)
                    threshold = select(new, never, threshold)
                    hit = hit | new
                    if not any_lane(threshold < never):
                        break
        if not any_lane(threshold < never):
            break
        chunk = inputs.chunk_end[row, chunk]

    epsilon = np.finfo(spikes.time.dtype).eps
    h = zero
    if any_lane(hit):
        h = crossing(hit, current, voltage, theta, slow, fast, length, epsilon)
    # Where the peak grazes the threshold the slope drowns in rounding; it is positive all the same.
    fall = theta / slow
    slope = maximum(current * exp(zero - h / fast) - fall, splat(theta, epsilon) * fall)
    out = (row * n_blocks + k) * lanes
    store(spikes.time, out, select(hit, start + h, select(at_rest, zero, never)))
    store(spikes.causal, out, causal)
    store(spikes.slope, out, select(hit, slope, one))


@compiled
def forward(low, high, times, layer, inputs, spikes, ahead):
    """First spikes of rows low to high. `inputs.order` is given, the rest of `inputs` and `spikes` are filled.

    ahead [TILE, 6, N] is room for what only this call needs.
    """
    rows = times.shape[0] // layer.theta.shape[0]
    for tile in range(low, high, TILE):
        until = min(tile + TILE, high)
        for row in range(tile, until):
            p = row // rows
            chunk_inputs(times, row, CHUNK * layer.shortest[p], inputs, ahead[row - tile])
            prepare_shared(layer.fast, layer, p, row, inputs, ahead[row - tile])
        for k in range(layer.weight.shape[1]):
            for row in range(tile, until):
                walk(row, row // rows, k, layer, inputs, ahead[row - tile], spikes)


@compiled
def spike_gradient(row, p, k, layer, spikes, gradient):
    """(-gradient / V'(T), T, number of causal inputs, slow, fast) of a block of neurons; 0 where none spiked."""
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
    """Lanes whose weight gradient has an entry of magnitude above the limit, or that is no number."""
    largest = splat(factor, 0.0)
    zero = splat(factor, 0.0)
    n_causal = int(max_lane(causal))
    chunk = 0
    while chunk < n_causal:
        g, gs = response_factors(factor, time, inputs.origin[row, chunk], slow, fast)
        for j in range(chunk, min(n_causal, inputs.chunk_end[row, chunk])):
            x, s = event(layer.fast, inputs, row, j, slow, fast)
            entry = fabs(x * (gs - g * s))
            largest = maximum(largest, select(causal > splat(factor, j), entry, zero))
        chunk = inputs.chunk_end[row, chunk]
    return ~(splat(factor, limit) >= largest) | ~(factor == factor)


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
            if any_lane(~(splat(fast, limit) >= fabs(factor) * fast)):
                drop = exceeds(row, factor, time, causal, slow, fast, layer, inputs, limit)
                factor = select(drop, zero, factor)
            causal = select(factor == zero, zero, causal)
            n_causal = int(max_lane(causal))
            chunk = 0
            while chunk < n_causal:
                g, gs = response_factors(factor, time, inputs.origin[row, chunk], slow, fast)
                for j in range(chunk, min(n_causal, inputs.chunk_end[row, chunk])):
                    x, s = event(layer.fast, inputs, row, j, slow, fast)
                    at = (pair * n_inputs + inputs.order[row, j]) * lanes
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
                total = splat(out, 0.0)
                for k in range(n_blocks):
                    fast, slow = of_block(layer.fast, p, k * lanes), of_block(layer.slow, p, k * lanes)
                    x, s = event(layer.fast, inputs, row, j, slow, fast)
                    weight = load(layer.weight, ((p * n_blocks + k) * n_inputs + inputs.order[row, j]) * lanes)
                    g, gs = load(own, k * lanes), load(own, width + k * lanes)
                    # k'(T - t_i) V'-normalised: x_i (1 + s_i / slow - s(T) / fast), with the sign of `factor`
                    entry = weight * x * (gs - g - g * s / slow)
                    causal = load(own, 2 * width + k * lanes) > splat(out, j)
                    total = total + select(causal, entry, splat(out, 0.0))
                out[row, inputs.order[row, j]] = sum_lanes(total)
            chunk = inputs.chunk_end[row, chunk]
