"""Sweeps of tiny networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ttfsrun.results.sweep_folder import SweepFolder

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sweep(ttfsrun: Call, tiny_overrides: tuple[str, ...], tmp_path: Path) -> Call:
    """Run `ttfsrun sweep` of tiny networks in this process, into a folder of the test."""
    common = [word for word in tiny_overrides if not word.startswith("cluster")]

    def call(*words: object, out: str = "sweep") -> tuple[int, str, str]:
        return ttfsrun("sweep", *common, "cluster=debug", "cluster.threads=1", *words, "--out", tmp_path / out)

    return call


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return SweepFolder(tmp_path / "sweep")
