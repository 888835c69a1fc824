"""Points per hour of a sweep on this machine, compared with a process for each point.

    .venv/bin/python benchmarks/sweep.py              # some ten minutes on two cores
    .venv/bin/python benchmarks/sweep.py 20           # fewer points

The grid is yin-yang with 120 hidden neurons, 300 epochs, and so many seeds, by `ttfsrun sweep` with cluster=local.
Against it: `ttfsrun train` once for each of a few of these points, one after the other with all cores, and as many at
once as there are cores, with a thread each; half of them before the sweep and half after it. Kernels are already
compiled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

POINTS = 100
SAMPLE = 4  # separate processes of each kind, before and after the sweep
CORES = len(os.sched_getaffinity(0))


def started(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ttfsrun", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> None:
    _, messages = process.communicate()
    if process.returncode != 0:
        sys.exit(f"{process.args} left with {process.returncode}:\n{messages}")


def single(folder: Path, at_once: int, seeds: Sequence[int]) -> float:
    """Run a process for each seed, `at_once` at a time, and return the seconds."""
    start = time.perf_counter()
    for first in range(0, len(seeds), at_once):
        group = seeds[first : first + at_once]
        settings = ["experiment=yin_yang_paper", f"cluster.threads={CORES // at_once}"]
        runs = [started("train", *settings, f"seed.init={s}", "--out", str(folder / f"{at_once}-{s}")) for s in group]
        for run in runs:
            finished(run)
    return time.perf_counter() - start


def sweep(folder: Path, points: int) -> float:
    """Run the whole sweep and return the seconds, from the start of the command to its end."""
    start = time.perf_counter()
    words = ["experiment=yin_yang_paper", f"seed.init=range({points})", "--out", str(folder / "sweep"), "--yes"]
    finished(started("sweep", *words))
    return time.perf_counter() - start


def main(points: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        finished(started("train", "training.epochs=1", "--out", str(folder / "compiled")))
        ways = {1: "one process after the other, all cores each"}
        if CORES > 1:
            ways[CORES] = f"{CORES} processes at once, a thread each"
        seconds = dict.fromkeys(ways, 0.0)
        for at_once in ways:
            seconds[at_once] += single(folder, at_once, range(SAMPLE))
        together = sweep(folder, points)
        for at_once in ways:
            seconds[at_once] += single(folder, at_once, range(SAMPLE, 2 * SAMPLE))
    rate = 3600 * points / together
    print(f"ttfsrun sweep, {points} points: {together:.0f} s, {rate:.0f} points per hour")
    for at_once, label in ways.items():
        alone = 3600 * 2 * SAMPLE / seconds[at_once]
        print(
            f"{label}, {2 * SAMPLE} of them: {alone:.0f} points per hour; the sweep: {rate / alone:.1f} times as many"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else POINTS)
