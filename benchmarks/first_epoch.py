"""Seconds of the first epoch in a process, for benchmarks/gpu.py: `first_epoch.py DEVICE WORDS`, JSON out.

From the end of the imports to that of the epoch, with its validation.
"""

from __future__ import annotations

import json
import sys
import time

from ttfsrun.config.compose import expand
from ttfsrun.data.samples import load_samples
from ttfsrun.training.trainer import Trainer

if __name__ == "__main__":
    start = time.perf_counter()
    configs = [point.config for point in expand(sys.argv[2:])]
    samples = load_samples(configs[0].data)[0]
    trainer = Trainer(configs, samples["train"], samples["valid"], device=sys.argv[1])
    trainer.run_epoch()
    trainer.state.to("cpu")  # waits for all kernels
    print(json.dumps(time.perf_counter() - start))
