"""Starts command lines at the same moment: python racing.py < requests > answers, a line of JSON each.

A request is a list of command lines, with the folder to work in. All modules and kernels are loaded before the first is
read, and every command line gets a forked process, so that they begin together. Trainings plot no figures.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import sys
import traceback
from multiprocessing.synchronize import Barrier
from pathlib import Path
from tempfile import TemporaryDirectory

MODULES = (
    "cli.main",
    "report.plot",
    "report.selection",
    "report.write",
    "results.gather",
    "run.chip_folder",
    "run.redraw",
    "run.train",
    "sweep.submit.launch",
    "sweep.worker.execute",
)


def runner(argv: list[str], barrier: Barrier, streams: Path) -> None:
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{streams}.{name}", os.O_CREAT | os.O_WRONLY, 0o600), number)
    sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115
    barrier.wait()
    from ttfsrun.cli.main import main

    try:
        code = main(argv)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def load_all() -> None:
    """Import the modules, and train once in this process, without its output."""
    for module in MODULES:
        importlib.import_module(f"ttfsrun.{module}")
    from ttfsrun.run import train, write

    write.plot_runs = lambda *args, **kwargs: []
    words = ["data.samples={train:110,valid:40,test:50}", "network.hidden=[20]", "training.epochs=1"]
    with TemporaryDirectory() as folder:
        train.train([*words, "cluster.threads=1"], Path(folder) / "run")


def main() -> None:
    load_all()
    fork = multiprocessing.get_context("fork")
    for line in sys.stdin:
        request = json.loads(line)
        os.chdir(request["folder"])
        barrier = fork.Barrier(len(request["commands"]))
        streams = [Path(request["folder"]) / f".stream-{n}" for n in range(len(request["commands"]))]
        processes = [
            fork.Process(target=runner, args=(argv, barrier, path))
            for argv, path in zip(request["commands"], streams, strict=True)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        answer = []
        for process, path in zip(processes, streams, strict=True):
            texts = [Path(f"{path}.{name}") for name in ("out", "err")]
            answer.append([process.exitcode, *(text.read_text() for text in texts)])
            for text in texts:
                text.unlink()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
