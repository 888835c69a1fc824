"""Seconds of each epoch of a training, for benchmarks/engine.py: `epochs.py WORDS` runs `ttfsrun WORDS`, JSON out.

It runs the first ttfsrun on the path, also an old one. An epoch is training on all batches, and validation.
"""

from __future__ import annotations

import json
import runpy
import time
from typing import Any

try:
    from ttfsrun.training.trainer import Trainer
except ModuleNotFoundError:  # commits before the package ttfsrun.training
    from ttfsrun.training import Trainer


def main() -> None:
    seconds: list[float] = []
    run_epoch = Trainer.run_epoch

    def timed(trainer: Trainer, *args: Any) -> None:
        start = time.perf_counter()
        run_epoch(trainer, *args)
        seconds.append(time.perf_counter() - start)

    Trainer.run_epoch = timed  # type: ignore[method-assign]
    try:
        runpy.run_module("ttfsrun", run_name="__main__", alter_sys=True)
    except SystemExit as done:
        if done.code:
            raise
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
