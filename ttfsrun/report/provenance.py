"""The provenance of a sweep, and the commands that reproduce it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ttfsrun.results.record import CPU
from ttfsrun.results.sweep_folder import DEFAULT, SweepFolder
from ttfsrun.results.wording import duration
from ttfsrun.sweep.monitor.status import SweepStatus

SOFTWARE = ("ttfsrun", "python", "numpy", "torch", "numba", "llvmlite", "hydra-core")  # whose versions are shown


def facts(folder: SweepFolder, states: SweepStatus) -> list[tuple[str, str]]:
    """Return the provenance as pairs of a name and a text, without those that were not recorded."""
    about = folder.about
    made_by: Mapping[str, Any] = about.get("made_by") or {}
    trainings = about.get("trainings")
    versions = [f"{name} {made_by[name]}" for name in SOFTWARE if made_by.get(name)]
    texts = {
        "folder": str(folder.path),
        "points": str(about["points"]) + (f", of {trainings} trainings" if trainings else ""),
        "cluster": (about.get("cluster") or {}).get("name"),
        "git commit": _commit(made_by),
        "package": about.get("package") and f"checksum {about['package']}",
        "versions": ", ".join(versions),
        "processor": made_by.get("processor"),
        **_times_and_cost(states),
    }
    return [(name, str(text)) for name, text in texts.items() if text]


def _commit(made_by: Mapping[str, Any]) -> str | None:
    """Return the commit, and whether the code had uncommitted changes."""
    sha = made_by.get("git_sha")
    if not sha:
        return None
    return f"{sha}, with uncommitted changes" if made_by.get("git_dirty") else f"{sha}, clean"


def _times_and_cost(states: SweepStatus) -> dict[str, str]:
    """Return the times of the first submission and of the results, and the computing time."""
    texts = {}
    submitted = [submission.intent.time for submission in states.submissions]
    if submitted:
        number = f", {len(submitted)} submissions so far" if len(submitted) > 1 else ""
        texts["submitted"] = moment(min(submitted)) + number
    times = [record.time for record in states.records.values()]
    if times:
        first, last = moment(min(times)), moment(max(times))
        texts["results"] = first if first == last else f"{first} to {last}"
    done = [record.execution for record in states.records.values() if record.status == "done"]
    if done:
        cores = sum(execution.seconds * execution.threads for execution in done if execution.device == CPU)
        gpus = sum(execution.seconds for execution in done if execution.device != CPU)
        parts = [f"{duration(cores)} on one core ({cores / 3600:.2g} core-hours)"] if cores else []
        parts += [f"{duration(gpus)} on one GPU ({gpus / 3600:.2g} GPU-hours)"] if gpus else []
        texts["computing time"] = ", ".join(parts)
        if gpus:
            texts["devices"] = ", ".join(sorted({execution.device for execution in done}))
    return texts


def moment(seconds: float) -> str:
    """Return seconds since 1970 as a date and a time, in UTC."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def commands(folder: SweepFolder) -> list[str]:
    """Return the shell commands that reproduce the sweep, its table, its figures and this page."""
    about, path = folder.about, str(folder.path)
    made_by = about.get("made_by") or {}
    sha, is_dirty = made_by.get("git_sha"), made_by.get("git_dirty")
    checkout = [f"git checkout {shlex.quote(str(sha))}" + "  # plus uncommitted changes" * bool(is_dirty)]
    sweep = [[*map(str, about["command"]), *_folder_flags(folder)]] if about.get("command") else []
    results = [["ttfsrun", verb, path] for verb in ("gather", "plot", "report")]
    return [*(checkout if sha else []), *(shlex.join(command) for command in [*sweep, *results])]


def _folder_flags(folder: SweepFolder) -> list[str]:
    """Return the flags with which `sweep` makes this folder; the command in sweep.yaml lacks the flags."""
    if folder.path.parent == DEFAULT:
        return ["--name", folder.path.name]
    return ["--out", str(folder.path)]
