"""The verbs of results: gather, report, plot."""

from __future__ import annotations

import argparse
from pathlib import Path

from ttfsrun.cli.verb import EXAMPLE_SWEEP, Verb, add_sweep_folder
from ttfsrun.errors import UserError


def _gather(args: argparse.Namespace) -> int:
    from ttfsrun.results.gather import GatherOptions, gather
    from ttfsrun.results.sweep_folder import SweepFolder

    over = list(dict.fromkeys(key for key in (args.agg or "").split(",") if key))
    options = GatherOptions(args.all, args.bare, over, args.parquet, args.curves, args.out)
    lines, code = gather(SweepFolder(args.sweep), options)
    print(*lines, sep="\n")
    return code


def _report(args: argparse.Namespace) -> int:
    from ttfsrun.report.write import write_report
    from ttfsrun.results.sweep_folder import SweepFolder

    lines, code = write_report(SweepFolder(args.sweep), args.out)
    print(*lines, sep="\n")
    return code


def _plot(args: argparse.Namespace) -> int:
    if _is_run(args.path):
        return _redraw(args)
    from ttfsrun.report.plot import plot_sweep
    from ttfsrun.report.selection import PlotOptions

    options = PlotOptions(args.x, hue=args.hue, style=args.style, **({"y": args.y} if args.y else {}))
    lines, code = plot_sweep(args.path, options, args.out)
    print(*lines, sep="\n")
    return code


def _redraw(args: argparse.Namespace) -> int:
    if any((args.x, args.y, args.hue, args.style)):
        raise UserError(f"{args.path} is a run: --x, --y, --hue and --style are for sweeps")
    from ttfsrun.run.redraw import redraw

    print(*redraw(args.path, args.out), sep="\n")
    return 0


def _is_run(path: Path) -> bool:
    """Tell whether a folder is that of a run, or of several that were trained together."""
    if not path.is_dir() or (path / "sweep.yaml").exists():
        return False
    return (path / "config.yaml").exists() or any(path.glob("*/config.yaml"))


def _gather_arguments(parser: argparse.ArgumentParser) -> None:
    add_sweep_folder(parser)
    parser.add_argument("--all", action="store_true", help="every setting, not only those that vary")
    parser.add_argument("--bare", action="store_true", help="without the sweep's name and the columns of the execution")
    over = "statistics over settings that vary, or groups of them: seed, or seed.init,seed.chip"
    parser.add_argument("--agg", metavar="KEY,...", help=over)
    parser.add_argument("--curves", action="store_true", help="also the learning curves")
    parser.add_argument("--parquet", action="store_true", help="also the table as Parquet")
    out = "the table, as A.csv; other files are named after it (A.curves.csv); default: table.csv in SWEEP_DIR"
    parser.add_argument("--out", type=Path, metavar="FILE", help=out)


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    add_sweep_folder(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="the page; default: report.html in SWEEP_DIR")


def _plot_arguments(parser: argparse.ArgumentParser) -> None:
    path = "the folder of a sweep, a table as gather writes it, or the folder of a run"
    figures = "the folder for the figures; default: figures in PATH, A.figures for a table A.csv"
    parser.add_argument("path", type=Path, metavar="PATH", help=path)
    parser.add_argument("--x", metavar="KEY", help="the setting on the horizontal axis")
    parser.add_argument("--y", metavar="METRIC", help="the column of numbers; default: test_accuracy, as an error")
    parser.add_argument("--hue", metavar="KEY", help="the setting that is shown by colours")
    parser.add_argument("--style", metavar="KEY", help="the setting that is shown by markers and lines")
    parser.add_argument("--out", type=Path, metavar="DIR", help=figures)


VERBS = {
    "gather": Verb(
        "make the table of a sweep", f"ttfsrun gather {EXAMPLE_SWEEP} --agg seed", _gather_arguments, _gather
    ),
    "report": Verb("write a page that shows a sweep", f"ttfsrun report {EXAMPLE_SWEEP}", _report_arguments, _report),
    "plot": Verb("plot the figures of a sweep or a run", f"ttfsrun plot {EXAMPLE_SWEEP}", _plot_arguments, _plot),
}
