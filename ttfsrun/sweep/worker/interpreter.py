"""Command lines of the Python processes that this package starts."""

from __future__ import annotations

import sys

#: Unlike `python -m`, it does not import from the current folder.
START = """
import sys
sys.path = [entry for entry in sys.path if entry]
from ttfsrun.config.environment import isolate_libraries, show_uncaught
sys.excepthook = show_uncaught
isolate_libraries()
from {module} import main
sys.exit(main())
"""


def python_command(module: str) -> list[str]:
    """Return the command that calls `main` of a module with the running interpreter."""
    code = "; ".join(START.strip().splitlines())  # on one line, for batch scripts
    return [sys.executable, "-u", "-c", code.format(module=module)]
