"""The GPUs that a sweep uses on this machine. A process of their own asks torch, which the leader never imports.

python -m ttfsrun.sweep.worker.gpus > seen.json
"""

from __future__ import annotations

import subprocess
import sys

import msgspec

from ttfsrun.config.cluster import Processor
from ttfsrun.errors import RunFailed
from ttfsrun.results.record import CPU
from ttfsrun.run.devices import Gpu, Seen, ask_torch
from ttfsrun.sweep.worker.interpreter import python_command


def main() -> int:
    """Write what torch sees to standard output."""
    sys.stdout.buffer.write(msgspec.json.encode(ask_torch()))
    return 0


def gpus_for(wanted: Processor) -> list[Gpu]:
    """Return the GPUs to train on; none: compute on the cores.

    Raises UserError where a GPU is wanted and torch sees none, RunFailed where torch cannot be asked.
    """
    return [] if wanted == CPU else _ask().chosen(wanted)


def _ask() -> Seen:
    result = subprocess.run(python_command("ttfsrun.sweep.worker.gpus"), capture_output=True, check=False)
    if result.returncode != 0:
        lines = result.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {result.returncode}"]
        raise RunFailed(f"torch cannot be asked for GPUs: {lines[-1]}")
    return msgspec.json.decode(result.stdout, type=Seen)
