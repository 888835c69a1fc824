"""The standard streams: a full or closed one ends a command with a message where possible, never with a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from ttfsrun.errors import BROKEN_PIPE, COMPLETE, FAILED, reason_of, ways_out


class Stream:
    """A text stream that remembers its first error. Data that cannot be written raise it, messages are dropped."""

    def __init__(self, stream: TextIO, raises: bool) -> None:
        self._stream, self._raises = stream, raises
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._noting():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._noting():
            self._stream.flush()

    def discard(self) -> None:
        """Send the rest to /dev/null, or the interpreter complains as it exits."""
        handle = os.open(os.devnull, os.O_WRONLY)
        os.dup2(handle, self._stream.fileno())
        os.close(handle)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.error = self.error or error
            if self._raises:
                raise


class Streams:
    """stdout and stderr of one command."""

    def __init__(self) -> None:
        self.data, self.messages = Stream(sys.stdout, raises=True), Stream(sys.stderr, raises=False)

    def finish(self, code: int) -> int:
        """Write what is left; return the exit code, which says also that data or messages were lost."""
        with suppress(OSError):
            self.data.flush()
        lost = self.data.error
        if lost is not None:
            self.data.discard()
            code = BROKEN_PIPE if isinstance(lost, BrokenPipeError) else FAILED
        if lost is not None and code == FAILED:
            self.messages.write(f"ttfsrun: standard output: cannot be written ({reason_of(lost)}){ways_out(lost)}\n")
        self.messages.flush()
        if self.messages.error is not None:
            self.messages.discard()
            code = FAILED if code == COMPLETE else code
        return code


@contextmanager
def standard_streams() -> Iterator[Streams]:
    """Use streams that remember their errors as sys.stdout and sys.stderr during the block."""
    _replace_closed()
    streams, originals = Streams(), (sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = streams.data, streams.messages
    try:
        yield streams
    finally:
        sys.stdout, sys.stderr = originals


def print_each(lines: Iterable[str]) -> None:
    """Print each line as it comes. Where one cannot be printed, the work that yields the others is still done.

    Raises OSError at the end where a line could not be printed.
    """
    lost: OSError | None = None
    for line in lines:
        try:
            print(line, flush=True)
        except OSError as error:
            lost = lost or error
    if lost is not None:
        raise lost


def _replace_closed() -> None:
    """Open /dev/null in place of each closed stream, or the next file that is opened would be that stream.

    It is open for reading in place of stdout: data that cannot be written are an error. Messages just vanish.
    """
    for number, name, flags in ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_RDONLY), (2, "stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, flags)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
