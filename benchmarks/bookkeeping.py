"""What ten thousand points cost apart from computing them, from the shell's prompt back to it.

    .venv/bin/python benchmarks/bookkeeping.py        # a minute

plan      `ttfsrun sweep --dry-run`: every point composed, checked, frozen, planned (the cost of a training is known)
status    of a sweep with 10,000 points, nine tenths of them done
gather    its table; with learning curves; with statistics over the seeds
again     `ttfsrun sweep` where all points are done

The records are those of a real network, written under the name of each point. Medians of three runs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec

from ttfsrun.results import lines
from ttfsrun.results.sweep_folder import SweepFolder

REPEATS = 3
GRID = ["substrate.weight.bits=2,3,4,5,null", "substrate.v_th.chip_std=0.0,0.01,0.02,0.05,0.1"]
GRID += ["substrate.spike_time.jitter=0.0,0.01,0.02,0.05", "seed.init=range(100)"]


def ttfsrun(*words: object, codes: tuple[int, ...] = (0,)) -> float:
    """Seconds that one call of the command line takes."""
    command = [sys.executable, "-m", "ttfsrun", *map(str, words)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode not in codes:
        sys.exit(f"{' '.join(command)} left with {done.returncode}:\n{done.stderr}")
    return seconds


def shown(name: str, *words: object, codes: tuple[int, ...] = (0,)) -> None:
    seconds = [ttfsrun(*words, codes=codes) for _ in range(REPEATS)]
    print(f"{name:<36} {median(seconds):6.2f} s   ({min(seconds):.2f} to {max(seconds):.2f})", flush=True)


def filled(folder: SweepFolder, like: SweepFolder, share: float) -> None:
    """Give so many of the points the result of another sweep's first point, in ten shards."""
    record, curves = next(like.records()), next(like.learning_curves())
    points = list(folder.points)[: round(share * len(folder.points))]
    for number in range(10):
        for kind, entry in (("results", record), ("curves", curves)):
            content = [lines.encode_line(msgspec.structs.replace(entry, point=point)) for point in points[number::10]]
            (folder.shards / f"made-{number:05d}-0.{kind}.jsonl").write_bytes(b"".join(content))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        words = ["sweep", *GRID, "training.epochs=30"]
        ttfsrun("sweep", "training.epochs=30", "--out", path / "one")
        ttfsrun(*words, "--dry-run", "--out", path / "none")  # measures the cost of a training
        shown("plan", *words, "--dry-run", "--out", path / "none")
        ttfsrun(*words, "--limit", 1, "--out", path / "many", codes=(4,))
        many = SweepFolder(path / "many")
        filled(many, SweepFolder(path / "one"), 0.9)
        shown("status", "status", many.path, codes=(4,))
        shown("gather", "gather", many.path, codes=(4,))
        shown("gather --all", "gather", many.path, "--all", codes=(4,))
        shown("gather --agg seed", "gather", many.path, "--agg", "seed", codes=(4,))
        shown("gather --curves (30 epochs)", "gather", many.path, "--curves", codes=(4,))
        filled(many, SweepFolder(path / "one"), 1.0)
        shown("again", *words, "--out", many.path)


if __name__ == "__main__":
    main()
