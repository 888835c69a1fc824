"""The user's environment: what in it configures the libraries that we use, and does not concern a run of ours.

A process of our own (the command line, a task, a worker) sets it aside before it imports them. A program that imports
`ttfsrun` keeps its settings.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import re
import sys
import warnings
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType

from ttfsrun.errors import UserError, as_user_error

#: Variables that are removed, by pattern, and why.
REMOVED = {
    "MPLBACKEND": "notebooks set it for their own kernel; matplotlib cannot be imported where that backend is missing",
    "NUMBA_*": "they turn off the compiler that our kernels need, or let it print on standard output",
    "NPY_ENABLE_CPU_FEATURES": "numpy cannot be imported where the processor lacks one of them",
    "PYTHONWARNINGS": "with `error`, a deprecated call within a library ends the run",
    "SOURCE_DATE_EPOCH": "our figures hold no date, and matplotlib fails where it is no number",
    "TORCHDYNAMO_*": "torch compiles nothing here",
    "TORCHINDUCTOR_*": "torch cannot be imported where the folder that one of them names cannot be made",
    "TORCH_COMPILE_DEBUG": "torch compiles nothing here",
    "TORCH_LOGS*": "torch cannot be imported where it names no log of torch",
}
KEPT = ("NUMBA_CACHE_DIR", "NUMBA_CPU_FEATURES", "NUMBA_CPU_NAME")  # no number depends on them
#: Files that a library reads from the current folder when it is imported.
FILES = {"matplotlib": "matplotlibrc", "numba": ".numba_config.yaml"}
CPU_FEATURES = re.compile(r"([+-][^,]+(,[+-][^,]+)*)?")  # LLVM aborts the process at anything else


def require_assertions() -> None:
    """Raise UserError where Python ignores assertions: Hydra's parser then fails at some overrides."""
    if sys.flags.optimize:
        raise UserError("Python runs without assertions, which Hydra needs: unset PYTHONOPTIMIZE, or omit -O")


def isolate_libraries() -> None:
    """Set the user's settings of libraries aside, for this process and those that it starts.

    Raises UserError for settings that are kept and that would end the process.
    """
    features = os.environ.get("NUMBA_CPU_FEATURES", "")
    if not CPU_FEATURES.fullmatch(features):
        raise UserError(f"NUMBA_CPU_FEATURES={features}: must be a list such as +avx2,-fma; or unset it")
    for name in [name for name in os.environ if name not in KEPT]:
        if any(fnmatchcase(name, pattern) for pattern in REMOVED):
            del os.environ[name]
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # no kernel uses it; it interrupts a process that may have no more threads
    warnings.filters[:] = [entry for entry in warnings.filters if entry[0] != "error"]  # type: ignore[index]
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns where it cannot keep a cache
    _use_matplotlib_defaults()
    for module, file in FILES.items():
        if module not in sys.modules and Path(file).exists():
            _import_elsewhere(module)
    if "numba" in sys.modules:  # it reads the file again whenever it compiles
        sys.modules["numba"].core.config._config_fname = ""


def show_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write an exception that ends a process to standard error: as one line, if the user can do something about it."""
    known = as_user_error(error)
    if known is None:
        sys.__excepthook__(kind, error, trace)
    else:
        sys.stderr.write(f"{known}\n")


def _use_matplotlib_defaults() -> None:
    """Make matplotlib read the settings that it comes with, not those of the user."""
    package = importlib.util.find_spec("matplotlib")
    if package is not None and package.origin is not None:
        os.environ["MATPLOTLIBRC"] = str(Path(package.origin).parent / "mpl-data" / "matplotlibrc")


def _import_elsewhere(module: str) -> None:
    """Import a module while the current folder is another one."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(Path(__file__).parent)
        importlib.import_module(module)
    finally:
        os.fchdir(here)
        os.close(here)
