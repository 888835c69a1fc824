"""Errors that the user can fix, and the exit codes of the command line."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TextIO, get_args

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


CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # characters that end a line or command a terminal


def one_line(text: str) -> str:
    """Return a text with its control characters escaped: a path may contain any."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class _OneLine(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # a method of logging
        return one_line(super().formatMessage(record))


def log_to(stream: TextIO, form: str, level: int) -> None:
    """Log to a stream, each message on one line, unless the process logs already."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_OneLine(form))
    logging.basicConfig(level=level, handlers=[handler])


class UserError(Exception):
    """An error that the user can fix. Its text is one clear line; the command line prints it and exits."""

    exit_code = USAGE

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


class ConfigError(UserError):
    """A configuration that cannot be composed, or that the schema does not allow; a line for each mistake."""

    def __init__(self, *lines: str, at_most: int | None = None) -> None:
        """at_most: number of lines that the text lists; None: all."""
        self.lines = tuple(map(one_line, lines))
        shown = list(self.lines[:at_most])
        more = [f"and {len(lines) - len(shown)} more"] * (len(lines) > len(shown))
        text = self.lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} mistakes", *shown, *more])
        Exception.__init__(self, text)


class RunFailed(UserError):
    """The request was valid, but executing it failed."""

    exit_code = FAILED


class CannotWrite(RunFailed):
    """A file could not be written: a full disk, a folder without permission."""


# What the user can do about an error of the operating system: where the path itself is wrong, and elsewhere.
WRONG_PATHS = {
    errno.ENOENT: "correct the path, or create it",
    errno.ENOTDIR: "correct the path: a part of it is a file, not a folder",
    errno.EISDIR: "name a file, not a folder",
    errno.ENAMETOOLONG: "shorten it: a name has at most 255 bytes, a path 4095",
    errno.ELOOP: "name the file itself: these links lead to each other",
    errno.EINVAL: "name a file that this system can read",
}
OTHER_WAYS_OUT = {
    errno.EACCES: "ask its owner for permission",
    errno.EPERM: "ask its owner for permission",
    errno.EROFS: "use a file system that can be written",
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space there, or ask for a larger quota",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "wait until other programs have closed files",
    errno.EAGAIN: "raise the limit on processes (ulimit -u), or set cluster.processes and cluster.threads lower",
    errno.ENOMEM: "use a machine with more memory, end other programs, or raise the limit (ulimit -v)",
    errno.EIO: "run the same command again; if that fails, the disk is damaged",
    errno.ESTALE: "run the same command again: the network file system has replaced it",
}
NO_THREAD_TEXT = "can't start new thread"  # RuntimeError of Python where the system refuses one
NO_MEMORY_TO_LOAD = ("failed to map segment", "annot allocate memory")  # ImportError where a library does not fit


def reason_of(error: OSError) -> str:
    """Return the reason of an error of the operating system, without the path, on one line."""
    return " ".join((error.strerror or str(error)).split()) or type(error).__name__


def ways_out(error: OSError, *others: str) -> str:
    """Return what the user can do about an error of the operating system, to end a message; others: further ways."""
    ways = [{**WRONG_PATHS, **OTHER_WAYS_OUT}.get(error.errno or 0, ""), *others]
    return "".join(f"{'; ' if n == 0 else ', or '}{way}" for n, way in enumerate(filter(None, ways)))


def as_user_error(error: BaseException) -> UserError | None:
    """Return an error of the operating system as one that the user can fix; None for any other exception.

    The text is one line: the path, the reason, the way out.
    """
    if isinstance(error, UserError):
        return error
    unloaded = isinstance(error, ImportError) and any(text in str(error) for text in NO_MEMORY_TO_LOAD)
    if unloaded or isinstance(error, MemoryError):
        what = f" to load a library ({error})" if unloaded else ""
        return RunFailed(f"not enough memory{what}; {OTHER_WAYS_OUT[errno.ENOMEM]}")
    if isinstance(error, RuntimeError) and NO_THREAD_TEXT in str(error):
        return RunFailed(f"{NO_THREAD_TEXT}; {OTHER_WAYS_OUT[errno.EAGAIN]}")
    if not isinstance(error, OSError):
        return None
    if error.filename is None and isinstance(error, FileNotFoundError) and not _has_current_folder():
        return UserError("the current folder has been removed; change to another one")
    path = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    text = f"{path}{reason_of(error)}{ways_out(error)}"
    return UserError(text) if error.errno in WRONG_PATHS else RunFailed(text)


def _has_current_folder() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


class CannotSave(CannotWrite):
    """The result of a point could not be written: to compute further ones is useless."""


class SchedulerRefused(UserError):
    """The scheduler did not accept a request."""

    exit_code = REFUSED


class Terminated(BaseException):
    """SIGTERM: whatever runs saves its state on the way out."""
