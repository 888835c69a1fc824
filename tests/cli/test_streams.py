"""Full, closed and broken standard streams: one line where a stream is left for it, and the exit code says the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SWEEP = Path(__file__).parent.parent / "fixtures" / "sweep_1c340df" / "sweep"
INCOMPLETE = 4  # exit code of that sweep
NO_SPACE = "standard output: cannot be written (No space left on device); free space there\n"

COMMANDS = {  # of each verb that prints data without computing
    "--help": ("--help",),
    "config": ("config",),
    "chip": ("chip", "substrate=brainscales2", "--json"),
    "status": ("status", str(SWEEP), "--json"),
    "logs": ("logs", str(SWEEP)),
}


def run(redirections: str, *argv: str, buffered: bool = True) -> subprocess.CompletedProcess[str]:
    """A command line of a shell, in a process of its own."""
    flags = [] if buffered else ["-u"]
    command = [sys.executable, *flags, "-m", "ttfsrun", *argv]
    script = f'exec "$@" {redirections}'
    return subprocess.run(["bash", "-c", script, "bash", *command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("buffered", [True, False], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("verb", COMMANDS)
def test_a_full_standard_output_is_one_line(verb: str, buffered: bool) -> None:
    done = run(">/dev/full", *COMMANDS[verb], buffered=buffered)
    assert (done.returncode, done.stderr) == (1, f"ttfsrun: {NO_SPACE}")


def test_what_is_written_is_there_although_standard_output_is_full(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    done = run(">/dev/full", "gather", str(SWEEP), "--out", str(table))
    assert done.returncode == 1
    assert done.stderr.endswith(NO_SPACE)
    assert len(table.read_text().splitlines()) > 1


@pytest.mark.parametrize("verb", ["config", "status"])
def test_a_closed_standard_output_is_one_line(verb: str) -> None:
    done = run(">&-", *COMMANDS[verb])
    assert done.returncode == 1
    assert done.stderr == "ttfsrun: standard output: cannot be written (Bad file descriptor)\n"


def test_messages_that_cannot_be_written_cost_the_exit_code_but_no_data() -> None:
    done = run("2>/dev/full", "config", "seed.init=1,2")
    assert done.returncode == 1
    assert done.stdout == run("", "config", "seed.init=1,2").stdout


def test_a_closed_standard_error_costs_only_the_messages() -> None:
    done = run("2>&-", *COMMANDS["status"])
    assert done.returncode == INCOMPLETE
    assert done.stdout


@pytest.mark.parametrize("redirections", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_no_file_takes_the_place_of_a_closed_stream(redirections: str, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    run("", "gather", str(SWEEP), "--out", str(table))
    expected = table.read_bytes()
    table.unlink()
    run(redirections, "gather", str(SWEEP), "--out", str(table))
    assert table.read_bytes() == expected


@pytest.mark.parametrize("limit", ["-n 16", "-f 0"])
def test_a_limit_of_the_system_is_no_traceback(limit: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ttfsrun", "gather", str(SWEEP), "--out", str(tmp_path / "table.csv")]
    script = f'trap "" XFSZ; ulimit {limit}; exec "$@"'
    done = subprocess.run(["bash", "-c", script, "bash", *command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode in (1, INCOMPLETE)
    assert done.returncode == INCOMPLETE or done.stderr.splitlines()[-1].startswith("ttfsrun: ")
