"""What the bookkeeping of N points takes: time, memory, files. Each is a call of the command line, start to exit.

    .venv/bin/python benchmarks/scale.py 10000 100000 | tee results/reference/sweeps/scale.txt    # ten minutes

The block under "Measured" in docs/scale.md is this output; the two tables there follow from its seconds and peaks.

The scheduler is simulated: commands on the PATH that accept everything and know nothing. The arrays are submitted to it
as they would be to Slurm, and the records are those of a real network, with other numbers for each point, in a shard
for each array task. 99 % of the points have a record, of which 1 in 200 is a failure.

user+sys  seconds of CPU        peak   largest resident memory
opened    files that the call opens in the folder of the sweep
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from ttfsrun.results import lines
from ttfsrun.results.record import Curves, Record
from ttfsrun.results.sweep_folder import Intent, SweepFolder

VALUES = ["substrate.weight.bits=2,3,4,5,null", "substrate.v_th.chip_std=0.0,0.01,0.02,0.05,0.1"]
VALUES += ["substrate.spike_time.jitter=0.0,0.01,0.02,0.05", "training.epochs=30"]
CLUSTER = ["cluster=slurm", "cluster.task_minutes=2"]  # short, so that there are many tasks
POINTS_PER_SEED = 100
SHARE, FAILED = 0.99, 200
SCHEDULER = {
    "sbatch": "echo Submitted batch job $$",
    "srun": "",
    "squeue": "",
    "sacct": "",
    "scontrol": "echo 'MaxArraySize            = 1001'",
    "sinfo": "echo 'normal*|256000'",
    "sacctmgr": "",
}
COUNTING = """
import sys
opened = 0
def count(event, args):
    global opened
    opened += event == "open" and str(args[0]).startswith(FOLDER)
FOLDER = sys.argv.pop(1)
sys.addaudithook(count)
from ttfsrun.cli.main import main
code = main()
sys.stderr.write(f"\\nopened {opened}\\n")
sys.exit(code)
"""


def measure(name: str, folder: Path, *words: object) -> None:
    """Print what a call of the command line takes. Exits where it fails."""
    command = [sys.executable, "-c", COUNTING, str(folder), *map(str, words)]
    with tempfile.TemporaryFile("w+") as text:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=text)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        text.seek(0)
        messages = text.read()
    if process.returncode not in (0, 3, 4):
        sys.exit(f"{name} exited with {process.returncode}:\n{messages[-2000:]}")
    cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6
    opened = messages.rpartition("opened ")[2].strip()
    print(f"{name:<26} {seconds:7.2f} s {cpu:7.2f} s user+sys {peak:6.0f} MB peak {opened:>6} opened", flush=True)


def varied(value: Any, chance: random.Random) -> Any:
    """Return plain values with every float changed by up to a tenth."""
    if isinstance(value, float):
        return value * chance.uniform(0.9, 1.1)
    if isinstance(value, dict):
        return {key: varied(entry, chance) for key, entry in value.items()}
    return [varied(entry, chance) for entry in value] if isinstance(value, list) else value


def fill(folder: SweepFolder, record: Record, curves: Curves) -> None:
    """Write a shard for each task of the last submission, with the records of most of its points."""
    intent = [entry for entry in folder.jobs() if isinstance(entry, Intent)][-1]
    chance, failure = random.Random(0), {"status": "failed", "result": None, "reason": "error"}
    for number, task in enumerate(intent.tasks):
        results, learning = [], []
        for point in [point for population in task for point in population]:
            draw = chance.random()
            if draw > SHARE:
                continue
            execution = msgspec.structs.replace(record.execution, submission=intent.submission, job=f"1_{number}")
            own = {"point": point, "execution": execution, "result": varied(record.result, chance)}
            if draw < SHARE / FAILED:
                own |= {**failure, "message": "the loss is nan"}
            else:
                learning.append(Curves(point=point, curves=varied(curves.curves, chance)))
            results.append(msgspec.structs.replace(record, **own))
        for kind, entries in (("results", results), ("curves", learning)):
            path = folder.shards / f"{intent.submission}-{number:05d}-0.{kind}.jsonl"
            path.write_bytes(b"".join(map(lines.encode_line, entries)))


def measure_all(n: int, path: Path, one: SweepFolder) -> None:
    """Measure every verb at one number of points."""
    words = ["sweep", *VALUES, f"seed.init=range({n // POINTS_PER_SEED})", *CLUSTER]
    folder = SweepFolder(path / str(n))
    print(f"{n:,} points", flush=True)
    measure("plan", folder.path, *words, "--dry-run", "--out", folder.path)
    measure("plan and submit", folder.path, *words, "--yes", "--out", folder.path)
    folder.shards.mkdir()
    fill(folder, next(one.records()), next(one.learning_curves()))
    measure("status", folder.path, "status", folder.path)
    measure("gather", folder.path, "gather", folder.path)
    measure("gather --agg seed", folder.path, "gather", folder.path, "--agg", "seed")
    measure("report", folder.path, "report", folder.path)
    measure("plot", folder.path, "plot", folder.path)
    measure("again (resume, dry run)", folder.path, *words, "--dry-run", "--out", folder.path)
    measure("retry --dry-run", folder.path, "retry", folder.path, "--dry-run")
    measure("logs --failed", folder.path, "logs", folder.path, "--failed")
    files = [file for file in folder.path.rglob("*") if file.is_file()]
    size = {name: sum(f.stat().st_size for f in files if name in str(f.relative_to(folder.path))) for name in NAMES}
    print(
        f"{len(files)} files;", ", ".join(f"{name} {bytes_ / 1e6:.1f} MB" for name, bytes_ in size.items()), flush=True
    )


NAMES = ("points.jsonl", "jobs.jsonl", "results.jsonl", "curves.jsonl", "table.csv", "report.html")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        for command, text in SCHEDULER.items():
            (path / command).write_text(f"#!/bin/sh\n{text}\n")
            (path / command).chmod(0o755)
        os.environ["PATH"] = f"{path}:{os.environ['PATH']}"
        run = [sys.executable, "-m", "ttfsrun", "sweep", "training.epochs=30", "--out", str(path / "one")]
        subprocess.run(run, check=True, capture_output=True)
        for n in map(int, sys.argv[1:] or ["10000"]):
            measure_all(n, path, SweepFolder(path / "one"))


if __name__ == "__main__":
    main()
