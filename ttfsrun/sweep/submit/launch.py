"""The verbs `sweep` and `retry`: a request becomes a folder, what is missing becomes a plan, a plan becomes jobs."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import msgspec

from ttfsrun import data
from ttfsrun.config.cluster import Debug, Slurm
from ttfsrun.config.compose import Composer, conf_dir
from ttfsrun.config.schema import Config
from ttfsrun.errors import COMPLETE, Reason, UserError
from ttfsrun.results.provenance import package_checksum, provenance
from ttfsrun.results.sweep_folder import DEFAULT, Intent, SweepFolder, SweepPoint, point_config
from ttfsrun.sweep.grid.request import SweepRequest, read_request
from ttfsrun.sweep.monitor.status import SweepStatus, sweep_status
from ttfsrun.sweep.submit.costs import estimate_costs, unmeasured
from ttfsrun.sweep.submit.dispatch import Cluster, Dispatcher, available_room
from ttfsrun.sweep.submit.freeze import freeze_points
from ttfsrun.sweep.submit.plan import GIGABYTE, Plan, make_plan
from ttfsrun.sweep.submit.reuse import reuse
from ttfsrun.sweep.worker import checkpoints

log = logging.getLogger(__name__)

INTERRUPTED = 130


@dataclass(frozen=True)
class Options:
    """The flags of a launch."""

    dry_run: bool = False
    yes: bool = False
    limit: int | None = None
    again: Collection[Reason] = ()  # classes of failures to try again
    reuse: Sequence[Path] = ()


def sweep(words: Sequence[str], out: Path | None, name: str | None, options: Options) -> int:
    """Expand, show, run or submit what is missing. Returns the exit code."""
    composer = Composer(conf_dir())
    request = read_request(words, composer)
    configs = composer.compose_all(request.points)
    points = freeze_points(list(zip(request.points, configs, strict=True)), request.keys)
    folder = SweepFolder(out or DEFAULT / (name or _default_name(request, points)))
    about = None if _is_sweep_of(folder, points) else _about(folder, request, points, configs[0], words)
    if about is not None and options.reuse and not options.dry_run:
        folder.create(about, points)
        about = None
    return _launch(folder, points, configs[0].cluster, options, about)


def retry(path: Path, words: Sequence[str], options: Options) -> int:
    """Run or submit the failed and lost points of a sweep again, under other cluster settings if there are any."""
    folder = SweepFolder(path)
    points = list(folder.points.values())
    submitted = [job.cluster for job in folder.jobs() if isinstance(job, Intent)]
    cluster = Composer(conf_dir()).cluster((submitted or [folder.about["cluster"]])[-1], words)
    return _launch(folder, points, cluster, options, None)


def _launch(
    folder: SweepFolder,
    points: Sequence[SweepPoint],
    cluster: Cluster,
    options: Options,
    about: dict[str, Any] | None,
) -> int:
    """about: of a sweep that is still to be made, which happens once it is started."""
    package, is_new = package_checksum(), about is not None
    if not (is_new or options.dry_run):
        reuse(folder, options.reuse, package)
    known = 0 if is_new else len(folder.jobs())
    found = None if is_new else sweep_status(folder)
    wanted = points[: options.limit]
    todo = [point for point in wanted if found is None or found.may_run(point.point, options.again)]
    _say(_of_points(folder, points, wanted, todo, found))
    if found is not None:
        for note in found.notes:
            _say(note)
    if not todo:
        return 0 if found is None else _outcome(found)
    _require_data(todo)
    records = () if is_new else folder.latest().values()
    held = list(checkpoints.list_checkpoints(folder.checkpoints).values())
    estimates = unmeasured(todo) if isinstance(cluster, Debug) else estimate_costs(todo, records, package)
    made = make_plan(todo, estimates, available_room(cluster), held)
    submission = Dispatcher(folder, cluster, made, package)
    _say(_of_plan(made, submission))
    for warning in _doubts(made, cluster):
        _say(warning)
    if options.dry_run:
        sys.stdout.write(submission.script())
        return 0
    if not (options.yes or _confirmed()):
        _say("nothing was started")
        return 0
    if about is not None:
        folder.create(about, points)
    ended = submission.start(known, found.running_jobs() if found else [])
    where = quote(str(folder.path))
    if isinstance(cluster, Slurm):
        _say(f"submitted; ttfsrun status {where} shows how it goes")
        return 0
    return _outcome(sweep_status(folder)) if ended else _interrupted(where)


def _require_data(points: Sequence[SweepPoint]) -> None:
    """Load each dataset once, here: what is missing is downloaded, or told, before anything is submitted."""
    for settings in {point_config(point).data for point in {point.shape: point for point in points}.values()}:
        data.load_dataset(settings)


def _is_sweep_of(folder: SweepFolder, points: Sequence[SweepPoint]) -> bool:
    """Whether the folder holds these points already; a UserError where it holds something else."""
    if not folder.path.exists() or not any(folder.path.iterdir()):
        return False
    if not folder.sweep.exists() and not folder.points_file.exists():
        raise UserError(f"{folder.path} is not empty, and no sweep: choose another --name or --out")
    if not folder.sweep.exists():
        return False  # its making was interrupted
    wanted, stored = {point.point for point in points}, set(folder.points)
    if wanted != stored:
        common = len(wanted & stored)
        raise UserError(
            f"{folder.path} holds another grid: {len(stored)} points, of which {common} are among these {len(wanted)}; "
            f"choose another --name, and take over what is there with --reuse {quote(str(folder.path))}"
        )
    now, then = _data_folders(points), _data_folders(folder.points.values())
    if now != then and folder.jobs():
        raise UserError(
            f"{folder.path} was made with data.folder={_listed(then)}, not {_listed(now)}: a sweep keeps its data; "
            f"choose another --name, and take over what is there with --reuse {quote(str(folder.path))}"
        )
    return now == then  # where nothing was started, it is made anew


def _data_folders(points: Iterable[SweepPoint]) -> set[str | None]:
    """No id knows them, but the workers go by what is frozen."""
    return {point.config["data"].get("folder") for point in points}


def _listed(folders: Iterable[str | None]) -> str:
    return ", ".join(sorted(folder or "null" for folder in folders))


def _default_name(request: SweepRequest, points: Sequence[SweepPoint]) -> str:
    """The same for the same points: the command again goes on with its folder."""
    identity = hashlib.sha256("".join(sorted(point.point for point in points)).encode()).hexdigest()[:8]
    return f"{request.name or points[0].config['data']['name']}-{identity}"


def _about(
    folder: SweepFolder, request: SweepRequest, points: Sequence[SweepPoint], first: Config, words: Sequence[str]
) -> dict[str, Any]:
    """The content of sweep.yaml."""
    return {
        "name": folder.path.absolute().name,
        "command": ["ttfsrun", "sweep", *words],
        "points": len(points),
        "trainings": len({point.training for point in points}),
        "keys": list(dict.fromkeys(key for point in points for key in point.settings)),
        "grid": request.spec,
        "cluster": msgspec.to_builtins(first.cluster),
        "package": package_checksum(),
        "made_by": provenance(),
    }


def _of_points(
    folder: SweepFolder,
    points: Sequence[SweepPoint],
    wanted: Sequence[SweepPoint],
    todo: Sequence[SweepPoint],
    found: SweepStatus | None,
) -> str:
    counts = dict(found.counts()) if found else {"missing": len(points)}
    parts = [f"{len(points)} points", f"{counts.pop('done', 0)} done", f"{counts.pop('missing', 0)} missing"]
    parts += [f"{count} {kind}" for kind, count in counts.items() if count]
    first = f" (of the first {len(wanted)})" if len(wanted) < len(points) else ""
    return f"{folder.path}: {', '.join(parts)}; {len(todo)} to run{first}"


def _of_plan(made: Plan, submission: Dispatcher) -> str:
    work = f"{_count(made.networks, 'training')} in {_count(made.populations, 'population')}"
    if isinstance(submission.cluster, Debug):
        return f"{work}, in this process"
    several = len(made.tasks) > 1
    tasks = f"{len(made.tasks)} tasks of {_count(made.cores, 'core')}" if several else _count(made.cores, "core")
    arrays = f" in {_count(len(submission.arrays), 'array job')}" if isinstance(submission.cluster, Slurm) else ""
    return (
        f"{work} on {tasks}{arrays}: about {_duration(made.longest)}{' each' if several else ''}, "
        f"{made.core_hours:.2g} core-hours, {made.memory / GIGABYTE:.1f} GB"
    )


def _doubts(made: Plan, cluster: Cluster) -> Iterator[str]:
    """What of a plan its user may want otherwise."""
    if isinstance(cluster, Slurm) and made.longest > 60 * cluster.limit_minutes:
        limit = _duration(60 * cluster.limit_minutes)
        yield f"that is longer than the time limit of {limit}: tasks will save and queue themselves again"
    memory = None if isinstance(cluster, Debug) else cluster.memory_gb
    if memory is not None and made.memory > GIGABYTE * memory:
        yield f"that is more than cluster.memory_gb={memory:g}: some points may fail"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _confirmed() -> bool:
    """On a terminal it is asked, elsewhere nobody could answer."""
    if not sys.stdin.isatty():
        return True
    sys.stderr.write("Go on? [Y/n] ")
    sys.stderr.flush()
    return sys.stdin.readline().lower() in ("\n", "y\n", "yes\n")  # nothing at all: the end of the input, no answer


def _outcome(found: SweepStatus) -> int:
    """Say how the sweep stands; the exit code."""
    failed, where = found.counts()["failed"], quote(str(found.folder.path))
    if failed:
        _say(f"{failed} points failed: ttfsrun logs {where} --failed shows why, ttfsrun retry {where} runs them again")
    elif found.exit_code == COMPLETE:
        _say(f"complete; ttfsrun gather {where} makes the table")
    return found.exit_code


def _interrupted(where: str) -> int:
    _say(f"interrupted; what ran is saved, and the same command goes on ({where})")
    return INTERRUPTED


def _say(text: str) -> None:
    log.info("%s", text)
