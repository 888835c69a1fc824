"""What a GPU must reach: the bits of the CPU, and a speed; measured on one GPU in less than five minutes.

    python benchmarks/gpu.py | tee results/reference/gpu/H100.txt
    python benchmarks/gpu.py --part speed --part kernels --seconds 30
    python benchmarks/gpu.py --cpu                     # tries the script on tiny networks where there is no GPU

bits        trainings of all experiments, without a chip and with one, under each backward rule; a training that changes
            its device; a network alone, a population in parts; `first_spike` on tensors: which bits differ
            from those of the CPU
speed       networks an hour: yin-yang and MNIST as they are trained by default; what training in the loop with a chip
            costs. From whole epochs with their validation, after some batches that do not count
kernels     the time of each kernel of a training step by CUDA's events, and that of the host to launch it; where the
            host waits for the GPU
start       the first epoch in a process, before and after its kernels are in the cache

Each result is printed as soon as it is known, and the time of a part is limited, so that it may be stopped at any time.
The exit code is 1 if any bits differ, and 2 if there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from gpu_bits import bits
from gpu_setup import Setup
from gpu_speed import TINY, kernels, speed
from report import Goal, machine

from ttfsrun.neuron import get_threads, use_threads

NO_GPU = 2


def start(setup: Setup) -> None:
    """Print the seconds of a process until its first epoch is done, twice with the same caches, at first empty ones."""
    with tempfile.TemporaryDirectory() as folder:
        caches = {"NUMBA_CACHE_DIR": f"{folder}/kernels", "CUDA_CACHE_PATH": f"{folder}/driver"}
        for state, bound in (("an empty", 60), ("a filled", 5)):
            began = time.perf_counter()
            seconds_after_imports = _first_epoch(setup, caches)
            seconds = time.perf_counter() - began
            print(f"{state} cache: {seconds:.2f} s, of which {seconds_after_imports:.2f} s after the imports")
            print(Goal(f"seconds until the first epoch is done, {state} cache", seconds, bound), flush=True)


def _first_epoch(setup: Setup, environment: Mapping[str, str]) -> float:
    """Run first_epoch.py and return what it measures. Raises CalledProcessError, or TimeoutExpired."""
    program = [
        sys.executable,
        str(Path(__file__).with_name("first_epoch.py")),
        setup.device,
        "experiment=yin_yang_paper",
    ]
    done = subprocess.run(
        [*program, *(TINY if setup.tiny else ())],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        timeout=max(setup.left, 1),
        check=True,
    )
    return float(json.loads(done.stdout))


@dataclass(frozen=True)
class Part:
    """A part, and the seconds that it may take unless told otherwise."""

    run: Callable[[Setup], bool | None]  # False if it has failed
    seconds: float


PARTS = {"bits": Part(bits, 90), "speed": Part(speed, 100), "kernels": Part(kernels, 30), "start": Part(start, 70)}


def about_gpu() -> dict[str, object]:
    """Return what identifies the GPU."""
    properties = torch.cuda.get_device_properties(0)
    return {
        "GPU": properties.name,
        "compute capability": f"{properties.major}.{properties.minor}",
        "memory": f"{properties.total_memory / 2**30:.0f} GiB",
        "CUDA of torch": torch.version.cuda,
    }


def main(
    arguments: Sequence[str], computing_one_by_one: Callable[[], AbstractContextManager[None]] = nullcontext
) -> int:
    """Return the exit code. computing_one_by_one: entered where, by --cpu, the CPU computes instead of a GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this part; may be repeated")
    parser.add_argument("--seconds", type=float, help="of each part, instead of at most five minutes in all")
    parser.add_argument("--cpu", action="store_true", help="try all parts on the CPU, with tiny networks")
    options = parser.parse_args(arguments)
    if not (options.cpu or torch.cuda.is_available()):
        print("torch sees no GPU; --cpu tries this script on the CPU", file=sys.stderr)
        return NO_GPU
    use_threads(get_threads())
    print(json.dumps(machine() | ({} if options.cpu else about_gpu())), flush=True)
    computing = computing_one_by_one if options.cpu else nullcontext
    good = True
    for name in options.part or PARTS:
        part, began = PARTS[name], time.perf_counter()
        print(f"\n{name}", flush=True)
        try:
            setup = Setup("cpu" if options.cpu else "cuda", options.seconds or part.seconds, options.cpu, computing)
            good = part.run(setup) is not False and good
        except Exception:  # noqa: BLE001  # the other parts still tell something
            good = False
            traceback.print_exc(file=sys.stdout)
        print(f"{name} took {time.perf_counter() - began:.0f} s", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
