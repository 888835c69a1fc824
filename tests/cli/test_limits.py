"""Limits on processes and on memory: one line that says which, neither a traceback nor an interruption."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SWEEP = Path(__file__).parent.parent / "fixtures" / "sweep_1c340df" / "sweep"
INCOMPLETE = 4  # exit code of that sweep
STRANGER = 54321  # id of a user who has no process
KEPT = "+dac_override,+dac_read_search"  # capabilities: the package may belong to root


def limited(limit: str, *argv: object, user: int | None = None) -> subprocess.CompletedProcess[str]:
    """A command line under a limit of the shell."""
    command = ["bash", "-c", f'ulimit {limit}; exec "$0" -m ttfsrun "$@"', sys.executable, *map(str, argv)]
    if user is not None:
        rights = ["--inh-caps", KEPT, "--ambient-caps", KEPT]
        command = ["setpriv", "--reuid", str(user), "--clear-groups", *rights, *command]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def stranger() -> int:
    """A user whose processes are counted, unlike those of root."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user")
    return STRANGER


@pytest.mark.parametrize("verb", ["status", "gather"])
def test_one_process_is_enough_to_read_a_sweep(verb: str, stranger: int, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "table.csv"] if verb == "gather" else []
    done = limited("-u 1", verb, SWEEP, *out, user=stranger)
    assert (done.returncode, "Traceback" in done.stderr) == (INCOMPLETE, False), done.stderr


def test_a_sweep_that_may_start_no_process_is_one_line(
    stranger: int, tmp_path: Path, tiny_overrides: tuple[str, ...]
) -> None:
    done = limited("-u 1", "sweep", *tiny_overrides, "--yes", "--out", tmp_path / "sweep", user=stranger)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "raise the limit on processes (ulimit -u)" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("verb", ["train", "sweep"])
def test_a_library_that_does_not_fit_is_one_line(verb: str, tmp_path: Path, tiny_overrides: tuple[str, ...]) -> None:
    words = ["cluster=debug", "--yes"] if verb == "sweep" else []
    done = limited("-v 300000", verb, *tiny_overrides, *words, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("ttfsrun: not enough memory to load a library (")


def test_a_process_of_a_sweep_that_does_not_start_says_why_on_one_line(
    tmp_path: Path, tiny_overrides: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # no cost is known
    done = limited("-v 300000", "sweep", *tiny_overrides, "--yes", "--out", tmp_path / "sweep")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ttfsrun: the first batches of a training failed: not enough memory to load a library (")
