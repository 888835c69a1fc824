"""Share of a Slurm task's time that is spent on its points, and number of files that a sweep leaves.

    .venv/bin/python benchmarks/sweep_overhead.py        # some minutes; needs a Slurm: slurm/dev-cluster start

Yin-yang with 120 hidden neurons, 300 epochs, as many seeds as make four tasks of one core and about two minutes. The
time of a task is that of `sacct`, from its start to its end; that of its points is in their records: training
and evaluation. The rest is the start of Python, imports, the data, files, and Slurm's own steps.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from statistics import median

from ttfsrun.results.sweep_folder import SweepFolder

TASKS = 4
GRID = (
    "experiment=yin_yang_paper",
    "cluster=slurm",
    "cluster.cores=1",
    "cluster.task_minutes=2",
    f"cluster.max_tasks={TASKS}",
)


def ttfsrun(*words: object) -> str:
    command = [sys.executable, "-m", "ttfsrun", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} left with {done.returncode}:\n{done.stderr}")
    return done.stdout + done.stderr


def points_of_two_minutes(path: Path) -> int:
    """Return the number of seeds for a task of two minutes, from the estimate of `--dry-run`."""
    told = ttfsrun("sweep", *GRID, "seed.init=range(400)", "--dry-run", "--out", path)
    hours = re.search(r"([\d.e+-]+) core-hours", told)
    assert hours is not None
    return max(1, round(120 / (float(hours[1]) * 3600 / 400)))


def elapsed(tasks: Collection[str]) -> dict[str, float]:
    """Return the seconds of each task. The accounting lags behind, so this waits until all tasks are complete."""
    jobs = ",".join(sorted({task.partition("_")[0] for task in tasks}))
    command = ["sacct", "-X", "-n", "-P", "-o", "JobID,ElapsedRaw,State", "-j", jobs]
    while True:
        rows = [line.split("|") for line in subprocess.check_output(command, text=True).splitlines()]
        ended = {task: float(seconds) for task, seconds, state in rows if state == "COMPLETED"}
        if ended.keys() >= set(tasks):
            return ended
        time.sleep(1)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ttfsrun-", dir=Path.cwd()) as name:  # nodes may not share /tmp
        path = Path(name) / "sweep"
        count = TASKS * points_of_two_minutes(path)
        ttfsrun("sweep", *GRID, f"seed.init=range({count})", "--out", path, "--yes")
        ttfsrun("status", path, "--watch", "1")
        folder = SweepFolder(path)
        spent: dict[str, float] = defaultdict(float)
        for record in folder.latest().values():
            spent[str(record.execution.job)] += record.execution.seconds
        seconds = elapsed(spent.keys())
        shares = []
        for job, used in sorted(spent.items()):
            shares.append(used / seconds[job])
            print(f"task {job}: {seconds[job]:.0f} s, its points {used:.0f} s: {shares[-1]:.1%}", flush=True)
        print(f"of a task's time, {median(shares):.1%} is its points' (median; least {min(shares):.1%})")
        files = sum(file.is_file() for file in path.rglob("*"))
        print(f"{files} files for {len(folder.points)} points in {len(shares)} tasks")


if __name__ == "__main__":
    main()
