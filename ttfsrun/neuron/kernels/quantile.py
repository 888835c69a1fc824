"""The quantile of the standard normal distribution, compiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ttfsrun.neuron.kernels.compiled import compiled
from ttfsrun.neuron.kernels.elementary import log, polynomial
from ttfsrun.neuron.kernels.simd import elementwise, fabs, minimum, select, splat, sqrt

# Algorithm AS 241, PPND16 (Wichura, "The percentage points of the normal distribution", Applied Statistics 37, 1988).
# Its third rational function, for probabilities below 1.4e-11, is left out: no number of 32 bits needs it.
CENTRE = 0.425  # largest |u - 1/2| of the first rational function
CENTRE_SHIFT = 0.180625
TAIL_SHIFT = 1.6


def _polynomial(coefficients: Sequence[float]) -> Any:
    """Return an intrinsic of the polynomial with these coefficients, that of the lowest power first."""
    return elementwise(lambda builder, x: polynomial(builder, x, coefficients), 1)


_centre_numerator = _polynomial(
    (
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    )
)
_centre_denominator = _polynomial(
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    )
)
_tail_numerator = _polynomial(
    (
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    )
)
_tail_denominator = _polynomial(
    (
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    )
)


@compiled
def normal_quantile(u):
    """Return x where the standard normal distribution is u, float64; u between 1.4e-11 and 1 - 1.4e-11."""
    zero, one = splat(u, 0.0), splat(u, 1.0)
    q = u - splat(u, 0.5)
    r = splat(u, CENTRE_SHIFT) - q * q
    tail = sqrt(zero - log(minimum(u, one - u))) - splat(u, TAIL_SHIFT)
    sign = select(q < zero, zero - one, one)
    central = fabs(q) < splat(u, CENTRE)
    numerator = select(central, q * _centre_numerator(r), sign * _tail_numerator(tail))
    return numerator / select(central, _centre_denominator(r), _tail_denominator(tail))
