"""How this package starts processes of its own."""

from __future__ import annotations

import sys

#: Unlike `python -m`, it does not import from the folder in which the user happens to be.
START = "import sys; sys.path = [entry for entry in sys.path if entry]; from {module} import main; sys.exit(main())"


def python_command(module: str) -> list[str]:
    """The command that calls `main` of a module, with the interpreter that runs now."""
    return [sys.executable, "-u", "-c", START.format(module=module)]
