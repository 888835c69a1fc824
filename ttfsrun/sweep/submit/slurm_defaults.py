"""Defaults of sbatch that sites and users set as environment variables, below explicit settings of the cluster.

sbatch itself ranks them above the options of a batch script, so they become settings before the script is written, and
only those that this module does not know reach sbatch. See the input environment variables of sbatch(1).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ttfsrun.config.cluster import Slurm
from ttfsrun.errors import UserError
from ttfsrun.results.sweep_folder import Intent

#: Variables that stand for a setting of the cluster.
SETTINGS = {
    "SBATCH_PARTITION": "partition",
    "SBATCH_ACCOUNT": "account",
    "SBATCH_QOS": "qos",
    "SBATCH_CONSTRAINT": "constraint",
    "SBATCH_GRES": "gres",
    "SBATCH_TIMELIMIT": "time_minutes",
    "SBATCH_MEM_PER_NODE": "memory_gb",
    "SBATCH_MEM_PER_CPU": "memory_gb",
    "SBATCH_EXCLUSIVE": "exclusive",
}
#: Variables that stand for a further option of sbatch.
OPTIONS = {
    **{
        f"SBATCH_{option.replace('-', '_').upper()}": option
        for option in (
            *("acctg-freq", "batch", "clusters", "container", "core-spec", "delay-boot", "distribution", "export"),
            *("gpu-bind", "gpu-freq", "gpus", "gpus-per-node", "gpus-per-task", "gres-flags", "hint", "mem-per-gpu"),
            *("network", "power", "profile", "reservation", "thread-spec", "threads-per-core", "tres-per-task"),
            *("wait-all-nodes", "wckey", "get-user-env", "ignore-pbs", "overcommit"),
        )
    },
    "SLURM_CLUSTERS": "clusters",
    "SLURM_HINT": "hint",
}
EXCLUSIVE_KINDS = ("user", "mcs", "topo")
FLAGS = ("get-user-env", "ignore-pbs", "overcommit")  # options that need no value
#: Variables that would break a sweep, and why.
IGNORED = {
    "SBATCH_ARRAY_INX": "the plan sets the array",
    "SBATCH_CPUS_PER_GPU": "cluster.cores sets the cores",
    "SBATCH_DEBUG": "it would hide the reason of a refusal",
    "SBATCH_ERROR": "logs are found by their names",
    "SBATCH_INPUT": "tasks read no input",
    "SBATCH_JOB_NAME": "jobs are found by their names",
    "SBATCH_MEM_BIND": "a surrounding job sets it as well; cluster.sbatch={mem-bind: ...} is used",
    "SBATCH_NO_KILL": "a task whose node fails must be requeued",
    "SBATCH_NO_REQUEUE": "tasks must be requeued at their time limit",
    "SBATCH_OPEN_MODE": "a requeued task continues its log",
    "SBATCH_OUTPUT": "logs are found by their names",
    "SBATCH_REQUEUE": "tasks are requeued anyway",
    "SBATCH_REQ_SWITCH": "a task has one node",
    "SBATCH_SIGNAL": "it warns tasks of their time limit",
    "SBATCH_SPREAD_JOB": "a task has one node",
    "SBATCH_USE_MIN_NODES": "a task has one node",
    "SBATCH_WAIT": "sbatch would wait until the jobs end",
    "SBATCH_WAIT4SWITCH": "a task has one node",
}
OF_JOBS = ("SBATCH_MEM_BIND_LIST", "SBATCH_MEM_BIND_PREFER", "SBATCH_MEM_BIND_TYPE", "SBATCH_MEM_BIND_VERBOSE")
PASSED = ("SLURM_CONF",)  # where Slurm is; its other variables may be those of a surrounding job
MEMORY_OPTIONS = ("mem", "mem-per-cpu", "mem-per-gpu")
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "": 2**20}


@dataclass(frozen=True)
class SlurmDefaults:
    """Settings of a cluster with the defaults of the environment, and where these came from."""

    cluster: Slurm
    origins: dict[str, str] = field(default_factory=dict)  # variable of each setting: partition, sbatch.reservation
    ignored: dict[str, str] = field(default_factory=dict)  # why a variable was not used
    passed: dict[str, str] = field(default_factory=dict)  # variables that reach sbatch as they are

    def lines(self) -> Iterator[str]:
        """Yield what the user must know about these variables."""
        values = _by_key(msgspec.to_builtins(self.cluster))
        if self.origins:
            used = (f"cluster.{key}={_shown(values[key])} ({name})" for key, name in self.origins.items())
            yield f"from the environment: {', '.join(used)}"
        if self.passed:
            yield f"passed to sbatch: {', '.join(f'{name}={value}' for name, value in self.passed.items())}"
        yield from (f"{name} is not used: {why}" for name, why in self.ignored.items())


def with_defaults(cluster: Slurm, environment: Mapping[str, str]) -> SlurmDefaults:
    """Return the settings of the cluster with the defaults of the environment.

    Raises UserError where they name several clusters.
    """
    defaults = _Collector(cluster)
    for name in sorted(environment):
        value = environment[name]
        if name in SETTINGS or name in OPTIONS:
            if _applies(name, value):
                defaults.set(name, *_setting(name, value, cluster.cores))
        elif name in IGNORED:
            defaults.ignored[name] = IGNORED[name]
        elif name in PASSED or (name.startswith("SBATCH_") and name not in OF_JOBS):
            defaults.passed[name] = value
    return defaults.result()


def without_outdated(intent: Intent, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of the cluster of an earlier submission, without defaults that the environment sets anew.

    A memory that came from the environment is not kept either: it may have been too small.
    """
    settings = dict(intent.cluster)
    for key in (key for key, name in intent.origins.items() if name in environment or key == "memory_gb"):
        if key.startswith("sbatch."):
            settings["sbatch"] = {o: v for o, v in settings["sbatch"].items() if f"sbatch.{o}" != key}
        else:
            settings[key] = False if key == "exclusive" else None
    return settings


def kept_origins(cluster: Slurm, intent: Intent, origins: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that settings came from at an earlier submission, of settings that are still the same."""
    now, then = _by_key(msgspec.to_builtins(cluster)), _by_key(intent.cluster)
    earlier = {key: name for key, name in intent.origins.items() if key in now and now[key] == then.get(key)}
    return {key: name for key, name in earlier.items() if key not in origins and name not in origins.values()}


def _by_key(settings: Mapping[str, Any]) -> dict[str, Any]:
    return dict(settings) | {f"sbatch.{option}": value for option, value in settings["sbatch"].items()}


class _Collector:
    def __init__(self, cluster: Slurm) -> None:
        self.values = msgspec.to_builtins(cluster)
        self.explicit = {key for key, value in self.values.items() if value not in (None, False)}
        self.options = {option.replace("_", "-"): value for option, value in cluster.sbatch.items()}
        self.explicit |= {f"sbatch.{option}" for option in self.options}
        self.origins: dict[str, str] = {}
        self.ignored: dict[str, str] = {}
        self.passed: dict[str, str] = {}

    def set(self, name: str, key: str, value: Any) -> None:
        """Take a default, unless an explicit setting, or another variable, is there."""
        rival = next((other for other in _same(key) if other in self.explicit or other in self.origins), None)
        if rival is not None:
            chosen = self.origins.get(rival, f"cluster.{rival}")
            self.ignored[name] = f"{chosen} counts"
            return
        self.origins[key] = name
        if key.startswith("sbatch."):
            self.options[key.removeprefix("sbatch.")] = value
        else:
            self.values[key] = value

    def result(self) -> SlurmDefaults:
        clusters = str(self.options.get("clusters", ""))
        if "," in clusters or clusters == "all":
            origin = self.origins.get("sbatch.clusters", "cluster.sbatch")
            raise UserError(f"clusters={clusters} ({origin}): a sweep runs on one cluster; name one")
        cluster = msgspec.convert(self.values | {"sbatch": self.options}, Slurm)
        return SlurmDefaults(cluster, self.origins, self.ignored, self.passed)


def _same(key: str) -> list[str]:
    """Return the settings that exclude each other with this one."""
    memory = ["memory_gb", *(f"sbatch.{option}" for option in MEMORY_OPTIONS)]
    if key in memory:
        return memory
    plain = key.removeprefix("sbatch.")
    names = {"time_minutes": "time", "exclusive": "exclusive", "time": "time_minutes"}
    return [plain, f"sbatch.{plain}", *([names[plain], f"sbatch.{names[plain]}"] if plain in names else [])]


def _applies(name: str, value: str) -> bool:
    """Return whether sbatch would use the value of a variable."""
    if name == "SBATCH_EXCLUSIVE":
        return _enabled(value) or value in EXCLUSIVE_KINDS
    return _enabled(value) if OPTIONS.get(name) in FLAGS else bool(value)


def _setting(name: str, value: str, cores: int) -> tuple[str, Any]:
    """Return the setting of a variable and its value; an option of sbatch where no setting can express the value."""
    if name in OPTIONS:
        return f"sbatch.{OPTIONS[name]}", True if OPTIONS[name] in FLAGS else value
    key = SETTINGS[name]
    if key == "time_minutes":
        minutes = slurm_minutes(value)
        return ("sbatch.time", value) if minutes is None else (key, minutes)
    if key == "memory_gb":
        size = slurm_bytes(value)
        if not size:
            return ("sbatch.mem" if name == "SBATCH_MEM_PER_NODE" else "sbatch.mem-per-cpu"), value
        return key, size * (cores if name == "SBATCH_MEM_PER_CPU" else 1) / 1e9
    if key == "exclusive":
        return (key, True) if _enabled(value) else ("sbatch.exclusive", value)
    return key, value


def slurm_minutes(text: str) -> int | None:
    """Return the minutes of a time limit as sbatch reads it: 90, 90:00, 1:30:00, 1-6, 1-6:30; None for others."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if match is None:
        return None
    days, *parts = (None if part is None else int(part) for part in match.groups())
    given = [part for part in parts if part is not None]
    if days is None and len(given) < 3:  # minutes, minutes:seconds
        given = [0, *given]
    hours, minutes, seconds = (*given, 0, 0)[:3]
    return max(1, math.ceil(((days or 0) * 24 + hours) * 60 + minutes + seconds / 60))


def slurm_bytes(text: str) -> int | None:
    """Return the bytes of a memory size as sbatch reads it: 4000 (megabytes), 4G; None for others."""
    match = re.fullmatch(r"(\d+)([KMGT]?)B?", text.strip().upper())
    return None if match is None else int(match[1]) * UNITS[match[2]]


def _enabled(value: str) -> bool:
    """Return whether sbatch takes the value of a variable as setting its flag."""
    return value in ("", "yes") or (value.isdecimal() and int(value) != 0)


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
