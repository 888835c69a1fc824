"""Array tasks start from the command lines in batch scripts, also from those of version 0.1."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ttfsrun.errors import USAGE
from ttfsrun.sweep.worker.interpreter import START


@pytest.mark.parametrize("module", ["ttfsrun.sweep.worker.array_task", "ttfsrun.sweep.work.worker"])
def test_a_queued_command_line_of_this_version_or_of_0_1_starts_an_array_task(module: str, tmp_path: Path) -> None:
    arguments = [tmp_path / "sweep", "s1", "0"]
    command = [sys.executable, "-u", "-c", START.format(module=module), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == USAGE
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"{tmp_path / 'sweep' / 'jobs.jsonl'}: no submission s1")
