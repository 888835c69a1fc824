"""What decides, beside points and code, how fast a training is and how much memory its process takes."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from ttfsrun.results.provenance import PACKAGES, processor

#: Variables that libraries and the C library read: threads, vector units, allocators.
PREFIXES = (
    *("ATEN_", "KMP_", "MKL_", "NPY_", "NUMBA_", "OMP_", "OPENBLAS_", "PYTORCH_", "TORCH_"),
    *("GLIBC_TUNABLES", "LD_PRELOAD", "MALLOC_", "PYTHONMALLOC"),
)


def environment_checksum(variables: Mapping[str, str] = os.environ) -> str:
    """Return a checksum of processor, interpreter, libraries (with the build of torch), and their variables."""
    versions = {name: _version(name) for name in PACKAGES}
    chosen = {name: value for name, value in variables.items() if name.startswith(PREFIXES)}
    facts = [
        processor(),
        sys.version,
        platform.libc_ver(),
        sorted(versions.items()),
        torch_build(),
        sorted(chosen.items()),
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def torch_build() -> str:
    """Return torch's own description of its build, without importing it: builds of one version differ by gigabytes."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return ""
    try:
        return (Path(spec.origin).parent / "version.py").read_text()
    except OSError:
        return spec.origin


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
