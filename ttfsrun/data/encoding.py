"""The encoding of values as spike times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ttfsrun.config import schema


def encode(values: NDArray[np.float32], encoding: schema.Encoding) -> NDArray[np.float32]:
    """Return the spike time t_early + (t_late - t_early) x of every value, inf for no spike (Göltz et al. 2021).

    values [...]: x in [0, 1]; result [...]: float32, in tau_syn. Computed in float64 and rounded once, so that
    x = 0 and x = 1 give exactly t_early and t_late.
    """
    times = values.astype(np.float64)
    times *= encoding.t_late - encoding.t_early
    times += encoding.t_early
    spikes = times.astype(np.float32)
    if encoding.silent_at_one:
        spikes[values == 1] = np.inf  # exact: a white pixel is 0 in the image and 1 - 0 / 255 is 1
    return spikes
