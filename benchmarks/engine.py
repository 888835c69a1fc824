"""Speed of training in this checkout against that in an old one, each run in turns by the same interpreter, on CPUs.

    git worktree add ../old 1c340df
    .venv/bin/python benchmarks/engine.py ../old                     # all parts, about an hour on two cores
    .venv/bin/python benchmarks/engine.py ../old --part mnist_16x16 --epochs 1 --pairs 2

yin_yang        one network, 300 epochs: the whole process
population      20 networks of yin_yang, 300 epochs, one thread: networks per second and core, from the whole process
mnist_16x16     an epoch of 50,000 images, 256-246-10 neurons, with its validation; the first one, which may compile,
                does not count
mnist_28x28     likewise, 784-350-10 neurons

The two checkouts take turns; a ratio is the median over the pairs, followed by the extremes. Kernels are already
compiled. What does not say one thread uses all cores. The recipes are those of the paper, which stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from report import Goal, duration, machine, ratio, table

THIS = Path(__file__).resolve().parent.parent
NETWORKS = 20
YIN_YANG = "experiment=yin_yang_paper"


def run(checkout: Path, *program: str) -> tuple[float, str]:
    """Run a Python program with the ttfsrun of a checkout; return its seconds and its standard output."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, *program]
    start = time.perf_counter()
    # The working folder precedes PYTHONPATH.
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{' '.join(program)} in {checkout} left with {done.returncode}:\n{done.stderr}")
    return seconds, done.stdout


def train(checkout: Path, program: Sequence[str], *settings: str) -> tuple[float, str]:
    """Train by a program that takes the words of ttfsrun; the results are discarded."""
    with tempfile.TemporaryDirectory() as folder:
        return run(checkout, *program, "train", *settings, "--out", str(Path(folder) / "run"))


def process(*settings: str) -> Callable[[Path, int], float]:
    """Return a function of (checkout, epochs): the seconds of the whole process."""
    return lambda checkout, epochs: train(checkout, ("-m", "ttfsrun"), *settings, f"training.epochs={epochs}")[0]


def epoch(*settings: str) -> Callable[[Path, int], float]:
    """Return a function of (checkout, epochs): the median seconds of one of so many epochs, after a first one."""
    program = [str(Path(__file__).with_name("epochs.py"))]

    def seconds(checkout: Path, epochs: int) -> float:
        _, output = train(checkout, program, *settings, f"training.epochs={epochs + 1}")
        return median(json.loads(output.splitlines()[-1])[1:])

    return seconds


@dataclass(frozen=True)
class Part:
    """A training to time, and the bound of its duration as a fraction of that in the old checkout.

    networks: if not 0, the bound is that of networks per second instead.
    """

    seconds: Callable[[Path, int], float]
    epochs: int
    bound: float
    networks: int = 0

    def quantity(self, seconds: float) -> str:
        return f"{self.networks / seconds:.3g} /s" if self.networks else duration(seconds)

    def ratio(self, old: float, new: float) -> float:
        """Return how many times as many networks per second, or which fraction of the time."""
        return old / new if self.networks else new / old


PARTS = {
    "yin_yang": Part(process(YIN_YANG), 300, 0.55),
    "population": Part(process(YIN_YANG, f"seed.init=range({NETWORKS})", "cluster.threads=1"), 300, 1.4, NETWORKS),
    "mnist_16x16": Part(epoch("experiment=mnist_16x16_paper"), 3, 0.8),
    "mnist_28x28": Part(epoch("experiment=mnist_28x28_paper"), 3, 0.8),
}


def measure(part: Part, old: Path, epochs: int, pairs: int) -> list[tuple[float, float]]:
    """Return the seconds of (old, new) for each pair."""
    measured = []
    for pair in range(pairs):
        order = (old, THIS) if pair % 2 == 0 else (THIS, old)
        seconds = {checkout: part.seconds(checkout, epochs) for checkout in order}
        measured.append((seconds[old], seconds[THIS]))
    return measured


def row(name: str, part: Part, measured: Sequence[tuple[float, float]]) -> tuple[list[str], Goal]:
    """Return a row of the table, and its goal."""
    old, new = (part.quantity(median(seconds)) for seconds in zip(*measured, strict=True))
    ratios = sorted(part.ratio(*pair) for pair in measured)
    goal = Goal(f"{name}, new / old", median(ratios), part.bound, at_least=part.networks > 0)
    spread = f"{ratio(ratios[0])} to {ratio(ratios[-1])}"
    bound = f"{'at least' if goal.at_least else 'at most'} {part.bound:g}"
    return [name, old, new, ratio(goal.value), spread, str(len(measured)), bound], goal


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, help="the checkout to compare with")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.add_argument("--epochs", type=int, help="instead of 300 of yin-yang and 3 of MNIST")
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args(arguments)
    old = options.old.resolve()
    for checkout in (old, THIS):
        if not (checkout / "ttfsrun" / "__main__.py").exists():
            sys.exit(f"{checkout}: not a checkout of ttfsrun; git worktree add makes one")
    print(json.dumps(machine()), flush=True)
    for checkout in (old, THIS):
        PARTS["yin_yang"].seconds(checkout, 1)  # compiles
    rows, goals = [], []
    for name in options.part or PARTS:
        part = PARTS[name]
        cells, goal = row(name, part, measure(part, old, options.epochs or part.epochs, options.pairs))
        print(f"{name}: {' '.join(cells[1:5])}", file=sys.stderr)
        rows.append(cells)
        goals.append(goal)
    table(["", "old", "new", "new / old", "min to max", "pairs", "wanted"], rows)
    for goal in goals:
        print(goal)


if __name__ == "__main__":
    main(sys.argv[1:])
