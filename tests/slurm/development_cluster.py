"""The development cluster: its daemons and nodes, which tests start, stop and kill."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from sweeps import CHECKOUT, output, wait_until

DEV_CLUSTER = CHECKOUT / "slurm" / "dev-cluster"
DAEMONS = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd")
MARK = "# Written by ttfsrun slurm/dev-cluster"


def call(*words: str, **settings: str) -> None:
    """Call slurm/dev-cluster with settings DEV_CLUSTER_*. Skips where Slurm is not the development cluster."""
    configuration = Path("/etc/slurm/slurm.conf")
    if not configuration.exists() or MARK not in configuration.read_text():
        pytest.skip("this Slurm is not the development cluster: its daemons must not be killed")
    environment = os.environ | {f"DEV_CLUSTER_{name.upper()}": value for name, value in settings.items()}
    answer = subprocess.run(
        [DEV_CLUSTER, *words], capture_output=True, text=True, timeout=150, env=environment, check=False
    )
    assert answer.returncode == 0, answer.stderr


def repair(wait: bool = True) -> None:
    """Start the daemons that do not run, and resume the nodes. wait: until all of them are idle."""
    for name in DAEMONS:
        call("start", name)
    states = dict(line.split() for line in output("sinfo", "--noheader", "--Node", "--format=%N %T").splitlines())
    for node, state in states.items():
        if any(word in state for word in ("down", "drain", "fail")):
            output("scontrol", "update", f"nodename={node}", "state=resume")
    if wait:
        states_now = ("sinfo", "--noheader", "--format=%T")
        wait_until("the nodes take jobs", lambda: set(output(*states_now).split()) == {"idle"})
