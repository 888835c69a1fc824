"""The development cluster: its daemons and nodes, which tests start, stop and kill."""

from __future__ import annotations

import os
import re
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pytest
from sweeps import CHECKOUT, output, wait_until

DEV_CLUSTER = CHECKOUT / "slurm" / "dev-cluster"
DAEMONS = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd")
CONFIGURATION = Path("/etc/slurm/slurm.conf")
MARK = "# Written by ttfsrun slurm/dev-cluster"
SAVING_SECONDS = 1.0  # generous: that slurmctld takes to write its state


def call(*words: str, **settings: str) -> None:
    """Call slurm/dev-cluster with settings DEV_CLUSTER_*. Skips where Slurm is not the development cluster."""
    if not CONFIGURATION.exists() or MARK not in CONFIGURATION.read_text():
        pytest.skip("this Slurm is not the development cluster: its daemons must not be killed")
    environment = os.environ | {f"DEV_CLUSTER_{name.upper()}": value for name, value in settings.items()}
    answer = subprocess.run(
        [DEV_CLUSTER, *words], capture_output=True, text=True, timeout=150, env=environment, check=False
    )
    assert answer.returncode == 0, answer.stderr


def repair(wait: bool = True) -> None:
    """Start the daemons that do not run, and what `resume` does. wait: until all nodes are idle."""
    for name in DAEMONS:
        call("start", name)
    resume()
    if wait:
        states_now = ("sinfo", "--noheader", "--format=%T")
        wait_until("the nodes take jobs", lambda: set(output(*states_now).split()) == {"idle"})


def resume() -> None:
    """Resume the nodes that take no jobs, and release the tasks that a node refused, e.g. since it runs the same id.

    What has changed meanwhile stays as it is.
    """
    states = dict(line.split() for line in output("sinfo", "--noheader", "--Node", "--format=%N %T").splitlines())
    for node, state in states.items():
        if any(word in state for word in ("down", "drain", "fail")):
            subprocess.run(["scontrol", "update", f"nodename={node}", "state=resume"], check=False)
    for task in output("squeue", "--noheader", "--array", "--format=%i %r").splitlines():
        if task.endswith("requeued held"):
            subprocess.run(["scontrol", "release", task.split()[0]], check=False)


def wait_until_saved(job: str) -> None:
    """Wait until slurmctld has written its state, which it does at most every five seconds. job: any that it knows.

    If it is killed before, it forgets jobs, or starts tasks that run a second time and then drains the node.
    """
    now = time.time()
    output("scontrol", "update", f"jobid={job}", "comment=a change to save")
    wait_until("slurmctld has saved its state", lambda: _saved() > now)


def unsaved_jobs() -> set[str]:
    """Return the ids of jobs whose state has changed since slurmctld saved it, as its log shows."""
    log = _path("SlurmctldLogFile").read_text(errors="replace")
    changes = re.findall(r"^\[(\S+)\] (?!Recovered|_job_complete).*\bJobId=(\d+)", log, re.MULTILINE)
    since = _saved() - SAVING_SECONDS
    return {job for when, job in changes if datetime.fromisoformat(when).timestamp() > since}


def _saved() -> float:
    return (_path("StateSaveLocation") / "job_state").stat().st_mtime


def _path(name: str) -> Path:
    """Return the path that is the value of a setting."""
    lines = CONFIGURATION.read_text().splitlines()
    return Path(next(line.partition("=")[2] for line in lines if line.startswith(f"{name}=")))
