"""What a verb of the command line consists of."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

EXAMPLE_SWEEP = "results/sweeps/bits"  # in the examples of the help


class Verb(NamedTuple):
    """A verb: its summary, an example, its arguments, and what it does; `run` returns the exit code."""

    summary: str
    example: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def add_overrides(parser: argparse.ArgumentParser, help_text: str, metavar: str = "KEY=VALUE") -> None:
    """Add the settings that a verb takes."""
    parser.add_argument("overrides", nargs="*", default=[], metavar=metavar, help=help_text)


def add_sweep_folder(parser: argparse.ArgumentParser) -> None:
    """Add the folder of the sweep that a verb works on."""
    parser.add_argument("sweep", type=Path, metavar="SWEEP_DIR", help="the folder of a sweep")
