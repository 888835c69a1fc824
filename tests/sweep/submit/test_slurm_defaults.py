"""Defaults of sbatch in the environment: used below explicit settings, reported, and harmless."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import made_up
import msgspec
import pytest

from ttfsrun.config.cluster import RESERVED_OPTIONS, Slurm
from ttfsrun.config.compose import compose
from ttfsrun.errors import UserError
from ttfsrun.sweep.slurm_environment import command_environment
from ttfsrun.sweep.submit import slurm_defaults
from ttfsrun.sweep.submit.slurm_defaults import slurm_bytes, slurm_minutes, with_defaults, without_outdated

MANUAL = Path("/usr/share/man/man1/sbatch.1.gz")


def cluster(*words: str) -> Slurm:
    found = compose(["cluster=slurm", *words]).cluster
    assert isinstance(found, Slurm)
    return found


@pytest.mark.parametrize(
    ("name", "value", "key", "expected"),
    [
        ("SBATCH_PARTITION", "long", "partition", "long"),
        ("SBATCH_ACCOUNT", "lab", "account", "lab"),
        ("SBATCH_QOS", "low", "qos", "low"),
        ("SBATCH_CONSTRAINT", "a&b", "constraint", "a&b"),
        ("SBATCH_GRES", "gpu:1", "gres", "gpu:1"),
        ("SBATCH_TIMELIMIT", "1-00:30:00", "time_minutes", 1470),
        ("SBATCH_TIMELIMIT", "UNLIMITED", "sbatch.time", "UNLIMITED"),
        ("SBATCH_MEM_PER_NODE", "4G", "memory_gb", 4 * 2**30 / 1e9),
        ("SBATCH_MEM_PER_NODE", "0", "sbatch.mem", "0"),
        ("SBATCH_MEM_PER_CPU", "1000", "memory_gb", 4 * 1000 * 2**20 / 1e9),
        ("SBATCH_MEM_PER_GPU", "1G", "sbatch.mem-per-gpu", "1G"),
        ("SBATCH_EXCLUSIVE", "", "exclusive", True),
        ("SBATCH_EXCLUSIVE", "user", "sbatch.exclusive", "user"),
        ("SBATCH_EXPORT", "NONE", "sbatch.export", "NONE"),
        ("SBATCH_RESERVATION", "exam", "sbatch.reservation", "exam"),
        ("SBATCH_CLUSTERS", "c2", "sbatch.clusters", "c2"),
        ("SLURM_CLUSTERS", "c2", "sbatch.clusters", "c2"),
        ("SBATCH_GET_USER_ENV", "", "sbatch.get-user-env", True),
        ("SBATCH_OVERCOMMIT", "yes", "sbatch.overcommit", True),
    ],
)
def test_a_default_of_the_environment_is_a_setting_with_its_origin(name, value, key, expected):
    defaults = with_defaults(cluster(), {name: value})
    settings = msgspec.to_builtins(defaults.cluster)
    settings |= {f"sbatch.{option}": value for option, value in settings["sbatch"].items()}
    assert settings[key] == expected
    assert defaults.origins == {key: name}
    (line,) = defaults.lines()
    assert line.startswith("from the environment: cluster.")
    assert line.endswith(f"({name})")


@pytest.mark.parametrize(
    ("name", "value", "explicit"),
    [
        ("SBATCH_PARTITION", "long", "cluster.partition=short"),
        ("SBATCH_PARTITION", "long", "cluster.sbatch={partition: short}"),
        ("SBATCH_TIMELIMIT", "5", "cluster.time_minutes=9"),
        ("SBATCH_TIMELIMIT", "5", "cluster.sbatch={time: 9}"),
        ("SBATCH_MEM_PER_NODE", "1G", "cluster.memory_gb=2"),
        ("SBATCH_MEM_PER_CPU", "1G", "cluster.sbatch={mem: 2G}"),
        ("SBATCH_MEM_PER_GPU", "1G", "cluster.memory_gb=2"),
        ("SBATCH_EXPORT", "ALL", "cluster.sbatch={export: NONE}"),
        ("SBATCH_GPU_BIND", "none", "cluster.sbatch={gpu_bind: closest}"),
        ("SBATCH_RESERVATION", "exam", "cluster.sbatch={reservation: false}"),
    ],
)
def test_an_explicit_setting_counts_more_and_that_is_said(name, value, explicit):
    defaults = with_defaults(cluster(explicit), {name: value})
    assert not defaults.origins
    plain = {key.replace("_", "-"): value for key, value in cluster(explicit).sbatch.items()}
    assert defaults.cluster == msgspec.structs.replace(cluster(explicit), sbatch=plain)
    (line,) = defaults.lines()
    assert re.fullmatch(rf"{name} is not used: cluster\.\S+ counts", line)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SBATCH_PARTITION", ""), ("SBATCH_EXCLUSIVE", "no"), ("SBATCH_OVERCOMMIT", "0"), ("SBATCH_GET_USER_ENV", "no")],
)
def test_a_value_that_sbatch_takes_for_none_is_none(name, value):
    assert with_defaults(cluster(), {name: value}) == with_defaults(cluster(), {})


@pytest.mark.parametrize("name", sorted(slurm_defaults.IGNORED))
def test_a_variable_that_would_break_a_sweep_is_not_used_and_the_reason_is_said(name):
    defaults = with_defaults(cluster(), {name: "1"})
    assert defaults.cluster == cluster()
    assert list(defaults.lines()) == [f"{name} is not used: {slurm_defaults.IGNORED[name]}"]


def test_every_variable_of_the_manual_is_known():
    if not MANUAL.exists():
        pytest.skip("no manual page of sbatch here")
    text = subprocess.run(["zcat", MANUAL], capture_output=True, text=True, check=True).stdout
    variables = text.partition('.SH "INPUT ENVIRONMENT VARIABLES"')[2].partition(".SH")[0]
    names = set(re.findall(r"\\fB(SBATCH_[A-Z0-9_]+)", variables))
    assert len(names) > 40
    assert names <= {*slurm_defaults.SETTINGS, *slurm_defaults.OPTIONS, *slurm_defaults.IGNORED}


def test_a_variable_of_a_later_version_reaches_sbatch_as_it_is():
    defaults = with_defaults(cluster(), {"SBATCH_INVENTED": "1", "SLURM_CONF": "/site/slurm.conf", "HOME": "/home"})
    assert defaults.passed == {"SBATCH_INVENTED": "1", "SLURM_CONF": "/site/slurm.conf"}
    assert list(defaults.lines()) == ["passed to sbatch: SBATCH_INVENTED=1, SLURM_CONF=/site/slurm.conf"]


def test_no_option_that_a_sweep_sets_itself_comes_from_the_environment():
    assert not set(slurm_defaults.OPTIONS.values()) & set(RESERVED_OPTIONS)


def test_a_sweep_runs_on_one_cluster():
    for environment, words in [({"SBATCH_CLUSTERS": "a,b"}, []), ({}, ["cluster.sbatch={clusters: all}"])]:
        with pytest.raises(UserError, match="a sweep runs on one cluster"):
            with_defaults(cluster(*words), environment)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("90:01", 91), ("1:30:00", 90), ("1-6", 1800), ("1-6:30", 1830), ("1-6:30:30", 1831), ("x", None)],
)
def test_time_limits_are_read_as_sbatch_reads_them(text, minutes):
    assert slurm_minutes(text) == minutes


@pytest.mark.parametrize(("text", "size"), [("4000", 4000 * 2**20), ("4G", 2**32), ("1t", 2**40), ("much", None)])
def test_sizes_are_read_as_sbatch_reads_them(text, size):
    assert slurm_bytes(text) == size


def test_a_retry_keeps_the_defaults_of_the_submission_unless_the_environment_has_others():
    defaults = with_defaults(
        cluster(), {"SBATCH_PARTITION": "long", "SBATCH_RESERVATION": "a", "SBATCH_MEM_PER_CPU": "1G"}
    )
    values = msgspec.to_builtins(defaults.cluster)
    intent = made_up.intent([["p"]], cluster=values, origins=defaults.origins)
    kept = without_outdated(intent, {})
    assert (kept["partition"], kept["sbatch"], kept["memory_gb"]) == ("long", {"reservation": "a"}, None)
    anew = without_outdated(intent, {"SBATCH_PARTITION": "short", "SBATCH_RESERVATION": "b"})
    assert (anew["partition"], anew["sbatch"]) == (None, {})
    assert slurm_defaults.kept_origins(defaults.cluster, intent, {}) == defaults.origins


def test_commands_keep_where_slurm_is_and_lose_what_changes_their_answers():
    given = {"SLURM_CONF": "/c", "SLURM_EXIT_ERROR": "0", "SQUEUE_SORT": "i", "SLURM_TIME_FORMAT": "relative", "A": "b"}
    given |= {"SCANCEL_STATE": "RUNNING", "SBATCH_PARTITION": "p", "SLURM_JOB_ID": "1", "SLURM_CLUSTERS": "c2"}
    expected = {"SLURM_CONF": "/c", "SLURM_TIME_FORMAT": "standard", "SLURM_BITSTR_LEN": "0", "A": "b"}
    assert command_environment(given) == expected
