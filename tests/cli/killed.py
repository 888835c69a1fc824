"""Kills command lines at the n-th change of a folder: python killed.py < requests > answers, a line of JSON each.

A request is [command line, n]; n = 0 means: do not kill. The answer is the exit code, -9 where the process was killed.
All modules and kernels are loaded before the first request is read; every command line gets a forked process.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys

import racing

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink")


def kill_at(n: int, folder: str) -> None:
    """Kill this process before its n-th change below a folder."""
    changes = 0

    def count(event: str, args: tuple[object, ...]) -> None:
        nonlocal changes
        is_write = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in CHANGES or is_write) and str(args[0]).startswith(folder):
            changes += 1
            if changes == n:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def runner(argv: list[str], n: int, folder: str) -> None:
    from ttfsrun.cli.main import main

    kill_at(n, folder)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os._exit(main(argv))


def serve() -> None:
    racing.load_all()
    fork = multiprocessing.get_context("fork")
    for line in sys.stdin:
        argv, n, folder = json.loads(line)
        process = fork.Process(target=runner, args=(argv, n, folder))
        process.start()
        process.join()
        sys.stdout.write(json.dumps(process.exitcode) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
