"""The verbs `sweep` and `retry`: a request becomes a folder, its missing points a plan, and the plan jobs."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import msgspec

from ttfsrun.config.cluster import Debug, Slurm
from ttfsrun.config.compose import Composer, conf_dir
from ttfsrun.config.schema import Config
from ttfsrun.errors import COMPLETE, INTERRUPTED, Reason, UserError
from ttfsrun.results.claim import claimed_folder, is_occupied
from ttfsrun.results.provenance import package_checksum, provenance
from ttfsrun.results.record import CPU
from ttfsrun.results.sweep_folder import DEFAULT, Intent, SweepFolder, SweepPoint
from ttfsrun.results.views import RecordSummary
from ttfsrun.results.wording import count
from ttfsrun.sweep.grid.request import SweepRequest, read_request
from ttfsrun.sweep.monitor.status import SweepStatus, sweep_status
from ttfsrun.sweep.submit.costs import default_costs, estimate_costs
from ttfsrun.sweep.submit.dispatch import Dispatcher, Target, available_room
from ttfsrun.sweep.submit.freeze import freeze_points
from ttfsrun.sweep.submit.gpu_costs import estimate_gpu_costs
from ttfsrun.sweep.submit.memory import MemoryHistory
from ttfsrun.sweep.submit.plan import Plan, Room, make_plan
from ttfsrun.sweep.submit.reuse import reuse
from ttfsrun.sweep.submit.slurm_defaults import without_outdated
from ttfsrun.sweep.submit.summary import lost_lines, plan_line, plan_warnings, points_line
from ttfsrun.sweep.worker import checkpoints
from ttfsrun.sweep.worker.frozen_data import freeze_data, on_frozen_data, read_frozen, require_frozen_data

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """The flags of `sweep` and `retry`."""

    dry_run: bool = False
    yes: bool = False
    limit: int | None = None
    again: Collection[Reason] = ()  # classes of failures to try again
    reuse: Sequence[Path] = ()


def sweep(overrides: Sequence[str], out: Path | None, name: str | None, options: Options) -> int:
    """Make the sweep that the overrides describe, run or submit its missing points, and return the exit code.

    Raises UserError where the request is wrong or the folder holds something else.
    """
    composer = Composer(conf_dir())
    request = read_request(overrides, composer)
    points = freeze_points(zip(request.points, composer.configs(request.points), strict=True), request.keys)
    (first,) = composer.compose_all(request.points[:1])
    target = Target.here(first.cluster)
    folder = SweepFolder(out or DEFAULT / (name or _default_name(request, points)))
    for path in options.reuse:
        _ = SweepFolder(path).about  # raises before anything is made
    with _claimed(folder, options):
        about = None if _is_sweep_of(folder, points) else _about(folder, request, points, first, overrides)
        if about is not None and options.reuse and not options.dry_run:
            folder.create(about, points)
            about = None
        announced = _announce(folder, points, target, options, about)
    return _start(announced)


def retry(path: Path, overrides: Sequence[str], options: Options) -> int:
    """Run or submit the failed and lost points of a sweep again, and return the exit code.

    overrides: settings of the cluster that replace those of the last submission.
    """
    folder = SweepFolder(path)
    folder.require()
    with _claimed(folder, options):
        points = list(folder.points.values())
        last = next((job for job in reversed(folder.jobs()) if isinstance(job, Intent)), None)
        settings = folder.about["cluster"] if last is None else without_outdated(last, os.environ)
        target = Target.here(Composer(conf_dir()).cluster(settings, overrides), last)
        announced = _announce(folder, points, target, options, None)
    return _start(announced)


def _claimed(folder: SweepFolder, options: Options) -> AbstractContextManager[object]:
    """Claim the folder while points are planned and announced, unless nothing is written."""
    return nullcontext() if options.dry_run else claimed_folder(folder.path, "choose another --name or --out")


@dataclass(frozen=True)
class Announced:
    """A plan whose points jobs.jsonl names: no other process takes them. running: jobs of this sweep in the queue."""

    dispatcher: Dispatcher
    running: Sequence[str]


def _announce(
    folder: SweepFolder,
    points: Sequence[SweepPoint],
    target: Target,
    options: Options,
    about: dict[str, Any] | None,
) -> Announced | int:
    """Plan and announce the points that may run; return the exit code where there is nothing to start.

    about: content of sweep.yaml where the sweep is yet to be made.
    """
    package, is_new = package_checksum(), about is not None
    if not (is_new or options.dry_run):
        reuse(folder, options.reuse, package)
    known_jobs = 0 if is_new else len(folder.jobs())
    status = None if is_new else sweep_status(folder)
    chosen = points[: options.limit]
    to_run = [point for point in chosen if status is None or status.may_run(point.point, options.again)]
    _say(points_line(folder, points, chosen, to_run, status))
    for note in [] if status is None else [*status.notes, *lost_lines(status)]:
        _say(note)
    if to_run:
        policy = target.memory_policy()
        history = MemoryHistory() if status is None else MemoryHistory.of(points, folder.jobs(), status)
        hopeless = policy.hopeless(to_run, history)
        if hopeless:
            _say(policy.hopeless_line(len(hopeless)))
            to_run = [point for point in to_run if point.point not in hopeless]
    if not to_run:
        return 0 if status is None else _outcome(status)
    to_run = on_frozen_data(to_run, read_frozen(about or folder.about))
    if about is None:
        require_frozen_data(to_run, read_frozen(folder.about))
    plan = _plan(folder, to_run, target, status, package)
    memory = policy.request(to_run, plan.memory, history)
    dispatcher = Dispatcher(folder, target, plan, package, memory)
    for line in [plan_line(plan, dispatcher), *plan_warnings(plan, target.cluster), *memory.lines, *target.lines]:
        _say(line)
    if options.dry_run:
        sys.stdout.write(dispatcher.script())
        return 0
    if not (options.yes or _confirmed()):
        _say("nothing was started")
        return 0
    if about is not None:
        folder.create(about, points)
    dispatcher.announce(known_jobs)
    return Announced(dispatcher, status.running_jobs() if status else [])


def _start(announced: Announced | int) -> int:
    """Run or submit what was announced, and return the exit code."""
    if isinstance(announced, int):
        return announced
    dispatcher = announced.dispatcher
    finished = dispatcher.start(announced.running)
    where = quote(str(dispatcher.folder.path))
    if isinstance(dispatcher.cluster, Slurm):
        _say(f"submitted; ttfsrun status {where} shows the progress")
        return 0
    return _outcome(sweep_status(dispatcher.folder)) if finished else _interrupted(where)


def _plan(
    folder: SweepFolder, points: Sequence[SweepPoint], target: Target, status: SweepStatus | None, package: str
) -> Plan:
    room = available_room(target)
    records = _on_like_devices(status.records.values() if status else (), target, room)
    if isinstance(target.cluster, Debug):
        costs = default_costs(points)
    elif room.gpu_memory is not None:
        costs = estimate_gpu_costs(points, records, package, target.gpus[0] if target.gpus else None)
    else:
        costs = estimate_costs(points, records, package)
    members = list(checkpoints.list_checkpoints(folder.checkpoints).values())
    return make_plan(points, costs, room, members)


def _on_like_devices(records: Iterable[RecordSummary], target: Target, room: Room) -> list[RecordSummary]:
    """Return the records whose times tell something about this plan's: of the GPUs here, of any GPU, or of cores."""
    names, on_gpus = {gpu.name for gpu in target.gpus}, room.gpu_memory is not None
    return [r for r in records if (r.execution.device in names if names else (r.execution.device != CPU) == on_gpus)]


def _is_sweep_of(folder: SweepFolder, points: Sequence[SweepPoint]) -> bool:
    """Return whether the folder holds these points already. Raises UserError where it holds something else."""
    if not is_occupied(folder.path):
        return False
    if not folder.sweep.exists() and not folder.points_file.exists():
        raise UserError(f"{folder.path} is not empty and not a sweep: choose another --name or --out")
    if not folder.sweep.exists():
        return False  # the process that made it was interrupted
    requested, stored = {point.point for point in points}, set(folder.points)
    if requested != stored:
        common = len(requested & stored)
        raise UserError(
            f"{folder.path} holds another grid: {len(stored)} points, of which {common} are among these "
            f"{len(requested)}; choose another --name, and reuse existing results with "
            f"--reuse {quote(str(folder.path))}"
        )
    now, then = _data_folders(points), _data_folders(folder.points.values())
    if now != then and folder.jobs():
        raise UserError(
            f"{folder.path} was made with data.folder={_listed(then)}, not {_listed(now)}: a sweep keeps its data; "
            f"choose another --name, and reuse existing results with --reuse {quote(str(folder.path))}"
        )
    return now == then  # where nothing was started, the sweep is made again


def _data_folders(points: Iterable[SweepPoint]) -> set[str | None]:
    """Return the folders of the data. Ids do not depend on them, but workers read the data from there."""
    return {point.config["data"].get("folder") for point in points}


def _listed(folders: Iterable[str | None]) -> str:
    return ", ".join(sorted(folder or "null" for folder in folders))


def _default_name(request: SweepRequest, points: Sequence[SweepPoint]) -> str:
    """Return a name that depends on the points only, so that the same command resumes its sweep."""
    identity = hashlib.sha256("".join(sorted(point.point for point in points)).encode()).hexdigest()[:8]
    return f"{request.name or points[0].config['data']['name']}-{identity}"


def _about(
    folder: SweepFolder, request: SweepRequest, points: Sequence[SweepPoint], first: Config, overrides: Sequence[str]
) -> dict[str, Any]:
    """Return the content of sweep.yaml."""
    return {
        "name": folder.path.absolute().name,
        "command": ["ttfsrun", "sweep", *overrides],
        "points": len(points),
        "trainings": len({point.training for point in points}),
        "keys": list(dict.fromkeys(key for point in points for key in point.settings)),
        "grid": request.spec,
        "cluster": msgspec.to_builtins(first.cluster),
        "package": package_checksum(),
        "data": msgspec.to_builtins(freeze_data(points)),
        "made_by": provenance(),
    }


def _confirmed() -> bool:
    """Ask on a terminal; elsewhere, where nobody could answer, return True."""
    if not sys.stdin.isatty():
        return True
    sys.stderr.write("Continue? [Y/n] ")
    sys.stderr.flush()
    return sys.stdin.readline().lower() in ("\n", "y\n", "yes\n")  # the end of the input is no answer


def _outcome(status: SweepStatus) -> int:
    """Log how the sweep ended, and return the exit code."""
    failed, where = status.counts()["failed"], quote(str(status.folder.path))
    if failed:
        _say(
            f"{count(failed, 'point')} failed: ttfsrun logs {where} --failed shows why, "
            f"ttfsrun retry {where} runs {'it' if failed == 1 else 'them'} again"
        )
    elif status.exit_code == COMPLETE:
        _say(f"complete; ttfsrun gather {where} makes the table")
    return status.exit_code


def _interrupted(where: str) -> int:
    _say(f"interrupted; unfinished trainings are saved, and the same command resumes the sweep ({where})")
    return INTERRUPTED


def _say(text: str) -> None:
    log.info("%s", text)
