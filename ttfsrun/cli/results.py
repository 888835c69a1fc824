"""The verbs that look at results. Their modules are imported when they are called."""

from __future__ import annotations

import argparse
from pathlib import Path

from ttfsrun.cli.sweep import SWEEP, Verb
from ttfsrun.errors import UserError


def plot(args: argparse.Namespace) -> int:
    if _is_run(args.path):
        return _redraw(args)
    from ttfsrun.report.plot import plot
    from ttfsrun.report.selection import Wishes

    wishes = Wishes(args.x, hue=args.hue, style=args.style, **({"y": args.y} if args.y else {}))
    lines, code = plot(args.path, wishes, args.out)
    print(*lines, sep="\n")
    return code


def _redraw(args: argparse.Namespace) -> int:
    if any((args.x, args.y, args.hue, args.style)):
        raise UserError(f"{args.path} is a run: --x, --y, --hue and --style are for sweeps")
    from ttfsrun.run.redraw import redraw

    print(*redraw(args.path, args.out), sep="\n")
    return 0


def _is_run(path: Path) -> bool:
    """Whether a folder is of a run, or of several that were trained together."""
    if not path.is_dir() or (path / "sweep.yaml").exists():
        return False
    return (path / "config.yaml").exists() or any(path.glob("*/config.yaml"))


def _plot_arguments(parser: argparse.ArgumentParser) -> None:
    about = "the folder of a sweep, a table as gather writes it, or the folder of a run"
    parser.add_argument("path", type=Path, metavar="PATH", help=about)
    parser.add_argument("--x", metavar="KEY", help="the setting on the horizontal axis")
    parser.add_argument("--y", metavar="METRIC", help="the column of numbers; default: test_accuracy, as an error")
    parser.add_argument("--hue", metavar="KEY", help="the setting that is told by colours")
    parser.add_argument("--style", metavar="KEY", help="the setting that is told by markers and lines")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder for the figures; default: figures in PATH")


VERBS = {"plot": Verb("draw the figures of a sweep or a run", f"ttfsrun plot {SWEEP}", _plot_arguments, plot)}
