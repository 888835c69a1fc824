"""Errors that the user can fix, and the exit codes of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

COMPLETE, FAILED, USAGE, WITH_FAILURES, INCOMPLETE, REFUSED = range(6)
INTERRUPTED = 130  # 128 + SIGINT
BROKEN_PIPE = 141  # 128 + SIGPIPE
TERMINATED = 143  # 128 + SIGTERM


Reason = Literal["error", "out of memory", "time-out", "node failure", "cancelled"]  # classes of failures
REASONS: tuple[Reason, ...] = get_args(Reason)
SIMILAR = 0.6  # the least similarity (difflib's ratio) of a name that is worth suggesting


def did_you_mean(word: Any, allowed: Iterable[Any], before: str = "") -> str:
    """Return `; did you mean NAME?` where an allowed name resembles the word, else nothing. before: of the name."""
    import difflib

    near = difflib.get_close_matches(str(word), [str(name) for name in allowed], n=1, cutoff=SIMILAR)
    return f"; did you mean {before}{near[0]}?" if near else ""


def sweep_exit_code(counts: Mapping[Any, int]) -> int:
    """Return the exit code of a sweep by its number of points in each state.

    All states but `done` and `failed` are unfinished.
    """
    failed = counts.get("failed", 0)
    if counts.get("done", 0) + failed < sum(counts.values()):
        return INCOMPLETE
    return WITH_FAILURES if failed else COMPLETE


class UserError(Exception):
    """An error that the user can fix. Its text is one clear line; the command line prints it and exits."""

    exit_code = USAGE


class ConfigError(UserError):
    """A configuration that cannot be composed, or that the schema does not allow; a line for each mistake."""

    def __init__(self, *lines: str, at_most: int | None = None) -> None:
        """at_most: number of lines that the text lists; None: all."""
        self.lines = lines
        shown = list(lines[:at_most])
        more = [f"and {len(lines) - len(shown)} more"] * (len(lines) > len(shown))
        super().__init__(lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} mistakes", *shown, *more]))


class RunFailed(UserError):
    """The request was valid, but executing it failed."""

    exit_code = FAILED


class CannotWrite(RunFailed):
    """A file could not be written: a full disk, a folder without permission."""


class SchedulerRefused(UserError):
    """The scheduler did not accept a request."""

    exit_code = REFUSED


class Terminated(BaseException):
    """SIGTERM: whatever runs saves its state on the way out."""
