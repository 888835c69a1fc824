"""Faults and conflicts during a submission."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sweeps import CHECKOUT, DONE, POINTS, QUICK, USAGE, Command, Sweep, output, wait_until

KILLED = -9  # exit code after SIGKILL


def stub(folder: Path, *lines: str) -> dict[str, str]:
    """Return an environment in which `sbatch` is a script of these lines. $SBATCH: the real one."""
    folder.mkdir()
    script = folder / "sbatch"
    script.write_text("\n".join(["#!/bin/sh", f"SBATCH={shutil.which('sbatch')}", *lines, ""]))
    script.chmod(0o755)
    path = subprocess.run(["sh", "-c", "echo $PATH"], capture_output=True, text=True, check=True).stdout.strip()
    return {"PATH": f"{folder}:{path}"}


def test_a_job_whose_number_nobody_wrote_down_is_found_again(sweep: Sweep, reference: Sweep, tmp_path: Path) -> None:
    killed, _, _ = sweep.command(
        *sweep.words, environment=stub(tmp_path / "bin", '"$SBATCH" "$@" >/dev/null', "kill -9 $PPID", "sleep 1")
    )
    assert killed == KILLED
    assert not sweep.jobs()

    queued = sweep.status()
    code, _, err = sweep.command(*sweep.words)
    wait_until("its job has ended", lambda: sweep.status()["done"] == POINTS)

    assert queued["queued"] + queued["running"] == POINTS
    assert code != USAGE, err
    assert "0 to run" in err
    assert not sweep.jobs()
    assert len(sweep.records()) == POINTS  # each was computed once
    assert sweep.table() == reference.table()


def test_a_submission_that_was_cut_short_is_made_again(quick: Sweep, quick_reference: Sweep, tmp_path: Path) -> None:
    killed, _, _ = quick.command(*quick.words, environment=stub(tmp_path / "bin", "kill -9 $PPID", "sleep 1"))
    assert killed == KILLED

    missing = quick.status()
    quick.launch()
    quick.complete()

    assert missing["missing"] == POINTS
    assert len(quick.records()) == POINTS
    assert quick.table() == quick_reference.table()


def test_of_two_submissions_at_once_one_gives_way(quick: Sweep, quick_reference: Sweep) -> None:
    both = [quick.command.start(*quick.words) for _ in range(2)]
    ended = [process.communicate()[1] for process in both]
    codes = sorted(process.returncode for process in both)
    quick.complete()

    assert codes in ([DONE, DONE], [DONE, USAGE], [DONE, 4]), ended
    assert len(quick.jobs()) == 1
    assert len(quick.records()) == POINTS
    assert quick.table() == quick_reference.table()


def test_a_job_may_submit_a_sweep(quick: Sweep, quick_reference: Sweep, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "ttfsrun", *quick.words]
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\n" + " ".join(f"'{word}'" for word in words) + "\n")
    job = ["sbatch", "--wait", "--parsable", "--ntasks=1", "--mem=600M", f"--output={tmp_path}/outer.log"]
    subprocess.run(
        [*job, "--comment=outer", "--time=7", script], env=quick.command.environment, check=True, timeout=300
    )
    shown = output("scontrol", "show", "job", quick.jobs()[0])
    quick.complete()

    assert "Comment=outer" not in shown
    assert "TimeLimit=00:07:00" not in shown
    assert quick.table() == quick_reference.table()


def test_no_more_tasks_run_at_once_than_allowed_over_all_arrays(
    new_sweep: Callable[..., Sweep], tmp_path: Path
) -> None:
    log, go = tmp_path / "log", tmp_path / "go"  # a task that ended before the second command would be submitted again
    setup = f'["while [ ! -e {go} ]; do sleep 0.1; done; echo + >> {log}; sleep 0.5; echo - >> {log}; exit 0"]'
    cluster = ["cluster=slurm", "cluster.cores=1", "cluster.task_minutes=0.001", "cluster.parallel_tasks=1"]
    sweep = new_sweep(cluster=[*cluster, f"cluster.setup={setup}"])
    small = (
        "import sys; from dataclasses import replace; from ttfsrun.sweep.submit import slurm; "
        "from ttfsrun.cli.main import main; limits = slurm.cluster_limits; "
        "slurm.cluster_limits = lambda cluster: replace(limits(cluster), largest_array=2); sys.exit(main(sys.argv[1:]))"
    )

    for words in (["--limit", "3"], []):
        command = [sys.executable, "-c", small, *sweep.words, *words]
        subprocess.run(command, env=sweep.command.environment, check=True, capture_output=True)
    go.touch()
    sweep.wait_until_over()

    assert len(sweep.jobs()) == 2 + 3
    assert log.read_text().split() == ["+", "-"] * POINTS


def test_code_that_changes_after_the_submission_does_not_go_unnoticed(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in ("ttfsrun", "conf"):
        shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    sweep = Sweep(Command(tmp_path, copy), tmp_path / "sweep", QUICK)
    sweep.launch("--limit", "1", "cluster.sbatch={hold:true}")

    with (copy / "ttfsrun" / "training" / "loss.py").open("a") as source:
        source.write("# edited\n")
    output("scontrol", "release", sweep.jobs()[0])
    sweep.settled()
    _, _, warnings = sweep.command("gather", sweep.path, "--bare")

    assert "the code has changed since this was submitted" in sweep.logs()
    assert "1 points were computed by other code" in warnings


@pytest.mark.parametrize("name", ['it\'s $HOME; "a" `b` & (ä) *?#!~ |<>'])
def test_odd_characters_in_a_path_reach_no_shell(
    new_sweep: Callable[..., Sweep], quick_reference: Sweep, tmp_path: Path, name: str
) -> None:
    sweep = new_sweep(tmp_path / name, grid=QUICK)
    sweep.launch()
    sweep.complete()

    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    assert sweep.table() == quick_reference.table()


def test_without_the_environment_of_the_submission_tasks_read_the_same_data(
    new_sweep: Callable[..., Sweep], tiny_images: tuple[str, ...], two_datasets: tuple[Path, Path]
) -> None:
    """Some sites export nothing by default: then TTFSRUN_DATA is not set in a job."""
    sweep = new_sweep(
        grid=[*tiny_images, "seed.init=0,1"],
        cluster=["cluster=slurm", "cluster.cores=1", "cluster.sbatch={export: NONE}"],
    )
    setup = f"cluster.setup=['export PYTHONPATH={CHECKOUT}']"
    one, _ = two_datasets
    sweep.launch(setup, environment={"TTFSRUN_DATA": str(one)})
    assert sweep.settled()["done"] == 2, sweep.logs()
    (frozen,) = sweep.folder.about["data"]
    assert frozen["folder"] == str(one)
    assert [record.result and record.result["data"] for record in sweep.records()] == [frozen["source"]] * 2


def test_defaults_of_the_environment_are_used_and_none_of_them_breaks_a_sweep(
    quick: Sweep, quick_reference: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    (partition, *_) = output("sinfo", "--noheader", "--format=%R").splitlines()[-1:]
    breaking = {"SBATCH_ARRAY_INX": "5", "SBATCH_WAIT": "1", "SBATCH_NO_REQUEUE": "1", "SBATCH_OUTPUT": "/dev/null"}
    breaking |= {"SQUEUE_FORMAT2": "jobid", "SQUEUE_STATES": "SUSPENDED", "SACCT_FORMAT": "JobID"}
    breaking |= {"SLURM_TIME_FORMAT": "relative", "SLURM_EXIT_ERROR": "0"}
    quick.cluster = [*quick.cluster, "cluster.sbatch={hold: true}"]
    environment = {"SBATCH_PARTITION": partition, "SBATCH_TIMELIMIT": "0:45:00", **breaking}
    messages = quick.launch(environment=environment)

    shown = output("scontrol", "--oneliner", "show", "job", quick.jobs()[0])
    assert f" Partition={partition} " in shown
    assert " TimeLimit=00:45:00 " in shown
    assert " Requeue=1 " in shown
    assert f"cluster.partition={partition} (SBATCH_PARTITION)" in messages
    assert "SBATCH_WAIT is not used" in messages
    for job in quick.jobs():
        output("scontrol", "release", job)
    with monkeypatch.context() as patch:
        patch.setitem(quick.command.environment, "SQUEUE_STATES", "SUSPENDED")
        assert quick.settled()["done"] == POINTS
    assert quick.table() == quick_reference.table()


def test_a_configuration_of_slurm_that_is_elsewhere_is_used(quick: Sweep, tmp_path: Path) -> None:
    configuration = Path("/etc/slurm/slurm.conf")
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /etc/slurm && exec "$@"', "sh"]
    if not configuration.exists() or subprocess.run([*hide, "true"], capture_output=True, check=False).returncode:
        pytest.skip("/etc/slurm cannot be hidden here")
    elsewhere = tmp_path / "slurm.conf"
    shutil.copy(configuration, elsewhere)
    submit = [*hide, sys.executable, "-m", "ttfsrun", *quick.words]
    environment = quick.command.environment | {"SLURM_CONF": str(elsewhere)}
    done = subprocess.run(
        submit, cwd=quick.command.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == DONE, done.stderr
    assert quick.settled()["done"] == POINTS
