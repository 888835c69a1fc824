"""A command line in this process."""

from __future__ import annotations

from ttfsrun.cli import main


def called(*argv: str) -> int:
    """The exit code, whichever way the command line leaves."""
    try:
        return main.main(argv)
    except SystemExit as left:
        return int(left.code or 0)
