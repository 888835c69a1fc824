"""Mistakes that the user can mend. The command line prints their text and leaves with their exit code."""


class UserError(Exception):
    """A mistake that the user can mend; its text is one clear line."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration that cannot be composed, or that the schema does not allow."""


class RunFailed(UserError):
    """The request was sound, but what it asked for failed."""

    exit_code = 1
