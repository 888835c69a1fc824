"""The entry point: reads a command line, calls its verb, turns errors into messages and exit codes.

`key=value` words are settings, dashed flags control the tool. Data goes to stdout, messages to stderr.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ttfsrun import __version__
from ttfsrun.cli import exchange, results, run, sweep
from ttfsrun.cli.streams import Streams, standard_streams
from ttfsrun.config.environment import isolate_libraries, require_assertions
from ttfsrun.errors import (
    BROKEN_PIPE,
    INTERRUPTED,
    TERMINATED,
    USAGE,
    Terminated,
    UserError,
    as_user_error,
    did_you_mean,
    log_to,
    one_line,
)

# New objects before the first search for unused ones that refer to each other: a sweep has many objects, and the
# libraries of a training have 600,000, but few of them are such.
FEW_COLLECTIONS = 1_000_000

VERBS = {**run.VERBS, **sweep.VERBS, **results.VERBS, **exchange.VERBS}
EXIT_CODES = """exit codes: 0 done, 1 failed, 2 usage or configuration, 3 finished with failed points,
  4 incomplete, 5 the scheduler refused, 130 interrupted, 143 terminated"""


class Parser(argparse.ArgumentParser):
    """Flags and settings in any order; a mistake is one line and a pointer to the help."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"ttfsrun: {one_line(message)}\nSee {self.prog} --help.\n")


class Help(argparse.RawDescriptionHelpFormatter):
    """Help without a line for the verbs as a whole: the list must fit a screen."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = 12  # of the longest verb, which argparse takes for two columns shorter

    def _format_action(self, action: argparse.Action) -> str:
        text = super()._format_action(action)
        return text.partition("\n")[2] if action.metavar == "VERB" else text


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return the exit code. argv: by default that of this process, which is then isolated."""
    with standard_streams() as streams:
        log_to(sys.stderr, "ttfsrun: %(message)s", logging.WARNING)
        logging.getLogger("ttfsrun").setLevel(logging.INFO)
        code = streams.finish(_exit_code(argv, streams))
    if argv is None:
        gc.freeze()  # or the interpreter, as it exits, searches through all objects of the libraries: up to a second
    return code


def _exit_code(argv: Sequence[str] | None, streams: Streams) -> int:
    """Run one command line; a failure becomes a message, unless it is a mistake of the program."""
    try:
        if argv is None:  # the process is ours
            require_assertions()
            isolate_libraries()
            gc.set_threshold(FEW_COLLECTIONS)
        args = _parse(list(sys.argv[1:] if argv is None else argv))
        Path.cwd()  # raises where the current folder has been removed; some libraries then end the process
        return VERBS[args.verb].run(args)
    except SystemExit as left:  # of argparse
        return int(left.code or 0)
    except BrokenPipeError:
        return BROKEN_PIPE
    except (UserError, OSError, MemoryError, RuntimeError, ImportError) as error:
        known = as_user_error(error)
        if known is None:
            raise
        if error is not streams.data.error:
            sys.stderr.write(f"ttfsrun: {known}\n")
        return known.exit_code
    except (KeyboardInterrupt, Terminated) as error:
        word, code = ("terminated", TERMINATED) if isinstance(error, Terminated) else ("interrupted", INTERRUPTED)
        sys.stderr.write(f"ttfsrun: {word}\n")
        return code


def _parse(argv: list[str]) -> argparse.Namespace:
    """Let the verb's own parser read what follows it: only alone can it take flags between settings."""
    parser, verbs = _parsers()
    for word in argv:
        if not word or "\0" in word or any("\ud800" <= letter <= "\udfff" for letter in word):
            parser.error(f"{word!a}: must be text in UTF-8, and not empty; is a variable not set?")
    if not argv:
        parser.error(f"no verb; choose from {', '.join(verbs)}")
    if argv[0] not in verbs:
        if not argv[0].startswith("-"):
            hint = did_you_mean(argv[0], verbs)
            parser.error(f"{argv[0]}: unknown verb; choose from {', '.join(verbs)}{hint}")
        parser.parse_known_args(argv[:1])  # exits if it is --help or --version
        parser.error(_unknown_flag(argv[0]) + "; a verb comes first")
    args, unknown = verbs[argv[0]].parse_known_intermixed_args(argv[1:])
    if unknown:
        verbs[argv[0]].error(_unknown_flag(unknown[0]))
    args.verb = argv[0]
    return args


def _parsers() -> tuple[Parser, dict[str, Parser]]:
    """Return the parser of the whole command line, and that of each verb."""
    parser = Parser(
        prog="ttfsrun",
        usage="%(prog)s [--help] [--version] VERB ...",
        description="Train and compare networks of neurons that each spike at most once.",
        epilog=EXIT_CODES,
        formatter_class=Help,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"ttfsrun {__version__}", help=argparse.SUPPRESS)
    parsers = parser.add_subparsers(title="verbs", metavar="VERB", prog=parser.prog)
    for name, verb in VERBS.items():
        own = parsers.add_parser(
            name,
            help=verb.summary,
            description=f"{verb.summary[0].upper()}{verb.summary[1:]}.",
            epilog=f"example:\n  {verb.example}\n\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        verb.arguments(own)
    return parser, dict(parsers.choices)


def _unknown_flag(word: str) -> str:
    setting = word.lstrip("-")
    hint = f"; a setting has no dashes: {setting}" if "=" in setting else ""
    return f"{word}: unknown flag{hint}"
