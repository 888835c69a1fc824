"""The verbs of files for other simulators: export, import."""

from __future__ import annotations

import argparse
from pathlib import Path

from ttfsrun.cli.verb import Verb, add_overrides
from ttfsrun.errors import UserError
from ttfsrun.exchange.convention import Convention, require_nir

BSS2_TAU_US = 6.0  # synaptic time constant of BrainScaleS-2, as in conf/substrate/brainscales2.yaml
IN_MICROSECONDS = "one unit of time, the nominal tau_syn, in microseconds"


def _export(args: argparse.Namespace) -> int:
    if args.format == "nir":
        require_nir()
    if args.check and (args.format != "nir" or args.step_us is not None):
        raise UserError("--check reads the equations of NIR back: use it with --format nir and without --step-us")
    if not (args.run.is_dir()):
        raise UserError(f"{args.run} is not the folder of a run")
    from ttfsrun.run.export import ExportOptions, export_run

    convention = Convention.of(args.tau_us, args.step_us, args.units)
    options = ExportOptions(args.out, args.format, args.network, args.weights, convention, args.check)
    for line in export_run(args.run, options):
        print(line, flush=True)
    return 0


def _import(args: argparse.Namespace) -> int:
    require_nir()
    from ttfsrun.exchange.nir_import import ReadOptions
    from ttfsrun.run.bring_in import import_network

    options = ReadOptions(args.tau_us, args.step_us, args.units)
    for line in import_network(args.file, args.data, args.overrides, options, args.out, args.overwrite):
        print(line, flush=True)
    return 0


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be a positive number")
    return number


def _add_convention(parser: argparse.ArgumentParser, tau_us: float | None, units: str | None, default: str) -> None:
    parser.add_argument(
        "--units", choices=["s", "ms"], default=units, help=f"the unit of time of the file; default: {default}"
    )
    which = f"{IN_MICROSECONDS}; default: {tau_us or 'as the file says, else tau_syn of its first neuron'}"
    parser.add_argument("--tau-us", type=_positive, metavar="US", default=tau_us, help=which)
    step = "for simulators with this time step in microseconds, where a spike is 1 for one step; default: an impulse"
    parser.add_argument("--step-us", type=_positive, metavar="US", help=step)


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a trained run")
    parser.add_argument("--format", choices=["nir", "csv", "npz"], default="nir", help="of the file; default: nir")
    parser.add_argument("--network", choices=["best", "last"], help="default: the one that the run reports")
    weights = "as trained, as written to the chip, or with the fixed pattern of the run's chip; default: nominal"
    parser.add_argument("--weights", choices=["nominal", "quantised", "chip"], default="nominal", help=weights)
    _add_convention(parser, BSS2_TAU_US, "s", "s")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: network.FORMAT in RUN")
    parser.add_argument("--check", action="store_true", help="read the file back and simulate it in NEST")


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a graph of NIR")
    add_overrides(parser, "settings of the run, e.g. network.bias_time=0.9")
    parser.add_argument("--data", required=True, metavar="NAME", help="the experiment whose data it classifies")
    _add_convention(parser, None, None, "as the file says, else s")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="the folder for the run")
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")


VERBS = {
    "export": Verb(
        "write a trained network for other simulators",
        "ttfsrun export runs/3f2a9c --out yin_yang.nir",
        _export_arguments,
        _export,
    ),
    "import": Verb(
        "make a run of a network from elsewhere",
        "ttfsrun import yin_yang.nir --data yin_yang --out imported",
        _import_arguments,
        _import,
    ),
}
