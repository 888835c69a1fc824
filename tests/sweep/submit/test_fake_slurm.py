"""Submissions from the command line to a Slurm whose commands are scripts: what sbatch gets, and what is recorded."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import made_up
import pytest

from ttfsrun.results.sweep_folder import Intent, SweepFolder
from ttfsrun.sweep.cost import Cost
from ttfsrun.sweep.submit import launch

COSTS = Cost(epoch=1.0, network=0.1, point=0.1, memory=1.9e9, network_memory=1e8)
COMMANDS = {
    "srun": "exit 1",
    "sbatch": 'cp "$1" {bin}/submitted; env >{bin}/environment; echo Submitted batch job 17',
    "sinfo": "echo 'normal*|16000'",
    "scontrol": "echo 'ClusterName = c1'",
    "sacctmgr": "exit 1",
    "sacct": "echo 'Slurm accounting storage is disabled' >&2; exit 1",
    "squeue": "true",
}


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slurm's commands, as scripts; costs are known."""
    path = tmp_path / "bin"
    path.mkdir()
    for name, text in COMMANDS.items():
        (path / name).write_text(f"#!/bin/sh\n{text.format(bin=path)}\n")
        (path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}")
    for name in [name for name in os.environ if name.startswith(("SBATCH_", "SLURM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(
        launch, "estimate_costs", lambda points, records, package: dict.fromkeys({p.shape for p in points}, COSTS)
    )
    return path


@pytest.fixture
def sweep(
    ttfsrun: Callable[..., tuple[int, str, str]], tiny_overrides: tuple[str, ...], tmp_path: Path, bin_folder: Path
) -> Callable[..., tuple[int, str, str]]:
    words = [word for word in tiny_overrides if not word.startswith("cluster")]
    words += ["seed.init=1,2", "cluster=slurm", "cluster.cores=1"]
    return lambda *more: ttfsrun("sweep", *words, *more, "--out", tmp_path / "sweep", "--yes")


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return SweepFolder(tmp_path / "sweep")


def intents(folder: SweepFolder) -> list[Intent]:
    return [entry for entry in folder.jobs() if isinstance(entry, Intent)]


def option(script: str, name: str) -> str | None:
    match = re.search(rf"^#SBATCH --{name}=(.*)$", script, re.MULTILINE)
    return match and match[1]


def test_defaults_of_the_environment_are_shown_submitted_and_recorded(sweep, folder, bin_folder, monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "long")
    monkeypatch.setenv("SBATCH_ACCOUNT", "lab")
    monkeypatch.setenv("SBATCH_EXPORT", "NONE")
    monkeypatch.setenv("SBATCH_WAIT", "1")
    monkeypatch.setenv("SLURM_CONF", "/site/slurm.conf")
    code, script, messages = sweep("cluster.partition=short", "--dry-run")
    assert code == 0
    assert (option(script, "partition"), option(script, "account"), option(script, "export")) == (
        "short",
        "lab",
        "NONE",
    )
    assert (
        "from the environment: cluster.account=lab (SBATCH_ACCOUNT), cluster.sbatch.export=NONE (SBATCH_EXP" in messages
    )
    assert "SBATCH_PARTITION is not used: cluster.partition counts" in messages
    assert "SBATCH_WAIT is not used: sbatch would wait until the jobs end" in messages

    assert sweep("cluster.partition=short")[0] == 0
    submitted = (bin_folder / "submitted").read_text()
    assert (option(submitted, "partition"), option(submitted, "account")) == ("short", "lab")
    seen = (bin_folder / "environment").read_text().splitlines()
    assert "SLURM_CONF=/site/slurm.conf" in seen
    assert not [line for line in seen if line.startswith("SBATCH_")]
    (intent,) = intents(folder)
    assert intent.origins == {"account": "SBATCH_ACCOUNT", "sbatch.export": "SBATCH_EXPORT"}
    assert intent.environment == {"SLURM_CONF": "/site/slurm.conf"}
    assert (intent.slurm, intent.uid) == ("c1", os.getuid())
    assert folder.about["cluster"]["account"] is None, "what was asked for"


def test_tasks_on_gpus_are_planned_without_a_measurement_on_cores(sweep, monkeypatch):
    monkeypatch.setattr(launch, "estimate_costs", lambda *_: pytest.fail("measured on cores"))
    code, script, messages = sweep("cluster.device=cuda", "cluster.gpus=2", "cluster.cores=16", "--dry-run")
    assert code == 0
    assert (option(script, "gpus-per-task"), option(script, "cpus-per-task")) == ("2", "16")
    assert "2 trainings in 2 populations on 2 GPUs in 1 array job: about" in messages


def test_the_environment_says_none_as_the_setting_does(sweep, monkeypatch):
    explicit = sweep("cluster.sbatch={export: NONE}", "--dry-run")[1]
    monkeypatch.setenv("SBATCH_EXPORT", "NONE")
    tokens = re.compile(r"\b[0-9a-f]{8}\b")
    assert tokens.sub("", sweep("--dry-run")[1]) == tokens.sub("", explicit)


def test_after_a_shortage_a_retry_requests_twice_as_much_up_to_the_largest_node(sweep, folder, ttfsrun, bin_folder):
    assert sweep()[0] == 0
    requests = []
    for attempt in range(4):
        (*_, intent) = intents(folder)
        requests.append(intent.memory)
        fields = {"submission": intent.submission, "time": made_up.START + attempt}
        made_up.write(folder, [made_up.failed(name, "out of memory", **fields) for name in folder.points], str(attempt))
        code, script, messages = ttfsrun("retry", folder.path, "--dry-run")
        if attempt < 3:
            had, now = (f"{size / 1e9:.3g} GB" for size in (requests[-1], min(2 * requests[-1], 16000 * 2**20)))
            assert f"2 points ran out of memory with {had}: tasks now request {now}" in messages
            assert option(script, "mem")
            assert ttfsrun("retry", folder.path, "--yes")[0] == 0
            assert option((bin_folder / "submitted").read_text(), "mem") == option(script, "mem")
    assert [size / requests[0] for size in requests[:3]] == [1, 2, 4]
    assert requests[3] == 16000 * 2**20
    assert code == 3
    assert "2 points ran out of memory with 16.8 GB, the memory of the largest node: not submitted again" in messages
    assert script == ""
    code, script, messages = ttfsrun("retry", folder.path, "cluster.memory_gb=20", "--dry-run")
    assert option(script, "mem") == f"{-(-20 * 10**9 // 2**20)}M"
    assert "2 points ran out of memory with 16.8 GB: tasks now have 20 GB (cluster.memory_gb=20)" in messages


def test_a_retry_with_an_explicit_memory_keeps_it_and_says_what_to_set(sweep, folder, ttfsrun):
    assert sweep("cluster.memory_gb=3")[0] == 0
    (intent,) = intents(folder)
    names = list(folder.points)
    made_up.write(folder, [made_up.failed(name, "out of memory", submission=intent.submission) for name in names])
    code, script, messages = ttfsrun("retry", folder.path, "--dry-run")
    assert (code, option(script, "mem")) == (0, "2862M")
    assert "and cluster.memory_gb=3 is kept: cluster.memory_gb=6 gives more, null raises it as necessary" in messages
    code, script, messages = ttfsrun("retry", folder.path, "cluster.memory_gb=null", "--dry-run")
    assert "2 points ran out of memory with 3 GB: tasks now request 6 GB" in messages


def test_a_submission_of_an_older_version_is_retried(sweep, folder, ttfsrun):
    assert sweep()[0] == 0
    lines = folder.jobs_file.read_text()
    for name in ("uid", "slurm", "memory", "raised", "origins", "environment", "max_memory_gb"):
        lines = re.sub(rf',"{name}":(\{{\}}|"[^"]*"|[0-9.]+|null)', "", lines)
    folder.jobs_file.write_text(lines)
    (intent,) = intents(folder)
    assert (intent.uid, intent.slurm, intent.memory, "max_memory_gb" in intent.cluster) == (None, None, None, False)
    made_up.write(
        folder, [made_up.failed(name, "out of memory", submission=intent.submission) for name in folder.points]
    )
    code, _, messages = ttfsrun("retry", folder.path, "cluster.max_memory_gb=4", "--dry-run")
    assert code == 0
    assert "2 points ran out of memory: tasks now request 4 GB, the most that a task can have" in messages
