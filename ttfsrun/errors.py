"""Mistakes that the user can mend. The command line prints their text and leaves with their exit code."""

COMPLETE, WITH_FAILURES, INCOMPLETE = 0, 3, 4  # exit codes that tell how a sweep stands
SHOWN = 20  # mistakes that one message lists


class UserError(Exception):
    """A mistake that the user can mend; its text is one clear line."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration that cannot be composed, or that the schema does not allow; a line for each mistake."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        shown = list(lines[:SHOWN]) + [f"and {len(lines) - SHOWN} more"] * (len(lines) > SHOWN)
        super().__init__(lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} mistakes", *shown]))


class RunFailed(UserError):
    """The request was sound, but what it asked for failed."""

    exit_code = 1


class CannotWrite(RunFailed):
    """A result could not be put on disk."""
