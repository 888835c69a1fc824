"""One measurement in its own process, for benchmarks/solver.py: `child.py memory|first CASE METHOD`, JSON out.

memory      how much higher than before the call (forward and backward) the resident memory rises, in bytes. Before:
            all is imported, and the method has run once on two samples, so that its kernels are loaded.
first       seconds of the first and of the second call, forward and backward, after all is imported
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch
from cases import build
from peers import METHODS
from timing import Runner


def measure(part: str, case: str, method: str, **environment: str) -> list[float]:
    """Run this file in a new process."""
    command = [sys.executable, __file__, part, case, method]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} left with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def resident(key: str) -> int:
    """Return VmRSS (now) or VmHWM (highest) of this process, in bytes.

    Not getrusage's ru_maxrss, which starts from that of the parent and is kept through exec.
    """
    return 1024 * int(re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text()).group(1))


def memory(case_name: str, method_name: str) -> list[float]:
    method = METHODS[method_name]
    method.use_threads(1)
    case = build(case_name, method.tau_syn)
    Runner(method, replace(case, times=case.times[:2])).judged()
    runner = Runner(method, case)
    ctypes.CDLL(None).malloc_trim(0)  # memory freed by the preparations would otherwise be reused, unmeasured
    Path("/proc/self/clear_refs").write_text("5")  # reset the highest value
    before = resident("VmRSS")
    runner.both() if method.backward else runner.forward()
    return [resident("VmHWM") - before]


def first(case_name: str, method_name: str) -> list[float]:
    """Return the seconds of the first forward, first backward, second forward and second backward pass."""
    method = METHODS[method_name]
    method.use_threads(1)
    case = build(case_name, method.tau_syn)
    runner = Runner(method, case, torch.ones(len(case.times), case.weight.shape[1]))  # exact spikes also compile
    passes = [runner.both() for _ in range(2)]
    return [seconds for forward, both in passes for seconds in (forward, both - forward)]


if __name__ == "__main__":
    part, *words = sys.argv[1:]
    print(json.dumps({"memory": memory, "first": first}[part](*words)))
