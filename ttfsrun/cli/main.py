"""The verbs. `key=value` words are settings, dashed flags steer the tool.

Data goes to stdout, messages to stderr. A verb's module is imported when the verb is called, so that
`--help` and mistakes answer at once.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ttfsrun import __version__
from ttfsrun.cli.results import VERBS as VERBS_OF_RESULTS
from ttfsrun.cli.sweep import VERBS as VERBS_OF_SWEEPS
from ttfsrun.cli.sweep import Verb
from ttfsrun.errors import UserError

USAGE = 2
INTERRUPTED = 130  # 128 + SIGINT
BROKEN_PIPE = 141  # 128 + SIGPIPE

OVERRIDES = "settings as key=value, e.g. seed.init=3; key=a,b or key=range(10) makes a point of each"
EXIT_CODES = """exit codes: 0 done, 1 failed, 2 usage or configuration, 3 finished with failed points,
  4 incomplete, 5 the scheduler refused, 130 interrupted"""


class Parser(argparse.ArgumentParser):
    """Flags and settings in any order; a mistake is one line and the way to the help."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"ttfsrun: {message}\nSee {self.prog} --help.\n")


class Help(argparse.RawDescriptionHelpFormatter):
    """Without a line for the verbs as a whole: the list has to fit a screen."""

    def _format_action(self, action: argparse.Action) -> str:
        text = super()._format_action(action)
        return text.partition("\n")[2] if action.metavar == "VERB" else text


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="ttfsrun: %(message)s", stream=sys.stderr)
    logging.getLogger("ttfsrun").setLevel(logging.INFO)
    try:
        args = _parse(list(sys.argv[1:] if argv is None else argv))
        code = VERBS[args.verb].run(args)
        sys.stdout.flush()
        return code
    except UserError as error:
        sys.stderr.write(f"ttfsrun: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("ttfsrun: interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it leaves
        return BROKEN_PIPE


def train(args: argparse.Namespace) -> int:
    if args.resume is not None:
        if args.overrides or args.out is not None or args.overwrite:
            raise UserError("--resume goes on with a run as it is: it takes no settings, no --out and no --overwrite")
        points = []
    else:
        from ttfsrun.config.compose import expand

        points = expand(args.overrides)
    from ttfsrun.run.train import train as run

    print(*run(points, out=args.out, overwrite=args.overwrite, resume=args.resume), sep="\n")
    return 0


def evaluate(args: argparse.Namespace) -> int:
    if "=" in str(args.run) and not args.run.exists():
        raise UserError(f"{args.run}: evaluate needs the folder of a run before any settings")
    from ttfsrun.cli.text import metrics_as_text
    from ttfsrun.run.train import evaluate as run

    for metrics in run(args.run, args.overrides):
        print(json.dumps(metrics) if args.json else metrics_as_text(metrics), flush=True)
    return 0


def chip(args: argparse.Namespace) -> int:
    if args.overwrite and args.out is None:
        raise UserError("--overwrite replaces what is in the folder that --out names: name one")
    from ttfsrun.cli.text import summary_as_json, summary_as_text
    from ttfsrun.config.compose import compose
    from ttfsrun.substrate.chip import Chip, units

    config = compose(args.overrides)
    folder = None
    if args.out is not None:
        from ttfsrun.run.chip_folder import ChipFolder

        folder = ChipFolder(args.out)
        folder.check(args.overwrite)
    drawn = Chip.of(config)
    if folder is not None:
        folder.write(drawn, units(config))
    print(summary_as_json(drawn.summary()) if args.json else summary_as_text(drawn.summary()))
    if folder is not None and not args.json:
        print(f"results: {folder.path}")
    return 0


def config(args: argparse.Namespace) -> int:
    from ttfsrun.cli.text import as_json, as_yaml
    from ttfsrun.config.compose import Composer, conf_dir

    composer = Composer(conf_dir())
    points = composer.expand(args.overrides)
    if len(points) > 1:
        sys.stderr.write("\n  ".join([f"{len(points)} points", *(point.label for point in points)]) + "\n")
    for number, point in enumerate(points):
        sources = composer.sources(point)
        if args.json:
            sys.stdout.write(as_json(point, sources) + "\n")
        else:
            sys.stdout.write("---\n" * (number > 0) + as_yaml(point, sources))
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    """The verb's own parser reads what follows it: only alone can it take flags between settings."""
    parser, verbs = _parsers()
    if not argv:
        parser.error(f"no verb; choose from {', '.join(verbs)}")
    if argv[0] not in verbs:
        if not argv[0].startswith("-"):
            hint = _did_you_mean(argv[0], list(verbs))
            parser.error(f"{argv[0]}: unknown verb; choose from {', '.join(verbs)}{hint}")
        parser.parse_known_args(argv[:1])  # leaves where it is --help or --version
        parser.error(_unknown_flag(argv[0]) + "; a verb comes first")
    args, unknown = verbs[argv[0]].parse_known_intermixed_args(argv[1:])
    if unknown:
        verbs[argv[0]].error(_unknown_flag(unknown[0]))
    args.verb = argv[0]
    return args


def _parsers() -> tuple[Parser, dict[str, Parser]]:
    parser = Parser(
        prog="ttfsrun",
        description="Train and compare networks of neurons that each spike at most once.",
        epilog=EXIT_CODES,
        formatter_class=Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ttfsrun {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")

    for name, about in VERBS.items():
        verb = verbs.add_parser(
            name,
            help=about.summary,
            description=f"{about.summary[0].upper()}{about.summary[1:]}.",
            epilog=f"example:\n  {about.example}\n\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        about.arguments(verb)
    return parser, dict(verbs.choices)


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help=OVERRIDES)
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder for the results")
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there already")
    parser.add_argument("--resume", type=Path, metavar="RUN_DIR", help="go on with an interrupted run")


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a trained run")
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="settings to evaluate it under")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def _chip_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help="settings of the one chip")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder for its file, table and picture")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace a chip that is there already")


def _config_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help=OVERRIDES)
    parser.add_argument("--json", action="store_true", help="one line of JSON for each point")


VERBS = {
    "train": Verb(
        "train networks and evaluate them", "ttfsrun train experiment=yin_yang seed.init=0,1", _train_arguments, train
    ),
    "evaluate": Verb(
        "evaluate a trained run again", "ttfsrun evaluate runs/3f2a9c seed.chip=7", _evaluate_arguments, evaluate
    ),
    "chip": Verb(
        "draw the fixed pattern of one chip and show it",
        "ttfsrun chip substrate=brainscales2 --out chip",
        _chip_arguments,
        chip,
    ),
    "config": Verb(
        "print a configuration and where each value comes from",
        "ttfsrun config experiment=yin_yang training.epochs=10",
        _config_arguments,
        config,
    ),
    **VERBS_OF_SWEEPS,
    **VERBS_OF_RESULTS,
}


def _unknown_flag(word: str) -> str:
    setting = word.lstrip("-")
    hint = f"; a setting has no dashes: {setting}" if "=" in setting else ""
    return f"{word}: unknown flag{hint}"


def _did_you_mean(word: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
