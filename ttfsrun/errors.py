"""Mistakes that the user can mend. The command line prints their text and leaves with their exit code."""

COMPLETE, WITH_FAILURES, INCOMPLETE = 0, 3, 4  # exit codes that tell how a sweep stands


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
