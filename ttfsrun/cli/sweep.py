"""The verbs of sweeps: sweep, retry, status, logs, cancel."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ttfsrun.cli.streams import print_each
from ttfsrun.cli.verb import EXAMPLE_SWEEP, Verb, add_overrides, add_sweep_folder
from ttfsrun.errors import REASONS, UserError, did_you_mean

WATCH_SECONDS = 5.0
TAIL = 20


def _sweep(args: argparse.Namespace) -> int:
    from ttfsrun.sweep.submit.launch import Options, sweep

    options = Options(args.dry_run, args.yes, args.limit, reuse=args.reuse)
    return sweep(args.overrides, args.out, args.name, options)


def _retry(args: argparse.Namespace) -> int:
    from ttfsrun.sweep.submit.launch import Options, retry

    again = [reason for reason in REASONS if args.only is None or reason in args.only]
    return retry(args.sweep, args.overrides, Options(args.dry_run, args.yes, args.limit, again))


def _status(args: argparse.Namespace) -> int:
    from ttfsrun.results.sweep_folder import SweepFolder
    from ttfsrun.sweep.monitor.overview import StatusReport, watch_status
    from ttfsrun.sweep.monitor.status import sweep_status

    folder = SweepFolder(args.sweep)
    if args.watch is not None:
        if args.json:
            raise UserError("--json prints once, --watch again and again: choose one of them")
        return watch_status(folder, args.watch)
    status = sweep_status(folder)
    report = StatusReport(status)
    print(json.dumps(report.as_json()) if args.json else "\n".join(report.as_lines()))
    return status.exit_code


def _logs(args: argparse.Namespace) -> int:
    from ttfsrun.results.sweep_folder import SweepFolder
    from ttfsrun.sweep.monitor.logs import choose_points, log_texts
    from ttfsrun.sweep.monitor.status import sweep_status

    status = sweep_status(SweepFolder(args.sweep))
    points = choose_points(status, args.points, args.failed)
    if not points:
        sys.stderr.write("ttfsrun: no point failed\n" if args.failed else "ttfsrun: no point failed, and none runs\n")
    for number, text in enumerate(log_texts(status, points, args.tail, each=bool(args.points))):
        print("\n" * (number > 0) + text)
    return 0


def _cancel(args: argparse.Namespace) -> int:
    from ttfsrun.results.sweep_folder import SweepFolder
    from ttfsrun.sweep.monitor.cancel import cancel, planned_cancellations
    from ttfsrun.sweep.monitor.lost import give_up, planned_losses
    from ttfsrun.sweep.monitor.status import sweep_status

    folder = SweepFolder(args.sweep)
    what, done = ("give up", "given up") if args.lost else ("cancel", "cancelled")
    planned, carry_out = (planned_losses, give_up) if args.lost else (planned_cancellations, cancel)
    if not args.yes:
        lines = planned(sweep_status(folder))
        if lines and not _confirmed(lines, what):
            sys.stderr.write(f"ttfsrun: nothing was {done}\n")
            return 0
    print_each(carry_out(folder))
    return 0


def _confirmed(lines: list[str], what: str) -> bool:
    if not sys.stdin.isatty():
        raise UserError(f"{'; '.join(lines)}: add --yes to {what}")
    sys.stderr.write("\n".join([*lines, f"{what.capitalize()}? [y/N] "]))
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _sweep_arguments(parser: argparse.ArgumentParser) -> None:
    points = "the points: sweep=NAME of conf/sweep or sweep=FILE, and settings; key=a,b or key=range(10) for each value"
    add_overrides(parser, points)
    folder = parser.add_mutually_exclusive_group()
    folder.add_argument("--name", type=_plain_name, help="the sweep's folder is results/sweeps/NAME")
    folder.add_argument("--out", type=Path, metavar="DIR", help="the sweep's folder")
    reuse = "copy results of the same points from another sweep"
    parser.add_argument("--reuse", type=Path, action="append", default=[], metavar="DIR", help=reuse)
    _launch_arguments(parser)


def _retry_arguments(parser: argparse.ArgumentParser) -> None:
    add_sweep_folder(parser)
    add_overrides(parser, "other settings of the cluster", metavar="cluster.KEY=VALUE")
    only = f"only failures of these classes: {', '.join(REASONS)}"
    parser.add_argument("--only", type=_reasons, metavar="CLASS,...", help=only)
    _launch_arguments(parser)


def _launch_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="show points, tasks, cost and script; start nothing")
    parser.add_argument("--yes", action="store_true", help="start without asking")
    parser.add_argument("--limit", type=_count, metavar="N", help="only the first N points")


def _status_arguments(parser: argparse.ArgumentParser) -> None:
    add_sweep_folder(parser)
    watch = "again and again, until nothing runs or waits"
    parser.add_argument("--watch", nargs="?", type=_seconds, const=WATCH_SECONDS, metavar="SECONDS", help=watch)
    parser.add_argument("--json", action="store_true", help="print one object of JSON")


def _logs_arguments(parser: argparse.ArgumentParser) -> None:
    add_sweep_folder(parser)
    points = "ids of points, or how they begin; default: those that failed, else those that run"
    parser.add_argument("points", nargs="*", metavar="POINT", help=points)
    parser.add_argument("--failed", action="store_true", help="only points that failed")
    parser.add_argument("--tail", type=_lines, default=TAIL, metavar="N", help=f"lines of each log (default: {TAIL})")


def _cancel_arguments(parser: argparse.ArgumentParser) -> None:
    add_sweep_folder(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask first")
    lost = "cancel nothing, but give up the tasks that the queue no longer knows, so that retry can run their points"
    parser.add_argument("--lost", action="store_true", help=lost)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"{text}: must be a number of seconds, at least 0.1")
    return seconds


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a number of points, at least 1")
    return int(text)


def _plain_name(text: str) -> str:
    if text != Path(text).name or text in ("", ".", ".."):
        raise argparse.ArgumentTypeError(f"{text}: must be the name of a folder; --out takes a path")
    return text


def _reasons(text: str) -> list[str]:
    reasons = [word.strip().replace("_", " ") for word in text.split(",")]
    for reason in reasons:
        if reason not in REASONS:
            hint = did_you_mean(reason, REASONS)
            known = ", ".join(REASONS)
            raise argparse.ArgumentTypeError(f"{reason}: unknown class of failures; choose from {known}{hint}")
    return reasons


def _lines(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: must be a number of lines")
    return int(text)


VERBS = {
    "sweep": Verb(
        "run a grid of points, here or on a cluster",
        "ttfsrun sweep sweep=weight_resolution cluster=slurm --name bits",
        _sweep_arguments,
        _sweep,
    ),
    "retry": Verb(
        "run failed and lost points of a sweep again", f"ttfsrun retry {EXAMPLE_SWEEP}", _retry_arguments, _retry
    ),
    "status": Verb("show the state of a sweep", f"ttfsrun status {EXAMPLE_SWEEP} --watch", _status_arguments, _status),
    "logs": Verb(
        "show why points failed, or what they print",
        f"ttfsrun logs {EXAMPLE_SWEEP} --failed",
        _logs_arguments,
        _logs,
    ),
    "cancel": Verb(
        "cancel what runs or waits for a sweep", f"ttfsrun cancel {EXAMPLE_SWEEP}", _cancel_arguments, _cancel
    ),
}
