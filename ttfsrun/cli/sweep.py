"""The verbs of sweeps. Their modules are imported when they are called."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ttfsrun.errors import UserError

REASONS = ("error", "out of memory", "time-out", "node failure", "cancelled")  # as in results/record.py
WATCH_SECONDS = 5.0
TAIL = 20


class Verb(NamedTuple):
    """Its summary, an example, its arguments, and what it does; the exit code comes back."""

    summary: str
    example: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def sweep(args: argparse.Namespace) -> int:
    from ttfsrun.sweep.submit.launch import Options, sweep

    options = Options(args.dry_run, args.yes, args.limit, reuse=args.reuse)
    return sweep(args.overrides, args.out, args.name, options)


def retry(args: argparse.Namespace) -> int:
    from ttfsrun.results.record import REASONS
    from ttfsrun.sweep.submit.launch import Options, retry

    again = [reason for reason in REASONS if args.only is None or reason in args.only]
    return retry(args.sweep, args.overrides, Options(args.dry_run, args.yes, args.limit, again))


def status(args: argparse.Namespace) -> int:
    import json

    from ttfsrun.results.sweep_folder import SweepFolder
    from ttfsrun.sweep.monitor.overview import Status, watch
    from ttfsrun.sweep.monitor.status import states

    folder = SweepFolder(args.sweep)
    if args.watch is not None:
        if args.json:
            raise UserError("--json tells once, --watch again and again: take one of them")
        return watch(folder, args.watch)
    now = states(folder)
    print(json.dumps(Status(now).as_json()) if args.json else "\n".join(Status(now).as_lines()))
    return now.exit_code


def logs(args: argparse.Namespace) -> int:
    from ttfsrun.results.sweep_folder import SweepFolder
    from ttfsrun.sweep.monitor import logs
    from ttfsrun.sweep.monitor.status import states

    now = states(SweepFolder(args.sweep))
    points = logs.chosen(now, args.points, args.failed)
    if not points:
        sys.stderr.write("ttfsrun: no point failed\n" if args.failed else "ttfsrun: no point failed, and none runs\n")
    for number, text in enumerate(logs.texts(now, points, args.tail, each=bool(args.points))):
        print("\n" * (number > 0) + text)
    return 0


def cancel(args: argparse.Namespace) -> int:
    from ttfsrun.results.sweep_folder import SweepFolder
    from ttfsrun.sweep.monitor.cancel import cancel, plan
    from ttfsrun.sweep.monitor.status import states

    folder = SweepFolder(args.sweep)
    if not args.yes:
        lines = plan(states(folder))
        if lines and not _confirmed(lines):
            sys.stderr.write("ttfsrun: nothing was cancelled\n")
            return 0
    for line in cancel(folder, lost=args.lost):
        print(line, flush=True)
    return 0


def _confirmed(lines: list[str]) -> bool:
    if not sys.stdin.isatty():
        raise UserError(f"{'; '.join(lines)}: add --yes to cancel")
    sys.stderr.write("\n".join([*lines, "Cancel? [y/N] "]))
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def gather(args: argparse.Namespace) -> int:
    from ttfsrun.results.gather import Request, gather
    from ttfsrun.results.sweep_folder import SweepFolder

    over = [key for key in (args.agg or "").split(",") if key]
    request = Request(args.all, args.bare, over, args.parquet, args.curves, args.out)
    lines, code = gather(SweepFolder(args.sweep), request)
    print(*lines, sep="\n")
    return code


def report(args: argparse.Namespace) -> int:
    from ttfsrun.report.write import report
    from ttfsrun.results.sweep_folder import SweepFolder

    lines, code = report(SweepFolder(args.sweep), args.out)
    print(*lines, sep="\n")
    return code


def _sweep_arguments(parser: argparse.ArgumentParser) -> None:
    about = "the points: sweep=NAME of conf/sweep or sweep=FILE, and settings; key=a,b or key=range(10) for each value"
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help=about)
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--name", type=_plain_name, help="the sweep's folder is results/sweeps/NAME")
    place.add_argument("--out", type=Path, metavar="DIR", help="the sweep's folder")
    about = "take over results of the same points from another sweep"
    parser.add_argument("--reuse", type=Path, action="append", default=[], metavar="DIR", help=about)
    _launch_arguments(parser)


def _retry_arguments(parser: argparse.ArgumentParser) -> None:
    _sweep_argument(parser)
    about = "other settings of the cluster"
    parser.add_argument("overrides", nargs="*", default=[], metavar="cluster.KEY=VALUE", help=about)
    about = f"only failures of these classes: {', '.join(REASONS)}"
    parser.add_argument("--only", type=_reasons, metavar="CLASS,...", help=about)
    _launch_arguments(parser)


def _launch_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="show points, tasks, cost and script; start nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask before it starts")
    parser.add_argument("--limit", type=_count, metavar="N", help="only the first N points")


def _status_arguments(parser: argparse.ArgumentParser) -> None:
    _sweep_argument(parser)
    about = "again and again, until nothing is left to wait for"
    parser.add_argument("--watch", nargs="?", type=_seconds, const=WATCH_SECONDS, metavar="SECONDS", help=about)
    parser.add_argument("--json", action="store_true", help="print one object of JSON")


def _logs_arguments(parser: argparse.ArgumentParser) -> None:
    _sweep_argument(parser)
    about = "ids of points, or how they begin; without: those that failed, else those that run"
    parser.add_argument("points", nargs="*", metavar="POINT", help=about)
    parser.add_argument("--failed", action="store_true", help="only points that failed")
    parser.add_argument("--tail", type=_lines, default=TAIL, metavar="N", help=f"lines of each log (default: {TAIL})")


def _cancel_arguments(parser: argparse.ArgumentParser) -> None:
    _sweep_argument(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask first")
    about = "give up what cannot be reached, too: you know that it has ended"
    parser.add_argument("--lost", action="store_true", help=about)


def _gather_arguments(parser: argparse.ArgumentParser) -> None:
    _sweep_argument(parser)
    parser.add_argument("--all", action="store_true", help="every setting, not only those that vary")
    parser.add_argument("--bare", action="store_true", help="without the sweep's name, and what tells of the execution")
    about = "statistics over settings that vary, or groups of them: seed, or seed.init,seed.chip"
    parser.add_argument("--agg", metavar="KEY,...", help=about)
    parser.add_argument("--curves", action="store_true", help="the learning curves, too")
    parser.add_argument("--parquet", action="store_true", help="the table as Parquet, too")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the table, others beside it; default: in SWEEP_DIR")


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    _sweep_argument(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="the page; default: report.html in SWEEP_DIR")


def _sweep_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", type=Path, metavar="SWEEP_DIR", help="the folder of a sweep")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text}: a number of seconds, at least 0.1")
    return seconds


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: a number of points, at least 1")
    return int(text)


def _plain_name(text: str) -> str:
    if text != Path(text).name or text in ("", ".", ".."):
        raise argparse.ArgumentTypeError(f"{text}: the name of a folder; --out takes a path")
    return text


def _reasons(text: str) -> list[str]:
    reasons = [word.strip().replace("_", " ") for word in text.split(",")]
    for reason in reasons:
        if reason not in REASONS:
            near = difflib.get_close_matches(reason, REASONS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise argparse.ArgumentTypeError(f"{reason}: no class of failures; choose from {', '.join(REASONS)}{hint}")
    return reasons


def _lines(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: a number of lines")
    return int(text)


SWEEP = "results/sweeps/bits"
VERBS = {
    "sweep": Verb(
        "run a grid of points, here or on a cluster",
        "ttfsrun sweep sweep=weight_resolution cluster=slurm --name bits",
        _sweep_arguments,
        sweep,
    ),
    "retry": Verb("run failed and lost points of a sweep again", f"ttfsrun retry {SWEEP}", _retry_arguments, retry),
    "status": Verb("show how a sweep stands", f"ttfsrun status {SWEEP} --watch", _status_arguments, status),
    "logs": Verb("show why points failed, or what they print", f"ttfsrun logs {SWEEP} --failed", _logs_arguments, logs),
    "cancel": Verb("end what runs or waits for a sweep", f"ttfsrun cancel {SWEEP}", _cancel_arguments, cancel),
    "gather": Verb("make the table of a sweep", f"ttfsrun gather {SWEEP} --agg seed", _gather_arguments, gather),
    "report": Verb("write a page that shows a sweep", f"ttfsrun report {SWEEP}", _report_arguments, report),
}
