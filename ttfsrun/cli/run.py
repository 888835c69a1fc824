"""The verbs of single runs: train, evaluate, chip, config."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ttfsrun.cli.verb import Verb, add_overrides
from ttfsrun.errors import UserError

OVERRIDES = "settings as key=value, e.g. seed.init=3; key=a,b or key=range(10) makes a point of each"


def _train(args: argparse.Namespace) -> int:
    if args.resume is not None:
        if args.overrides or args.out is not None or args.overwrite:
            raise UserError("--resume continues a run as it is: it takes no settings, no --out and no --overwrite")
        points = []
    else:
        from ttfsrun.config.compose import expand

        points = expand(args.overrides)
    from ttfsrun.run.train import train_points

    _, lines = train_points(points, out=args.out, overwrite=args.overwrite, resume=args.resume)
    print(*lines, sep="\n")
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    if "=" in str(args.run) and not args.run.exists():
        raise UserError(f"{args.run}: evaluate needs the folder of a run before any settings")
    from ttfsrun.cli.text import metrics_as_text
    from ttfsrun.run.evaluate import evaluate_run

    for metrics in evaluate_run(args.run, args.overrides):
        print(json.dumps(metrics) if args.json else metrics_as_text(metrics), flush=True)
    return 0


def _chip(args: argparse.Namespace) -> int:
    if args.overwrite and args.out is None:
        raise UserError("--overwrite replaces what is in the folder that --out names: name one")
    from ttfsrun.cli.text import summary_as_json, summary_as_text
    from ttfsrun.config.compose import compose
    from ttfsrun.substrate.chip import Chip, units

    config = compose(args.overrides)
    folder = None
    if args.out is None:
        chip = Chip.of(config.chip_spec)
    else:
        from ttfsrun.run.chip_folder import ChipFolder

        folder = ChipFolder(args.out)
        with folder.claimed(args.overwrite):
            chip = Chip.of(config.chip_spec)
            folder.write(chip, units(config.substrate))
    print(summary_as_json(chip.summary()) if args.json else summary_as_text(chip.summary()))
    if folder is not None and not args.json:
        print(f"results: {folder.path}")
    return 0


def _config(args: argparse.Namespace) -> int:
    from ttfsrun.cli.text import config_as_json, config_as_yaml
    from ttfsrun.config.compose import Composer, conf_dir

    composer = Composer(conf_dir())
    points = composer.expand(args.overrides)
    if len(points) > 1:
        sys.stderr.write("\n  ".join([f"{len(points)} points", *(point.label for point in points)]) + "\n")
    for number, point in enumerate(points):
        sources = composer.sources(point)
        if args.json:
            sys.stdout.write(config_as_json(point, sources) + "\n")
        else:
            sys.stdout.write("---\n" * (number > 0) + config_as_yaml(point, sources))
    return 0


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    add_overrides(parser, OVERRIDES)
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder for the results")
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    parser.add_argument("--resume", type=Path, metavar="RUN_DIR", help="resume an interrupted run")


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a trained run")
    add_overrides(parser, "settings to evaluate it under")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")


def _chip_arguments(parser: argparse.ArgumentParser) -> None:
    add_overrides(parser, "settings of the chip")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder for its file, table and figure")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing chip")


def _config_arguments(parser: argparse.ArgumentParser) -> None:
    add_overrides(parser, OVERRIDES)
    parser.add_argument("--json", action="store_true", help="one line of JSON for each point")


VERBS = {
    "train": Verb(
        "train networks and evaluate them", "ttfsrun train experiment=yin_yang seed.init=0,1", _train_arguments, _train
    ),
    "evaluate": Verb(
        "evaluate a trained run again", "ttfsrun evaluate runs/3f2a9c seed.chip=7", _evaluate_arguments, _evaluate
    ),
    "chip": Verb(
        "sample the fixed pattern of one chip and show it",
        "ttfsrun chip substrate=brainscales2 --out chip",
        _chip_arguments,
        _chip,
    ),
    "config": Verb(
        "print a configuration and where each value comes from",
        "ttfsrun config experiment=yin_yang training.epochs=10",
        _config_arguments,
        _config,
    ),
}
