"""A logarithmic axis with ticks in plain numbers."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter


def vertical(axes: Axes, positive: np.ndarray) -> None:
    """Make the vertical axis logarithmic around positive values, with 1, 2 or 5 times a power of ten at either end.

    Zeros are clipped: they are below the bottom of the axis.
    """
    first, last = (int(np.floor(np.log10(value))) for value in (positive.min(), positive.max()))
    steps = [factor * 10.0**power for power in range(first - 1, last + 2) for factor in (1, 2, 5)]
    low = max(step for step in steps if step <= positive.min())
    high = min(step for step in steps if step >= positive.max() and step > low)
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(low / 1.06, high * 1.06)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high <= 200 * low else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
