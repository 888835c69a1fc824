"""The event walk: first spikes from sorted inputs, compiled.

One formulation serves every ratio of the time constants. With slow = max(tau_mem, tau_syn),
fast = min(tau_mem, tau_syn), r = 1/fast - 1/slow >= 0, an origin o, and the stretched time

    s(t) = (1 - exp(-r (t - o))) / r        (t - o where r = 0)

the membrane above its leak is, between two inputs,

    U(t) = exp(-(t - o) / slow) (a s(t) + b)
    a = sum_i w_i x_i        b = -sum_i w_i x_i s(t_i)        x_i = exp((t_i - o) / fast)

because the response to one input is symmetric in the two time constants. An input costs two fused
multiply-adds. A crossing of theta = v_th - v_leak is a root of f(t) = a s(t) + b - theta exp((t - o) / slow),
which is concave where a > 0 (and falls where a <= 0): an interval holds a crossing if f > 0 at its end or at
its interior peak. Both are excluded at once, for most inputs, by a s(t_end) + b <= theta exp((t_start - o) / slow).

The origin moves on when inputs span more than 2 fast (a "chunk"), which bounds rounding and excludes overflow.
A block of neurons walks together, one per SIMD lane; a lane depends on no other (but where neurons have time
constants of their own, the layer's shortest sets the chunks).

Shapes: R rows (samples of all networks, `rows` per network), N inputs, K blocks of L neurons, padded to K L.
"""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from ttfsrun.neuron.compiled import compiled
from ttfsrun.neuron.events import CHUNK, chunk_inputs, event, of_block, prepare_shared, stretched
from ttfsrun.neuron.simd import any_lane, exp, fabs, fma, item, load, log, maximum, minimum, select, splat, sqrt, store

MAX_ITERATIONS = 64  # the root needs 2 or 3; more only where the peak grazes the threshold
TILE = 16  # rows whose inputs stay in the cache while all blocks of neurons walk over them


def interval_start(tau, ahead, j, slow, fast):
    """(exp(start / slow), stretched end) of the interval after input j, as vectors."""


@overload(interval_start)
def _interval_start(tau, ahead, j, slow, fast):
    def shared(tau, ahead, j, slow, fast):
        width = ahead.shape[1]
        return splat(tau, item(ahead, 2 * width + j)), splat(tau, item(ahead, 3 * width + j))

    def own(tau, ahead, j, slow, fast):
        return exp(splat(tau, ahead[0, j]) / slow), stretched(splat(tau, ahead[1, j]), slow, fast)

    return shared if tau.ndim == 1 else own


def interval_end(tau, ahead, j, slow, fast):
    """(exp(end / slow), exp(end / fast)) of the interval after input j, as vectors."""


@overload(interval_end)
def _interval_end(tau, ahead, j, slow, fast):
    def shared(tau, ahead, j, slow, fast):
        width = ahead.shape[1]
        return splat(tau, item(ahead, 4 * width + j)), splat(tau, item(ahead, 5 * width + j))

    def own(tau, ahead, j, slow, fast):
        end = splat(tau, ahead[1, j])
        return exp(end / slow), exp(end / fast)

    return shared if tau.ndim == 1 else own


@compiled
def peak_height(current, voltage, theta, slow, fast):
    """f at its peak, scaled, from the state at the start of an interval; finite where current slow > theta > 0."""
    peak = fast * log(current * slow / theta)
    return fma(current, stretched(peak, slow, fast), voltage) - theta * exp(peak / slow)


@compiled
def crossing(hit, current, voltage, theta, slow, fast, length, epsilon):
    """First root h of g(h) = current s(h) + voltage - theta exp(h / slow), known to lie in [0, length] where `hit`.

    g is concave and rises up to its peak. A parabola through the start gives the first guess, Halley's method
    the rest: a lane stops where its next correction, estimated from the curvature, is below the rounding of h.
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
    active = hit
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
        h = select(active, minimum(maximum(h - step, zero), last), h)
        size = fabs(curvature)
        active = active & ((size > near) | (size * size * fabs(step) > rounding * maximum(h, fast)))
        if not any_lane(active):
            break
    return h


@compiled
def advance(j, stop, a, b, threshold, slow, fast, row, weights, layer, inputs, ahead):
    """Charge a block with inputs j, j + 1, ... until a neuron may spike before the next input: (that input, a, b).

    The input is `stop` where none may. This is the inner loop, apart from what seldom happens so that all it
    needs stays in registers.
    """
    n_inputs, lanes = layer.weight.shape[2:]
    while j < stop:
        x, s = event(layer.fast, inputs, row, j, slow, fast)
        source = item(inputs.order, row * n_inputs + j)
        charge = load(layer.weight, weights + source * lanes) * x
        a = a + charge
        b = b - charge * s
        q, s_end = interval_start(layer.fast, ahead, j, slow, fast)
        if any_lane(fma(a, s_end, b) > threshold * q):
            break
        j += 1
    return j, a, b


@compiled
def spikes_before_next(j, a, b, threshold, slow, fast, row, layer, inputs, ahead):
    """(lanes that spike between input j and the next, their current and voltage just after input j)."""
    x, s = event(layer.fast, inputs, row, j, slow, fast)
    q, s_end = interval_start(layer.fast, ahead, j, slow, fast)
    q_end, x_end = interval_end(layer.fast, ahead, j, slow, fast)
    end = fma(a, s_end, b)
    new = end > threshold * q_end
    drive = a * slow
    peaked = (end > threshold * q) & ~new & (drive > threshold * x) & (threshold * x_end > drive)
    current, voltage = a / x, fma(a, s, b) / q
    if any_lane(peaked):
        new = new | (peaked & (peak_height(current, voltage, threshold, slow, fast) > splat(a, 0.0)))
    return new, current, voltage


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
    chunk = j = 0
    while j < inputs.finite[row] and any_lane(threshold < never):
        if j > 0 and j == inputs.chunk_end[row, chunk]:
            passed = splat(theta, inputs.origin[row, j] - inputs.origin[row, chunk])
            b = fma(a, stretched(passed, slow, fast), b) * exp(zero - passed / slow)
            a = a * exp(zero - passed / fast)
            chunk = j
        stop = inputs.chunk_end[row, chunk]
        j, a, b = advance(j, stop, a, b, threshold, slow, fast, row, weights, layer, inputs, ahead)
        if j < stop:
            new, i_now, v_now = spikes_before_next(j, a, b, threshold, slow, fast, row, layer, inputs, ahead)
            current, voltage = select(new, i_now, current), select(new, v_now, voltage)
            start = select(new, splat(theta, inputs.origin[row, chunk] + inputs.delay[row, j]), start)
            length = select(new, splat(theta, ahead[1, j] - ahead[0, j]), length)
            causal = select(new, splat(theta, j + 1), causal)
            threshold = select(new, never, threshold)
            hit = hit | new
            j += 1

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
