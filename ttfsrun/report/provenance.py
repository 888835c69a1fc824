"""What made a sweep, when, and the commands that make it all again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ttfsrun.results.sweep_folder import DEFAULT, SweepFolder
from ttfsrun.sweep.monitor.overview import duration
from ttfsrun.sweep.monitor.status import SweepStatus

DONE_WITH = ("ttfsrun", "python", "numpy", "torch", "numba", "llvmlite", "hydra-core")


def facts(folder: SweepFolder, states: SweepStatus) -> list[tuple[str, str]]:
    """Provenance, a name and a text each; what nobody wrote down is left out."""
    about = folder.about
    made_by: Mapping[str, Any] = about.get("made_by") or {}
    trainings = about.get("trainings")
    versions = [f"{name} {made_by[name]}" for name in DONE_WITH if made_by.get(name)]
    told = {
        "folder": str(folder.path),
        "points": str(about["points"]) + (f", of {trainings} trainings" if trainings else ""),
        "cluster": (about.get("cluster") or {}).get("name"),
        "git commit": _commit(made_by),
        "package": about.get("package") and f"checksum {about['package']}",
        "versions": ", ".join(versions),
        "processor": made_by.get("processor"),
        **_when(states),
    }
    return [(name, str(text)) for name, text in told.items() if text]


def _commit(made_by: Mapping[str, Any]) -> str | None:
    """The commit; dirty: the code had changes that no commit knows."""
    sha = made_by.get("git_sha")
    if not sha:
        return None
    return f"{sha}, with uncommitted changes" if made_by.get("git_dirty") else f"{sha}, clean"


def _when(states: SweepStatus) -> dict[str, str]:
    """The first submission, the results, and what they cost."""
    told = {}
    submitted = [submission.intent.time for submission in states.submissions]
    if submitted:
        again = f", {len(submitted)} submissions so far" if len(submitted) > 1 else ""
        told["submitted"] = moment(min(submitted)) + again
    times = [record.time for record in states.records.values()]
    if times:
        first, last = moment(min(times)), moment(max(times))
        told["results"] = first if first == last else f"{first} to {last}"
    done = [record.execution for record in states.records.values() if record.status == "done"]
    if done:
        seconds = sum(execution.seconds * execution.threads for execution in done)
        told["computed in"] = f"{duration(seconds)} of one core ({seconds / 3600:.2g} core-hours)"
    return told


def moment(seconds: float) -> str:
    """Seconds since 1970 as a date and a time, in UTC."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def commands(folder: SweepFolder) -> list[str]:
    """From the code to this page, for a shell."""
    about, path = folder.about, str(folder.path)
    made_by = about.get("made_by") or {}
    sha, is_dirty = made_by.get("git_sha"), made_by.get("git_dirty")
    checkout = [f"git checkout {shlex.quote(str(sha))}" + "  # and changes that no commit has" * bool(is_dirty)]
    made = [[*map(str, about["command"]), *_where(folder)]] if about.get("command") else []
    again = [["ttfsrun", verb, path] for verb in ("gather", "plot", "report")]
    return [*(checkout if sha else []), *(shlex.join(command) for command in [*made, *again])]


def _where(folder: SweepFolder) -> list[str]:
    """What `sweep` needs to be told to make this folder: sweep.yaml has the words, not the flags."""
    if folder.path.parent == DEFAULT:
        return ["--name", folder.path.name]
    return ["--out", str(folder.path)]
