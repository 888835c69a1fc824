"""Provenance of a result: versions, source, machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from ttfsrun import __version__

#: With these, which git sets for its hooks, git looks at another repository than that of the folder.
REPOSITORY_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
PACKAGES = ("numpy", "torch", "numba", "llvmlite", "hydra-core")


def provenance() -> dict[str, Any]:
    """Return the versions of what computes, the processor, and the git commit where the package is a checkout."""
    return {
        "ttfsrun": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        "processor": processor(),
        **_git(Path(__file__).parent),
    }


def _git(folder: Path) -> dict[str, Any]:
    """Return the commit of the checkout that holds `folder`, and whether files differ from it; None elsewhere."""
    top = _output("git", "-C", str(folder), "rev-parse", "--show-toplevel")
    if top is None or Path(top) != folder.parent.parent:
        return {"git_sha": None, "git_dirty": None}
    status = _output("git", "-C", top, "status", "--porcelain", "--", "ttfsrun", "conf")
    return {"git_sha": _output("git", "-C", top, "rev-parse", "HEAD"), "git_dirty": bool(status)}


def _output(*command: str) -> str | None:
    others = {name: value for name, value in os.environ.items() if name not in REPOSITORY_VARIABLES}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10, env=others)
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def processor() -> str:
    """Return the processor's name: results are the same bits on the same kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def package_checksum() -> str:
    """Return the checksum of all source files of the package, whether they are under version control or not."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
