"""Command lines of the Python processes that this package starts."""

from __future__ import annotations

import sys

#: Unlike `python -m`, it does not import from the current folder.
START = "import sys; sys.path = [entry for entry in sys.path if entry]; from {module} import main; sys.exit(main())"


def python_command(module: str) -> list[str]:
    """Return the command that calls `main` of a module with the running interpreter."""
    return [sys.executable, "-u", "-c", START.format(module=module)]
