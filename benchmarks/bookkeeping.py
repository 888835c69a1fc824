"""Time that 10,000 points take apart from computing them, each a call of the command line from start to exit.

    .venv/bin/python benchmarks/bookkeeping.py        # some minutes

plan      `ttfsrun sweep --dry-run`: every point composed, checked, frozen, planned (the cost of a training is known)
status    of a sweep of which nine tenths are done
gather    its table; with learning curves; with statistics over the seeds
again     `ttfsrun sweep` where all points are done
reuse     `ttfsrun sweep --reuse` of a half finished sweep: into a new folder; again, where nothing is left to copy

The records are those of a real network, written under the id of each point. Medians of three runs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec

from ttfsrun.errors import COMPLETE, INCOMPLETE
from ttfsrun.results import lines
from ttfsrun.results.sweep_folder import SweepFolder

REPEATS = 3
SHARDS = 10
GRID = ["substrate.weight.bits=2,3,4,5,null", "substrate.v_th.chip_std=0.0,0.01,0.02,0.05,0.1"]
GRID += ["substrate.spike_time.jitter=0.0,0.01,0.02,0.05", "seed.init=range(100)"]


def ttfsrun(*words: object, code: int = COMPLETE) -> float:
    """Return the seconds that a call of the command line takes. Exits where its exit code is not `code`."""
    command = [sys.executable, "-m", "ttfsrun", *map(str, words)]
    start = time.perf_counter()
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if result.returncode != code:
        sys.exit(f"{' '.join(command)} exited with {result.returncode}:\n{result.stderr}")
    return seconds


def measure(name: str, *words: object, code: int = COMPLETE, new: Path | None = None) -> None:
    """Print the median time of a call. new: a folder to remove before each call."""
    seconds = []
    for _ in range(REPEATS):
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)
        seconds.append(ttfsrun(*words, code=code))
    print(f"{name:<36} {median(seconds):6.2f} s   ({min(seconds):.2f} to {max(seconds):.2f})", flush=True)


def fill(folder: SweepFolder, source: SweepFolder, share: float) -> None:
    """Give a share of the points the result of the first point of another sweep."""
    record, curves = next(source.records()), next(source.learning_curves())
    points = list(folder.points)[: round(share * len(folder.points))]
    for shard in range(SHARDS):
        for kind, entry in (("results", record), ("curves", curves)):
            content = [
                lines.encode_line(msgspec.structs.replace(entry, point=point)) for point in points[shard::SHARDS]
            ]
            (folder.shards / f"made-{shard:05d}-0.{kind}.jsonl").write_bytes(b"".join(content))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        words = ["sweep", *GRID, "training.epochs=30"]
        ttfsrun("sweep", "training.epochs=30", "--out", path / "one")
        ttfsrun(*words, "--dry-run", "--out", path / "none")  # measures the cost of a training
        measure("plan", *words, "--dry-run", "--out", path / "none")
        ttfsrun(*words, "--limit", 1, "--out", path / "many", code=INCOMPLETE)
        one, many = SweepFolder(path / "one"), SweepFolder(path / "many")
        fill(many, one, 0.9)
        measure("status", "status", many.path, code=INCOMPLETE)
        measure("gather", "gather", many.path, code=INCOMPLETE)
        measure("gather --all", "gather", many.path, "--all", code=INCOMPLETE)
        measure("gather --agg seed", "gather", many.path, "--agg", "seed", code=INCOMPLETE)
        measure("gather --curves (30 epochs)", "gather", many.path, "--curves", code=INCOMPLETE)
        fill(many, one, 1.0)
        measure("again", *words, "--out", many.path)
        fill(many, one, 0.5)
        new = path / "new"  # its first point is copied, so --limit 1 leaves nothing to compute
        reuse = [*words, "--limit", 1, "--reuse", many.path, "--out", new]
        measure("reuse", *reuse, code=INCOMPLETE, new=new)
        measure("reuse again", *reuse, code=INCOMPLETE)


if __name__ == "__main__":
    main()
