"""Duration of trainings as users see it: whole processes of the command line, with kernels already compiled.

    .venv/bin/python benchmarks/training.py            # all, some ten minutes on two cores
    .venv/bin/python benchmarks/training.py start yin_yang

start           `ttfsrun --help` and a configuration error
yin_yang        300 epochs, 120 hidden neurons, one network: from the start of the command to its end
population      networks per second: one population of 20 against one-network runs, 300 epochs each
mnist           one epoch of mnist_16x16 (50,000 images, 246 hidden neurons): the difference between two lengths

Each is run several times, those to be compared in turns; medians are printed, followed by the extremes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

REPEATS = 3


def ttfsrun(*words: str, code: int = 0) -> float:
    """Run the command line once and return the seconds that it takes."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "ttfsrun", *words], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != code:
        sys.exit(f"ttfsrun {' '.join(words)} left with {done.returncode}:\n{done.stderr}")
    return seconds


def train(*words: str) -> float:
    """Return the seconds of a training; its results are discarded."""
    with tempfile.TemporaryDirectory() as folder:
        return ttfsrun("train", *words, "--out", str(Path(folder) / "run"))


def shown(name: str, seconds: Sequence[float]) -> float:
    middle = median(seconds)
    print(f"{name:<44} {middle:8.2f} s   ({min(seconds):.2f} to {max(seconds):.2f}, {len(seconds)} runs)", flush=True)
    return middle


def start() -> None:
    shown("ttfsrun --help", [ttfsrun("--help") for _ in range(7)])
    shown("a configuration error", [ttfsrun("train", "training.epochz=3", code=2) for _ in range(7)])


def yin_yang() -> None:
    train("experiment=yin_yang_paper", "training.epochs=1")
    shown("yin_yang, 300 epochs, one network", [train("experiment=yin_yang_paper") for _ in range(REPEATS)])


def population() -> None:
    train("experiment=yin_yang_paper", "training.epochs=1")
    one, twenty = [], []
    for seed in range(REPEATS):
        one.append(train("experiment=yin_yang_paper", f"seed.init={seed}"))
        twenty.append(train("experiment=yin_yang_paper", "seed.init=range(20)"))
    alone, together = shown("one network", one), shown("a population of 20", twenty)
    print(f"networks per second: {20 * alone / together:.1f} times as many in the population")


def mnist() -> None:
    experiment = "experiment=mnist_16x16_paper"
    short, long = [], []
    for _ in range(REPEATS):
        short.append(train(experiment, "training.epochs=1"))
        long.append(train(experiment, "training.epochs=6"))
    shown("one epoch of mnist_16x16", [(b - a) / 5 for a, b in zip(short, long, strict=True)])


PARTS: dict[str, Callable[[], None]] = {part.__name__: part for part in (start, yin_yang, population, mnist)}


def main(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.exit(f"{unknown[0]}: choose from {', '.join(PARTS)}")
    for name in names or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
