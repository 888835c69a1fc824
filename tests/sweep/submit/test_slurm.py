"""Array jobs without a scheduler: the script that sbatch gets, its quoting, and what is refused."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ttfsrun.config.cluster import Slurm
from ttfsrun.config.compose import Composer, conf_dir
from ttfsrun.errors import ConfigError, SchedulerRefused, UserError
from ttfsrun.results.sweep_folder import SweepFolder
from ttfsrun.run.devices import Gpu, Seen
from ttfsrun.sweep.submit import slurm
from ttfsrun.sweep.submit.memory import MemoryHistory, MemoryPolicy
from ttfsrun.sweep.worker import gpus
from ttfsrun.sweep.worker.array_task import allocated_resources

PROFILES = sorted((Path(__file__).parents[3] / "slurm" / "profiles").glob("*.yaml"))


@pytest.fixture(autouse=True)
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Replace Slurm's commands; submitit requires srun."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def command(name: str, text: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)

    command("srun", "exit 1")
    return command


def cluster(*words: str) -> Slurm:
    config = Composer(conf_dir()).compose_all([("cluster=slurm", *words)])[0]
    assert isinstance(config.cluster, Slurm)
    return config.cluster


def script(*words: str, path: Path = Path("/sweeps/bits"), after: Sequence[str] = ()) -> str:
    """Return the script of an array of seven tasks, from number 3 on, each estimated at 2 GB."""
    memory = MemoryPolicy(cluster(*words)).request([], 2e9, MemoryHistory()).bytes
    return slurm.ArraySubmitter(SweepFolder(path), cluster(*words), memory).script("token", "name.0", 3, 7, after)


def directives(text: str) -> dict[str, str]:
    """Return the parameters that sbatch reads from a script."""
    lines = [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH ")]
    words = [shlex.split(line) for line in lines]
    assert all(len(word) == 1 for word in words)
    return {key.removeprefix("--"): value for key, _, value in (word[0].partition("=") for word in words)}


def test_what_is_null_is_left_to_the_cluster():
    asked = directives(script())
    assert asked.keys().isdisjoint({"partition", "account", "qos", "constraint", "gres", "exclusive", "wckey"})
    assert asked["cpus-per-task"] == "4"
    assert asked["time"] == "70"
    assert asked["mem"] == f"{-(-3 * 10**9 // 2**20)}M", "one and a half times the estimate"
    assert asked["array"] == "0-6%7"
    assert "requeue" in asked


def test_what_is_set_is_asked_for():
    words = ["cluster.partition=long", "cluster.account=p 1", "cluster.qos=low", "cluster.constraint='a&b'"]
    words += ["cluster.gres='gpu:1'", "cluster.memory_gb=8", "cluster.parallel_tasks=2", "cluster.time_minutes=90"]
    words += ["cluster.exclusive=true", "cluster.sbatch={nice: 100, mail_type: END, hold: true, export: false}"]
    asked = directives(script(*words, after=("12", "13")))
    expected = {"partition": "long", "account": "p 1", "qos": "low", "constraint": "a&b", "gres": "gpu:1", "time": "90"}
    expected |= {"array": "0-6%2", "nice": "100", "mail-type": "END", "dependency": "afterany:12:13", "mem": "7630M"}
    assert {key: asked[key] for key in expected} == expected
    assert {"exclusive", "hold"} <= asked.keys()
    assert "export" not in asked


def test_gpus_are_requested_for_each_task_or_by_gres():
    assert directives(script("cluster.device=cuda", "cluster.gpus=4"))["gpus-per-task"] == "4"
    by_gres = directives(script("cluster.device=cuda", "cluster.gpus=4", "cluster.gres='gpu:a100:4'"))
    assert by_gres["gres"] == "gpu:a100:4"
    assert "gpus-per-task" not in by_gres
    assert "gpus-per-task" not in directives(script("cluster.device=auto"))


@pytest.mark.parametrize(
    ("words", "way_out"), [(["cluster.device=cuda"], "set gpus"), (["cluster.gpus=2"], "set device")]
)
def test_a_device_and_a_number_of_gpus_that_contradict_each_other_are_refused(words, way_out):
    with pytest.raises(ConfigError, match=way_out):
        cluster(*words)


def test_a_task_uses_the_gpus_that_torch_sees_in_it(monkeypatch):
    gpu = Gpu("NVIDIA GH200 120GB", 96 * 2**30, "2")
    monkeypatch.setattr(gpus, "_ask", lambda: Seen([gpu], ""))
    assert allocated_resources(cluster("cluster.device=cuda", "cluster.gpus=1")).gpus == [gpu]
    assert allocated_resources(cluster()).gpus == []
    monkeypatch.setattr(gpus, "_ask", lambda: Seen([], "torch 2 sees no GPU"))
    assert allocated_resources(cluster("cluster.device=auto")).gpus == []
    with pytest.raises(UserError, match="torch 2 sees no GPU"):
        allocated_resources(cluster("cluster.device=cuda", "cluster.gpus=1"))


def test_a_whole_node_has_all_its_memory():
    assert "mem" not in directives(script("cluster.exclusive=true"))
    assert "mem" not in directives(script("cluster.sbatch={mem-per-cpu: 2G}"))


@pytest.mark.parametrize("srun", [True, False])
def test_the_task_is_warned_of_its_time_limit(srun):
    text = script(f"cluster.srun={srun}")
    assert directives(text)["signal"] == ("USR2@60" if srun else "B:USR2@60")
    last = next(line for line in text.splitlines() if "ttfsrun.sweep.worker.array_task" in line)
    assert last.startswith("srun " if srun else "exec "), "the signal must reach the task itself"


def test_lines_of_the_setup_come_before_the_task():
    text = script("cluster.setup=['module load python', 'export A=\"b c\"']")
    assert text.index('module load python\nexport A="b c"\n') < text.index("ttfsrun.sweep.worker.array_task")


ODD = 'it\'s a "sweep"; $(touch hacked) `id` & ünï * ~'


def test_odd_characters_reach_no_shell(tmp_path, commands):
    path = tmp_path / ODD
    path.mkdir()
    text = script("cluster.srun=false", path=path)
    assert directives(text)["output"] == str(path / "slurm" / "%A_%a_0_log.out")
    command = next(line for line in text.splitlines() if "ttfsrun.sweep.worker.array_task" in line).removeprefix(
        "exec "
    )
    words = subprocess.run(["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True)
    assert words.stdout.splitlines()[-3:] == [str(path), "token", "3"]
    assert not Path("hacked").exists()


@pytest.mark.parametrize("name", ["100%", "back\\slash", "two\nlines"])
def test_paths_that_slurm_would_read_otherwise_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="Slurm cannot write logs"):
        script(path=tmp_path / name)


@pytest.mark.parametrize("name", ["array", "output", "job_name", "job-name", "signal"])
def test_parameters_that_the_sweep_needs_are_refused(name):
    with pytest.raises(ConfigError, match="is set by ttfsrun"):
        cluster(f"cluster.sbatch={{{name}: x}}")


def test_the_names_of_jobs_are_plain():
    assert slurm.job_name(ODD, "0a1b") == "ttfsrun-it_s_a__sweep_____touch_hacked___id_____-0a1b"


def test_arrays_are_as_large_as_the_cluster_takes(commands):
    assert slurm.array_sizes(10, 4) == [3, 3, 4]
    assert slurm.array_sizes(8, 4) == [4, 4]
    assert slurm.array_sizes(1, 1001) == [1]
    commands("scontrol", "echo 'ClusterName = c1'; echo 'MaxArraySize            = 20001'")
    assert slurm.cluster_limits(cluster()) == slurm.Limits("c1", 20001)
    commands("scontrol", "exit 1")
    assert slurm.cluster_limits(cluster()) == slurm.Limits(None, 1001)


def test_no_more_tasks_are_made_than_the_user_may_submit(commands):
    commands("sacctmgr", "echo 'lab|100'; echo 'other|7'; echo 'open|'")
    commands("squeue", "echo 5_1; echo 5_2; echo 6")
    assert slurm.free_tasks(cluster("cluster.account=lab")) == 97
    assert slurm.free_tasks(cluster()) == 4
    assert slurm.free_tasks(cluster("cluster.account=open")) is None
    commands("sacctmgr", "exit 1")
    assert slurm.free_tasks(cluster()) is None


def test_a_refusal_is_told_in_the_scheduler_s_words(tmp_path, commands):
    commands("sbatch", "echo 'sbatch: error: Batch job submission failed: Invalid account specified' >&2; exit 1")
    arrays = slurm.ArraySubmitter(SweepFolder(tmp_path / "sweep"), cluster(), 1e9)
    with pytest.raises(SchedulerRefused, match="Invalid account") as caught:
        arrays.submit("token", "name.0", 0, 3)
    assert caught.value.exit_code == 5


def test_a_job_submitted_from_a_job_does_not_inherit_its_settings(tmp_path, commands, monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "100")
    monkeypatch.setenv("SBATCH_PARTITION", "elsewhere")
    monkeypatch.setenv("SLURM_CONF", "/site/slurm.conf")
    commands("sbatch", f"env >{tmp_path}/seen; echo Submitted batch job 17")
    arrays = slurm.ArraySubmitter(SweepFolder(tmp_path / "sweep"), cluster(), 1e9, {"SLURM_CONF": "/site/slurm.conf"})
    assert arrays.submit("token", "name.0", 0, 3) == "17"
    seen = (tmp_path / "seen").read_text()
    assert "SLURM_MEM_PER_CPU" not in seen
    assert "SBATCH_PARTITION" not in seen, "it is in the script, if nothing explicit is"
    assert "SLURM_CONF=/site/slurm.conf" in seen
    assert os.environ["SLURM_MEM_PER_CPU"] == "100"


def test_the_largest_node_of_the_partition_limits_the_memory(commands):
    commands("sinfo", "echo 'long*|4000'; echo 'long*|8000'; echo 'big|64000'; echo 'odd|n/a'")
    assert slurm.largest_node(cluster()) == 8000 * 2**20
    assert slurm.largest_node(cluster("cluster.partition=big")) == 64000 * 2**20
    assert slurm.largest_node(cluster("cluster.partition='long,big'")) == 64000 * 2**20
    commands("sinfo", "exit 1")
    assert slurm.largest_node(cluster()) is None


@pytest.mark.parametrize(
    "name", ["SQUEUE_STATES", "SQUEUE_FORMAT2", "SINFO_FORMAT", "SCONTROL_ALL", "SLURM_EXIT_ERROR"]
)
def test_a_user_s_own_formats_and_filters_do_not_reach_the_queries(name, commands, monkeypatch):
    monkeypatch.setenv(name, "0")
    monkeypatch.setenv("SLURM_CONF", "/site/slurm.conf")
    check = f'[ -z "${{{name}+set}}" ] && [ "$SLURM_CONF" = /site/slurm.conf ] || exit 1'
    commands("sacctmgr", f"{check}; echo 'lab|100'")
    commands("squeue", f"{check}; echo 5_1")
    commands("scontrol", f"{check}; echo 'MaxArraySize = 7'")
    commands("sinfo", f"{check}; echo 'long*|4000'")
    assert slurm.free_tasks(cluster("cluster.account=lab")) == 99
    assert slurm.cluster_limits(cluster()).largest_array == 7
    assert slurm.largest_node(cluster()) is not None


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_each_profile_is_a_cluster(tmp_path, profile):
    conf = shutil.copytree(conf_dir(), tmp_path / "conf")
    shutil.copy(profile, conf / "cluster" / "mine.yaml")
    (config,) = Composer(conf).compose_all([("cluster=mine",)])
    assert isinstance(config.cluster, Slurm)
    assert config.cluster.cores > 4
    slurm.ArraySubmitter(SweepFolder(tmp_path / "sweep"), config.cluster, 1e9).script("token", "name.0", 0, 3)


def test_there_are_profiles():
    assert len(PROFILES) >= 2
