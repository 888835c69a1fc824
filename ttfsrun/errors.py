"""Mistakes that the user can mend. The command line prints their text and leaves with their exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COMPLETE, WITH_FAILURES, INCOMPLETE = 0, 3, 4  # exit codes that tell how a sweep stands


def exit_code(counts: Mapping[Any, int]) -> int:
    """How a sweep stands, by its points in each state: all but `done` and `failed` are still to come."""
    failed = counts.get("failed", 0)
    if counts.get("done", 0) + failed < sum(counts.values()):
        return INCOMPLETE
    return WITH_FAILURES if failed else COMPLETE


class UserError(Exception):
    """A mistake that the user can mend; its text is one clear line."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration that cannot be composed, or that the schema does not allow; a line for each mistake."""

    def __init__(self, *lines: str, at_most: int | None = None) -> None:
        """at_most: of the lines that the text lists."""
        self.lines = lines
        shown = list(lines[:at_most])
        more = [f"and {len(lines) - len(shown)} more"] * (len(lines) > len(shown))
        super().__init__(lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} mistakes", *shown, *more]))


class RunFailed(UserError):
    """The request was sound, but what it asked for failed."""

    exit_code = 1


class CannotWrite(RunFailed):
    """A result could not be put on disk."""
